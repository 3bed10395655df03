import type { ProfileChange } from "../bench/variants.ts";
import { flagSpecs } from "../config/flags.ts";
import { fitOptions } from "../config/profile-rules.ts";
import type { Profile } from "../config/profile.ts";
import type { Flags } from "./space.ts";

/** An image that a base profile is to run on instead of its own. */
export interface OtherImage {
  readonly name: string;
  readonly isCpu: boolean;
  /** Variables that its build reads. */
  readonly known: ReadonlySet<string>;
  /** What the base's sampling preset sets; empty without one. */
  readonly presetFlags: Flags;
}

/** Ways of loading weights that are written otherwise since one variable took the place of two. @see configs/capabilities, b8149 and b11312 */
const sameLoading: readonly (readonly [newer: readonly [string, string], older: readonly [string, string]])[] = [
  [
    ["LLAMA_ARG_LOAD_MODE", "none"],
    ["LLAMA_ARG_MMAP", "off"],
  ],
  [
    ["LLAMA_ARG_LOAD_MODE", "mmap"],
    ["LLAMA_ARG_MMAP", "on"],
  ],
];

/**
 * What a base profile takes to run on another image: each flag that the build has under another name is written so, a sampling preset that it can't read
 * goes, and without a GPU backend nothing is placed. What can't be said otherwise stays as it is, for the profile's own check to refuse.
 */
export function changeForImage({ flags, sampling }: Profile, { name, isCpu, known, presetFlags }: OtherImage): ProfileChange {
  const set: Record<string, string> = { IMAGE: name };
  const drop: string[] = [];
  for (const [key, value] of Object.entries(flags)) {
    if (known.has(key)) continue;
    const same = sameElsewhere(key, value).find(([other]) => known.has(other));
    if (same !== undefined) set[same[0]] = same[1];
    if (same !== undefined || (key === "LLAMA_ARG_FIT" && value === "off")) drop.push(key);
  }
  if (sampling !== undefined && Object.keys(presetFlags).some((key) => !known.has(key))) drop.push("SAMPLING");
  if (isCpu) {
    Object.assign(set, { LLAMA_ARG_N_GPU_LAYERS: "0" }, flags["LLAMA_ARG_FIT"] === "on" ? { LLAMA_ARG_FIT: "off" } : {});
    drop.push(...fitOptions.filter((key) => flags[key] !== undefined));
  }
  return { set, drop };
}

/** Other names of a flag with the value that means the same there. */
function sameElsewhere(key: string, value: string): readonly (readonly [string, string])[] {
  const loading = sameLoading.flatMap(([newer, older]) =>
    newer[0] === key && newer[1] === value ? [older] : older[0] === key && older[1] === value ? [newer] : [],
  );
  const renamed = (flagSpecs.get(key)?.formerly ?? []).filter((other) => flagSpecs.get(other)?.value.canonical(value) === value);
  return [...loading, ...renamed.map((other) => [other, value] as const)];
}

/** A change for people: `IMAGE=latest-fit, LLAMA_ARG_MMAP=off, without LLAMA_ARG_LOAD_MODE, SAMPLING`. */
export function describeChange({ set, drop }: ProfileChange): string {
  const written = Object.entries(set).map(([key, value]) => `${key}=${value}`);
  const gone = drop.filter((key) => set[key] === undefined);
  return [...written, ...(gone.length === 0 ? [] : [`without ${gone.join(", ")}`])].join(", ");
}
