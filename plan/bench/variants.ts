import { quote } from "../config/errors.ts";

/** What makes one profile's file out of another's. */
export interface ProfileChange {
  /** Keys with another value, or that are new. */
  readonly set: Readonly<Record<string, string>>;
  /** Keys that go; one that is set too stays. */
  readonly drop: readonly string[];
}

/** A profile to bench: one of configs/, or one made from it; nothing is changed where it is that profile itself. */
export interface Variant extends ProfileChange {
  readonly id: string;
  /** Profile of configs/ that it is made from. */
  readonly basedOn: string;
}

/** One axis of a matrix: a key of a profile's file and the values that it takes. */
export interface Axis {
  readonly key: string;
  readonly values: readonly string[];
}

const ownKeys = new Set(["IMAGE", "MODEL", "MMPROJ", "DRAFT_MODEL", "SAMPLING"]);
/** Longest id: it is part of container names, which Docker keeps to 253 characters, and of file names. */
const mostIdChars = 100;

/**
 * An axis as the command line writes it: `ubatch=512,4096`, `LLAMA_ARG_UBATCH=512,4096` or `image=latest,latest-fit`.
 * @throws {RangeError} if it is not of that form.
 */
export function parseAxis(text: string): Axis {
  const [, name, list] = /^([A-Za-z][A-Za-z0-9_-]*)=(.+)$/.exec(text) ?? [];
  const values = [...new Set((list ?? "").split(",").filter((value) => value !== ""))];
  if (name === undefined || values.length === 0)
    throw new RangeError(`--matrix: got ${quote(text)}, expected key=value,value, e.g. ubatch=512,4096`);
  const upper = name.toUpperCase().replaceAll("-", "_");
  return { key: ownKeys.has(upper) || upper.startsWith("LLAMA_ARG_") ? upper : `LLAMA_ARG_${upper}`, values };
}

/**
 * Every profile with every combination of the axes' values; without axes the profiles themselves.
 * @throws {RangeError} if an axis is named twice, or an id would be too long.
 */
export function planVariants(profiles: readonly string[], axes: readonly Axis[]): Variant[] {
  const keys = axes.map(({ key }) => key);
  const twice = keys.find((key, index) => keys.indexOf(key) !== index);
  if (twice !== undefined) throw new RangeError(`--matrix: got ${twice} twice, expected each key once; join its values with commas`);
  const sets = axes.reduce<Record<string, string>[]>(
    (all, { key, values }) => all.flatMap((set) => values.map((value) => ({ ...set, [key]: value }))),
    [{}],
  );
  return profiles.flatMap((basedOn) =>
    sets.map((set) => {
      const id = [basedOn, ...Object.entries(set).map(([key, value]) => slug(`${key.replace("LLAMA_ARG_", "")}-${value}`))].join("-");
      if (id.length > mostIdChars)
        throw new RangeError(`--matrix: got ${quote(id)}, expected an id of at most ${mostIdChars} characters; vary fewer keys at once`);
      return { id, basedOn, set, drop: [] };
    }),
  );
}

/** Text as a part of an id: lower case, digits and dashes. */
export const slug = (text: string): string =>
  text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "");

/** Text of a profile's file after a change: a line that is there is replaced, others are added at the end. */
export function deriveProfile(text: string, { set, drop }: ProfileChange): string {
  let derived = dropKeys(
    text,
    drop.filter((key) => set[key] === undefined),
  ).replace(/\n*$/, "\n");
  for (const [key, value] of Object.entries(set)) {
    const line = new RegExp(`^${key}=.*$`, "m");
    derived = line.test(derived) ? derived.replace(line, () => `${key}=${value}`) : `${derived}${key}=${value}\n`;
  }
  return derived;
}

function dropKeys(text: string, keys: readonly string[]): string {
  return text
    .split("\n")
    .filter((line) => !keys.some((key) => line.startsWith(`${key}=`)))
    .join("\n");
}
