import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { benchmarkResultSchema } from "../../plan/benchmark/result.ts";
import type { NamedResult } from "../../plan/bench/format-compare.ts";
import { compare } from "../../plan/report/runs.ts";

/** Most things that are said of a file that does not read: another kind of file has dozens. */
const mostIssues = 3;

/** One result file. @throws {Error} naming the file and what does not read */
export async function readResult(file: string): Promise<NamedResult> {
  const parsed = benchmarkResultSchema.safeParse(await readJson(file));
  if (parsed.success) return { file, result: parsed.data };
  const { issues } = parsed.error;
  const shown = z.prettifyError(new z.ZodError(issues.slice(0, mostIssues))).replaceAll(/\s*\n\s*/g, " ");
  const more = issues.length > mostIssues ? ` and ${issues.length - mostIssues} more` : "";
  throw new Error(`${file}: not a result file: ${shown}${more}`);
}

/** @throws {Error} naming the file, if it can't be read or is not JSON */
async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw new Error(`${file}: not a result file`, { cause: error });
  }
}

/** Every result of a folder that reads, oldest first; those that don't are left to the report, which names them. */
export async function readResults(folder: string): Promise<NamedResult[]> {
  const names = (await readdir(folder)).filter((name) => name.startsWith("llama-cpp-") && name.endsWith(".json"));
  const read = await Promise.allSettled(names.map((name) => readResult(join(folder, name))));
  const results = read.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  return results.sort((a, b) => compare(a.result.startedAt, b.result.startedAt) || compare(basename(a.file), basename(b.file)));
}

/** The newest result of each of two builds, for every profile and host that has both, asked the same way. */
export function pairsOfBuilds(results: readonly NamedResult[], baseline: string, candidate: string): [NamedResult, NamedResult][] {
  const keyOf = ({ result: { subject, host, scenarioSet, protocolHash } }: NamedResult): string =>
    [subject.profile, subject.modelSha256, host.fingerprint, scenarioSet, protocolHash].join("\n");
  const newest = (build: string): Map<string, NamedResult> =>
    new Map(results.filter(({ result }) => result.build === build).map((one) => [keyOf(one), one]));
  const after = newest(candidate);
  return [...newest(baseline)].flatMap(([key, one]) => {
    const other = after.get(key);
    return other === undefined ? [] : [[one, other]];
  });
}
