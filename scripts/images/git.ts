import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { execa } from "execa";
import { readRemoteRefs } from "../../plan/images/remote-refs.ts";
import type { RemoteRefs } from "../../plan/images/remote-refs.ts";

/** Longest wait for a repository's answer, milliseconds; `pulumi preview` waits for it too. */
const answerMs = 30_000;
/** Longest wait for a history without its files, milliseconds: about 10 MB for llama.cpp. */
const historyMs = 600_000;

/** What git printed. It asks nobody for a password, for there is nobody to answer, and fetches nothing behind our back. @throws {Error} with git's own last line */
async function git(args: readonly string[], timeout: number, signal?: AbortSignal): Promise<string> {
  const env = { GIT_TERMINAL_PROMPT: "0", GIT_NO_LAZY_FETCH: "1", LC_ALL: "C" };
  signal?.throwIfAborted();
  const late = AbortSignal.timeout(timeout);
  const stop = signal === undefined ? late : AbortSignal.any([late, signal]);
  const run = execa("git", [...args], { env, reject: false, detached: true });
  const end = () => endGroup(run.pid);
  stop.addEventListener("abort", end);
  const result = await run.finally(() => stop.removeEventListener("abort", end));
  signal?.throwIfAborted();
  if (!result.failed) return result.stdout;
  if (result.code === "ENOENT") throw new Error("git is not installed; install it (apt-get install git)");
  if (late.aborted) throw new Error(`git gave no answer within ${timeout / 1000} s`);
  throw new Error(`git ${args.find((arg) => /^[a-z]/.test(arg)) ?? ""}: ${result.stderr.trim().split("\n").at(-1) ?? result.shortMessage}`);
}

/** Ends a detached program and all that it started: git's transport is another process, which outlives git and holds its output while a server keeps silent. */
function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error; // it ended by itself just now
  }
}

/** HEAD, branches and tags of a repository. @throws {Error} if it can't be reached, naming it */
export async function listRemoteRefs(repo: string, signal?: AbortSignal): Promise<RemoteRefs> {
  try {
    return readRemoteRefs(await git(["ls-remote", repo, "HEAD", "refs/heads/*", "refs/tags/*"], answerMs, signal));
  } catch (cause) {
    throw new Error(`${repo} can't be reached; check the address and the network`, { cause });
  }
}

/** A bare repository in a temporary folder, gone when it is disposed of. */
export class History implements AsyncDisposable {
  readonly #dir: string;
  readonly #repo: string;

  private constructor(dir: string, repo: string) {
    this.#dir = dir;
    this.#repo = repo;
  }

  static async open(repo: string): Promise<History> {
    const dir = await mkdtemp(join(tmpdir(), "llm-server-history-"));
    await git(["init", "-q", "--bare", dir], answerMs);
    return new History(dir, repo);
  }

  /** Whether the repository has this very commit; fetched alone and without its files. */
  async has(commit: string, signal?: AbortSignal): Promise<boolean> {
    try {
      await git(["-C", this.#dir, "fetch", "-q", "--depth", "1", "--filter=tree:0", this.#repo, commit], answerMs, signal);
      return true;
    } catch {
      return false;
    }
  }

  /**
   * Commits after `good` up to and with `bad`, oldest first, along the first parents: one a merged change.
   * @throws {Error} if `good` is not an ancestor of `bad`
   */
  async between(good: string, bad: string, signal?: AbortSignal): Promise<string[]> {
    await git(["-C", this.#dir, "fetch", "-q", "--update-shallow", "--filter=tree:0", this.#repo, good, bad], historyMs, signal);
    const base = (await git(["-C", this.#dir, "merge-base", good, bad], answerMs, signal)).trim();
    if (base !== good) throw new Error(`--good ${good} is not an ancestor of --bad ${bad}; swap them, or name an older good commit`);
    const listed = await git(["-C", this.#dir, "rev-list", "--first-parent", "--reverse", `${good}..${bad}`], answerMs, signal);
    return listed.split("\n").filter((line) => line !== "");
  }

  /** First line of a commit's message. */
  async subject(commit: string, signal?: AbortSignal): Promise<string> {
    return (await git(["-C", this.#dir, "log", "-1", "--format=%s", commit], answerMs, signal)).trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#dir, { recursive: true, force: true });
  }
}
