/** What `git ls-remote` says of a repository. */
export interface RemoteRefs {
  /** Commit of the default branch; undefined where the repository has none. */
  readonly head: string | undefined;
  /** Commits by branch name. */
  readonly branches: ReadonlyMap<string, string>;
  /** Commits by tag name; an annotated tag's own object is skipped in favour of the commit that it names. */
  readonly tags: ReadonlyMap<string, string>;
}

/** A ref that was found, and what it is. `tag` is undefined unless a tag was asked for by name. */
export interface ResolvedRef {
  readonly commit: string;
  readonly tag: string | undefined;
  /** Upstream's build number, off a `bNNNN` tag that names the commit; undefined where no tag does. */
  readonly build: number | undefined;
}

const LINE = /^([0-9a-f]{40})\t(\S+)$/;
const PEELED = "^{}";

/** Whether a ref is a full commit, the only name that can't move. */
export const isFullCommit = (ref: string): boolean => /^[0-9a-f]{40}$/.test(ref);

/** Number in a `bNNNN` tag; upstream's build number is the count of commits up to there. Undefined for other names. */
export function buildOfTag(tag: string): number | undefined {
  const digits = /^b(\d+)$/.exec(tag)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Refs from the output of `git ls-remote`. @throws {Error} on a line of another form, quoting it. */
export function readRemoteRefs(text: string): RemoteRefs {
  let head: string | undefined;
  const branches = new Map<string, string>();
  const tags = new Map<string, string>();
  for (const line of text.split("\n").filter((line) => line !== "")) {
    const [, commit, ref] = LINE.exec(line) ?? [];
    if (commit === undefined || ref === undefined)
      throw new Error(`git ls-remote: got the line ${JSON.stringify(line)}, expected a commit, a tab and a ref`);
    if (ref === "HEAD") head = commit;
    else if (ref.startsWith("refs/heads/")) branches.set(ref.slice("refs/heads/".length), commit);
    else if (ref.endsWith(PEELED)) tags.set(ref.slice("refs/tags/".length, -PEELED.length), commit);
    else if (ref.startsWith("refs/tags/") && !tags.has(ref.slice("refs/tags/".length))) tags.set(ref.slice("refs/tags/".length), commit);
  }
  return { head, branches, tags };
}

/** Build number of the `bNNNN` tag on a commit; the highest where there are several. */
export function buildOfCommit(refs: RemoteRefs, commit: string): number | undefined {
  const builds = [...refs.tags].filter(([, tagged]) => tagged === commit).map(([tag]) => buildOfTag(tag) ?? -1);
  const highest = Math.max(-1, ...builds);
  return highest < 0 ? undefined : highest;
}

/**
 * What `ref` names: `HEAD`, a tag, a branch (its commit, since branches move) or a full commit. A full commit is taken as it is: whether the
 * repository has it, only a fetch can tell. Undefined where the name is not there.
 */
export function resolveRef(refs: RemoteRefs, ref: string): ResolvedRef | undefined {
  const tagged = refs.tags.get(ref);
  if (tagged !== undefined) return { commit: tagged, tag: ref, build: buildOfTag(ref) ?? buildOfCommit(refs, tagged) };
  const commit = ref === "HEAD" ? refs.head : (refs.branches.get(ref) ?? (isFullCommit(ref) ? ref : undefined));
  return commit === undefined ? undefined : { commit, tag: undefined, build: buildOfCommit(refs, commit) };
}
