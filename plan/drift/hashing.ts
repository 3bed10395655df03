import type { DeclaredFile } from "./declared.ts";
import type { FileStat } from "./observation.ts";

/** A file as it was when a check last found its checksum right. */
export interface VerifiedFile {
  readonly sha256: string;
  readonly stat: FileStat;
  readonly verifiedAtMs: number;
}

/** When checksums are computed. `auto`: where metadata changed, or the last one is older than `everyMs`. */
export interface HashPolicy {
  readonly mode: "auto" | "always" | "never";
  readonly everyMs: number;
}

/**
 * Why a file has to be read whole; null where it has not. Twenty gigabytes are not read in every check: metadata that did not change (size, inode, times)
 * since the last right checksum stands for content that did not, until the schedule asks again.
 */
export function needsHash(
  file: DeclaredFile,
  stat: FileStat,
  last: VerifiedFile | undefined,
  policy: HashPolicy,
  nowMs: number,
): string | null {
  if (policy.mode === "never" || stat.bytes !== file.bytes) return null; // another size is another file: no need to read it
  if (policy.mode === "always") return "it was asked for";
  if (isTouched(file, stat, last)) return "its metadata changed";
  const verifiedAtMs = Math.max(last?.sha256 === file.sha256 ? last.verifiedAtMs : 0, file.verifiedAtMs);
  return nowMs - verifiedAtMs > policy.everyMs ? "its last check is too long ago" : null;
}

/**
 * Whether a file may have changed since its checksum was last right. It did not where its inode was last changed before the command that fetched
 * and checked it had ended, or where it looks as in the check that last found it right.
 */
export function isTouched(file: DeclaredFile, stat: FileStat, last: VerifiedFile | undefined): boolean {
  if (stat.changedMs <= file.verifiedAtMs) return false;
  return last === undefined || last.sha256 !== file.sha256 || !isSame(last.stat, stat);
}

/** Whether two looks saw the same file, unchanged. */
export const isSame = (a: FileStat, b: FileStat): boolean =>
  a.bytes === b.bytes && a.inode === b.inode && a.modifiedMs === b.modifiedMs && a.changedMs === b.changedMs;
