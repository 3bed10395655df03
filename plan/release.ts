import { createHash } from "node:crypto";

/**
 * Version of the hardening and of the container's shape. Part of the release id, so that a change of either is a new release that passes the
 * gates, and not an edit of a serving container. Raise it with every change of `plan/server-container.ts` that alters the container.
 */
export const hardeningVersion = 2;

/** Everything that makes one release differ from another. */
export interface ReleaseIdentity {
  /** Hash of the image's build inputs, or the image id where the image is not built here. */
  readonly image: string;
  /** sha256 of each model file by role (`model`, `mmproj`, `draft`); `unpinned:<id>` where no checksum is known yet. */
  readonly models: Readonly<Record<string, string>>;
  /** All `LLAMA_ARG_*` of the server, host and port included. */
  readonly flags: Readonly<Record<string, string>>;
  /** Limits and devices of each server's container, as planned. */
  readonly servers: readonly object[];
}

/** JSON with sorted keys at every level, so that equal values have equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** Hex sha256 of the canonical JSON of a value. */
export const hashOf = (value: unknown): string => createHash("sha256").update(canonicalJson(value)).digest("hex");

/** Length of a release id, characters. */
export const releaseIdChars = 10;

/** Release id: the first hex digits of the hash over the identity and the hardening version. Equal identities have equal ids on every machine. */
export const releaseId = (identity: ReleaseIdentity): string => hashOf({ ...identity, hardeningVersion }).slice(0, releaseIdChars);
