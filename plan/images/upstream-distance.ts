import { buildOfCommit, buildOfTag } from "./remote-refs.ts";
import type { RemoteRefs } from "./remote-refs.ts";

/** A pin of `configs/images.yaml`, as far as its distance to upstream depends on it. */
export interface Pin {
  /** Full commit or tag. */
  readonly ref: string;
  /** Upstream's build number, where it was written down. */
  readonly build?: number | undefined;
}

/**
 * How far a pin is behind upstream. `behind` counts commits of the default branch, since upstream's build numbers do; `moved` means that
 * upstream is elsewhere and no build number says how far: it is not guessed.
 */
export type UpstreamDistance =
  | { readonly state: "current" }
  | { readonly state: "behind"; readonly commits: number; readonly pinned: number; readonly newest: number }
  | { readonly state: "moved"; readonly head: string }
  | { readonly state: "gone"; readonly reason: string };

/** Distance of a pin to the refs of its repository. A pin ahead of the newest tag counts as current. */
export function upstreamDistance(pin: Pin, refs: RemoteRefs): UpstreamDistance {
  const tagNumber = buildOfTag(pin.ref);
  if (tagNumber !== undefined && !refs.tags.has(pin.ref)) return { state: "gone", reason: `the tag ${pin.ref} is no longer there` };
  const commit = refs.tags.get(pin.ref) ?? pin.ref;
  if (commit === refs.head) return { state: "current" };
  const pinned = pin.build ?? tagNumber ?? buildOfCommit(refs, commit);
  const newest = Math.max(-1, ...[...refs.tags.keys()].map((tag) => buildOfTag(tag) ?? -1));
  if (pinned !== undefined && newest >= 0) {
    return newest > pinned ? { state: "behind", commits: newest - pinned, pinned, newest } : { state: "current" };
  }
  return refs.head === undefined ? { state: "gone", reason: "the repository has no default branch" } : { state: "moved", head: refs.head };
}

/** One line for the operator, e.g. `image latest is 1203 commits behind upstream (b8149, newest b9352); npm run pin -- latest moves it`. */
export function describeDistance(image: string, distance: UpstreamDistance): string {
  switch (distance.state) {
    case "current":
      return `image ${image} is upstream's newest`;
    case "behind":
      return `image ${image} is ${distance.commits} commits behind upstream (b${distance.pinned}, newest b${distance.newest}); npm run pin -- ${image} moves it`;
    case "moved":
      return `image ${image} is behind upstream, which is at ${distance.head.slice(0, 9)}; no build number says how far; npm run pin -- ${image} moves it`;
    case "gone":
      return `image ${image} can't be compared with upstream: ${distance.reason}`;
  }
}
