import { isMap, isScalar, parseDocument, stringify } from "yaml";
import type { Scalar } from "yaml";
import { parseImages } from "../config/images.ts";
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
  const pinned = rewriteSource(text, image, { ref, commit, build: resolved.build, pinnedAt: today, replaces: before.ref });
  parseImages(pinned);
  return { pin: { image, ref, commit: resolved.commit, build: resolved.build, pinnedAt: today, replaces: before.ref }, text: pinned };
}

interface Edit {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/**
 * The file with new values under `<image>.source`: undefined takes the key's line out, a new key gets a line after the one before it. Edits the
 * text itself, since a YAML writer would also lay out anew what it was not asked to touch.
 */
function rewriteSource(text: string, image: string, values: Readonly<Record<string, string | number | undefined>>): string {
  const source = parseDocument(text).getIn([image, "source"]);
  if (!isMap(source) || source.flow === true) {
    throw new Error(`configs/images.yaml: ${image}.source: got another form, expected one key a line; write it out`);
  }
  const scalars = new Map(
    source.items.flatMap(({ key, value }) => (isScalar(key) && isScalar(value) ? [[String(key.value), { key, value }]] : [])),
  );
  const edits: Edit[] = [];
  let insertAt = lineEnd(text, startOf(scalars.get("repo")?.key));
  const indent = " ".repeat(startOf(scalars.get("repo")?.key) - lineStart(text, startOf(scalars.get("repo")?.key)));
  for (const [name, wanted] of Object.entries(values)) {
    const found = scalars.get(name);
    const written = wanted === undefined ? "" : stringify(wanted).trimEnd();
    if (found === undefined && wanted !== undefined) edits.push({ from: insertAt, to: insertAt, text: `${indent}${name}: ${written}\n` });
    if (found === undefined) continue;
    const [from, to] = [startOf(found.value), found.value.range?.[1] ?? 0];
    if (wanted !== undefined) edits.push({ from, to, text: written });
    else edits.push({ from: lineStart(text, startOf(found.key)), to: lineEnd(text, to), text: "" });
    insertAt = lineEnd(text, to);
  }
  return edits.reduceRight((result, edit) => result.slice(0, edit.from) + edit.text + result.slice(edit.to), text);
}

const startOf = (scalar: Scalar | undefined): number => scalar?.range?.[0] ?? 0;
const lineStart = (text: string, at: number): number => text.lastIndexOf("\n", at - 1) + 1;
/** First character of the next line. */
const lineEnd = (text: string, at: number): number => {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end + 1;
};
