import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type Docker from "dockerode";
import { parse } from "yaml";
import { benchRecordSchema, recordPrefix } from "../../plan/bench/record.ts";
import { benchmarkResultSchema } from "../../plan/benchmark/result.ts";
import { parseExpectations } from "../../plan/config/expectations.ts";
import { parseModels } from "../../plan/config/models.ts";
import { parseProfile } from "../../plan/config/profile.ts";
import { benchmarkThresholdsSchema, type BenchmarkThresholds } from "../../plan/gates/thresholds.ts";
import { perplexityReferenceSchema } from "../../plan/gates/reference.ts";
import { parseHandOver } from "../../plan/report/handover.ts";
import type { Filed, ReportInput } from "../../plan/report/input.ts";
import { readPlanRows } from "../plan-table.ts";
import { describeError } from "../program.ts";
import { z } from "zod";

const resultsFolder = "benchmarks";
const handOverPrefix = "handover-";
const resultPrefix = "llama-cpp-";

/** The part of a stack's file that says how its gate decides. */
const stackFileSchema = z.object({
  config: z.object({
    "llm-server:gates": z.object({
      benchmark: z.object({ scenarioSet: z.string(), dryRun: z.boolean().default(false), thresholds: benchmarkThresholdsSchema }),
    }),
  }),
});

export interface ReadOptions {
  /** The project's folder. */
  readonly folder: string;
  readonly vramMiB: number;
  /** Null: the engine isn't asked for its own answer. */
  readonly docker: Docker | null;
}

/** Everything that a report is made from, out of the project's files. A result that does not read is named, and stops nothing. */
export async function readReportInput({ folder, vramMiB, docker }: ReadOptions): Promise<ReportInput> {
  const names = await list(join(folder, resultsFolder));
  const unreadable: { file: string; reason: string }[] = [];
  const readAll = async <S extends z.ZodType>(prefix: string, schema: S): Promise<Filed<z.output<S>>[]> => {
    const all: Filed<z.output<S>>[] = [];
    for (const name of names.filter((one) => one.startsWith(prefix))) {
      const file = `${resultsFolder}/${name}`;
      try {
        all.push({ file, content: schema.parse(JSON.parse(await readFile(join(folder, file), "utf8"))) });
      } catch (error) {
        unreadable.push({ file, reason: describeError(error).replaceAll(/\s*\n\s*/g, "; ") });
      }
    }
    return all;
  };
  const results = await readAll(resultPrefix, benchmarkResultSchema);
  const records = await readAll(recordPrefix, benchRecordSchema);
  const models = parseModels(await readFile(join(folder, "configs/models.yaml"), "utf8"));
  const profiles = await readProfileModels(folder);
  const thresholds = await readThresholds(folder);
  const measured = measuredMemory(results);
  const rows = await readPlanRows({ folder, vramMiB, set: {}, profiles: [], docker });
  return {
    results,
    records,
    handOvers: await readHandOvers(folder, names),
    references: await readReferences(folder),
    unreadable,
    memory: rows.map((row) => ({ ...row, measured: measured.get(row.profile) ?? row.measured })),
    vramMiB,
    modelOf: (profile) => profiles.get(profile),
    familyOf: (model) => (Object.hasOwn(models, model) ? models[model]?.family : undefined),
    thresholdsOf: (scenarioSet) => thresholds.get(scenarioSet),
  };
}

/** Highest memory of each profile's newest result that has one. */
function measuredMemory(results: ReportInput["results"]): Map<string, { memoryMiB: number; source: string }> {
  const measured = new Map<string, { memoryMiB: number; source: string }>();
  for (const { file, content } of results) {
    const peaks = content.starts.flatMap(({ memoryPeakMiB }) => memoryPeakMiB ?? []);
    if (peaks.length > 0) measured.set(content.subject.profile, { memoryMiB: Math.max(...peaks), source: file });
  }
  return measured;
}

async function readHandOvers(folder: string, names: readonly string[]): Promise<ReportInput["handOvers"]> {
  return Promise.all(
    names
      .filter((name) => name.startsWith(handOverPrefix))
      .map(async (name) => {
        const file = `${resultsFolder}/${name}`;
        const content = parseHandOver(await readFile(join(folder, file), "utf8"), file);
        return {
          file,
          content,
          expectations: parseExpectations(await readFile(join(folder, content.expectations), "utf8"), content.expectations),
        };
      }),
  );
}

async function readReferences(folder: string): Promise<ReportInput["references"]> {
  const names = await list(join(folder, "configs/references"));
  const all: Filed<z.output<typeof perplexityReferenceSchema>>[] = [];
  for (const name of names) {
    const file = `configs/references/${name}`;
    const parsed = perplexityReferenceSchema.safeParse(JSON.parse(await readFile(join(folder, file), "utf8")));
    if (parsed.success) all.push({ file, content: parsed.data }); // references of other gates lie there too
  }
  return all;
}

async function readProfileModels(folder: string): Promise<Map<string, string>> {
  const models = new Map<string, string>();
  for (const name of await list(join(folder, "configs"), ".env")) {
    const [, id] = /^llama-cpp-(.+)\.env$/.exec(name) ?? [];
    if (id === undefined) continue;
    const file = `configs/${name}`;
    models.set(id, parseProfile(await readFile(join(folder, file), "utf8"), { id, file }).model);
  }
  return models;
}

/** What the gates decide by, by scenario set; of several stacks with one set, the first by name of those whose gate decides, else of those that only report. */
export async function readThresholds(folder: string): Promise<Map<string, BenchmarkThresholds>> {
  const names = (await readdir(folder)).filter((name) => /^Pulumi\.[^.]+\.yaml$/.test(name)).sort();
  const gates = await Promise.all(names.map(async (name) => stackFileSchema.safeParse(parse(await readFile(join(folder, name), "utf8")))));
  const benchmarks = gates.flatMap(({ data }) => (data === undefined ? [] : [data.config["llm-server:gates"].benchmark]));
  const thresholds = new Map<string, BenchmarkThresholds>();
  for (const { scenarioSet, thresholds: own } of [
    ...benchmarks.filter(({ dryRun }) => !dryRun),
    ...benchmarks.filter(({ dryRun }) => dryRun),
  ])
    if (!thresholds.has(scenarioSet)) thresholds.set(scenarioSet, own);
  return thresholds;
}

/** Names in a folder that end with `ending`, sorted; none where there is no such folder. */
async function list(folder: string, ending = ".json"): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith(ending)).sort();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}
