import { z } from "zod";
import { ConfigError } from "../config/errors.ts";
import { parseYamlWith } from "../config/yaml.ts";
import { hashOf } from "../release.ts";
import type { ReadText } from "../stack-files.ts";

/** Hashes of what the bench of a profile is made of, by the name of the file or entry. */
export type BenchInputs = Readonly<Record<string, string>>;

/** Files whose entries a profile names, by its key. */
const entryFiles: Readonly<Record<string, string>> = {
  IMAGE: "configs/images.yaml",
  MODEL: "configs/models.yaml",
  MMPROJ: "configs/models.yaml",
  DRAFT_MODEL: "configs/models.yaml",
  SAMPLING: "configs/sampling.yaml",
};
const protocolFile = "configs/benchmark.yaml";

/**
 * What the bench of a profile is made of beside its stack's settings: its text, the entries that it names, and benchmark.yaml. Another pin of the same
 * image, or other prompts, make other numbers. Files that don't read have a hash too: the bench says what is wrong with them.
 */
export function inputsOf(profile: string, read: ReadText): BenchInputs {
  const file = `configs/llama-cpp-${profile}.env`;
  const text = read(file) ?? "";
  const entries = [...text.matchAll(/^([A-Z_]+)=(.+)$/gm)].flatMap(([, key = "", name = ""]) => {
    const of = entryFiles[key];
    return of === undefined ? [] : [[`${of}: ${name}`, hashOf(entryOf(read(of) ?? "", of, name))] as const];
  });
  return Object.fromEntries([[file, hashOf(text)], ...entries, [protocolFile, hashOf(read(protocolFile) ?? "")]]);
}

/** An entry of a file; the whole text where it is no YAML. */
function entryOf(text: string, file: string, name: string): unknown {
  try {
    return parseYamlWith(z.record(z.string(), z.unknown()), text, { file })[name] ?? null;
  } catch (error) {
    if (error instanceof ConfigError) return text;
    throw error;
  }
}

/** Names of what differs between two benches of a profile, and of what only one of them was made of. */
export const changedInputs = (before: BenchInputs, now: BenchInputs): string[] =>
  [...new Set([...Object.keys(before), ...Object.keys(now)])].filter((name) => before[name] !== now[name]).sort();
