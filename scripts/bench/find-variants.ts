import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { deriveProfile, planVariants, type Axis, type Variant } from "../../plan/bench/variants.ts";
import { ConfigError, formatIssue } from "../../plan/config/errors.ts";
import { parseProfile } from "../../plan/config/profile.ts";
import { projectDir } from "../paths.ts";

/**
 * What is to be benched (null: all profiles), or what is wrong with the arguments: a misspelt flag must not be found out after hours.
 */
export async function findVariants(named: readonly string[] | null, matrix: readonly Axis[]): Promise<readonly Variant[] | string> {
  const known = await profileIds();
  const profiles = named === null ? known : [...new Set(named)];
  const wrong = profiles.filter((id) => !known.includes(id));
  const allowed = `allowed are ${known.join(", ")}, or --all`;
  if (wrong.length > 0) return `got profile ${wrong.join(", ")}, ${allowed}`;
  if (profiles.length === 0) return `got no profile, ${allowed}`;
  try {
    const variants = planVariants(profiles, matrix);
    const problems = (await Promise.all(variants.map(problemsOf))).flat();
    return problems.length === 0 ? variants : [...new Set(problems)].join("\n");
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
}

/** What no profile could have, of a profile that is made up of another and some values. */
async function problemsOf({ id, basedOn, ...change }: Variant): Promise<string[]> {
  const file = `configs/llama-cpp-${basedOn}.env`;
  const text = await readFile(join(projectDir, file), "utf8");
  try {
    parseProfile(deriveProfile(text, change), { id, file });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.issues.filter(({ path }) => change.set[path] !== undefined).map((issue) => formatIssue({ ...issue, file: "--matrix" }));
  }
}

async function profileIds(): Promise<string[]> {
  return (await readdir(join(projectDir, "configs"))).flatMap((name) => /^llama-cpp-(.+)\.env$/.exec(name)?.[1] ?? []).sort();
}
