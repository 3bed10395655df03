import { parseImages } from "../config/images.ts";
import { rewriteMapping } from "../config/yaml-edit.ts";
import type { ResolvedRef } from "./remote-refs.ts";

/** A pin that was changed, for people and for `--json`. */
export interface Repin {
  readonly image: string;
  readonly ref: string;
  readonly commit: string;
  readonly build: number | undefined;
  /** ISO date, YYYY-MM-DD. */
  readonly pinnedAt: string;
  /** The ref before. */
  readonly replaces: string;
}

/**
 * `configs/images.yaml` with `image` pinned to `resolved`; comments, order and everything else are as they were. A tag stays a tag, beside the commit that it must keep naming; anything
 * else is pinned by its commit. Undefined when that is what the file says already: a pin keeps its date then.
 * @throws {Error} if the image is not there or isn't built from source, naming those that are
 * @throws {ConfigError} if the file is not valid before or after
 */
export function repin(
  text: string,
  image: string,
  resolved: ResolvedRef,
  today: string,
): { readonly pin: Repin; readonly text: string } | undefined {
  const images = parseImages(text);
  const entry = images[image];
  if (entry?.kind !== "source") {
    const known = Object.entries(images).flatMap(([name, { kind }]) => (kind === "source" ? [name] : []));
    throw new Error(`image: got ${image}, expected one that configs/images.yaml builds from source: ${known.join(", ")}`);
  }
  const before = entry.source;
  const ref = resolved.tag ?? resolved.commit;
  const commit = resolved.tag === undefined ? undefined : resolved.commit;
  if (before.ref === ref && before.commit === commit) return undefined;
  const pinned = rewriteMapping(text, "configs/images.yaml", [image, "source"], "repo", {
    ref,
    commit,
    build: resolved.build,
    pinnedAt: today,
    replaces: before.ref,
  });
  parseImages(pinned);
  return { pin: { image, ref, commit: resolved.commit, build: resolved.build, pinnedAt: today, replaces: before.ref }, text: pinned };
}
