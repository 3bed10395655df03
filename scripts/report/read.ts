import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type Docker from "dockerode";
import { parse } from "yaml";
import { benchRecordSchema, recordPrefix } from "../../plan/bench/record.ts";
import { benchmarkResultSchema } from "../../plan/benchmark/result.ts";
import { parseExpectations } from "../../plan/config/expectations.ts";
import { parseModels } from "../../plan/config/models.ts";
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
const referencesFolder = "configs/references";

/** The part of a stack's file that says how its gate decides. */
const stackFileSchema = z.object({
  config: z.object({
    "llm-server:gates": z.object({
      benchmark: z.object({ scenarioSet: z.string(), dryRun: z.boolean().default(false), thresholds: benchmarkThresholdsSchema }),
    }),
  }),
});

type StackGate = z.output<typeof stackFileSchema>["config"]["llm-server:gates"]["benchmark"];

export interface ReadOptions {
  /** The project's folder. */
  readonly folder: string;
  readonly vramMiB: number;
  /** Null: the engine isn't asked for its own answer. */
  readonly docker: Docker | null;
}

/** Everything that a report is made from, out of the project's files. A result, hand-over, reference, profile or stack file that does not read is named, and stops nothing. */
export async function readReportInput({ folder, vramMiB, docker }: ReadOptions): Promise<ReportInput> {
  const files = new ProjectFiles(folder);
  const named = async (prefix: string): Promise<string[]> =>
    (await list(join(folder, resultsFolder))).filter((name) => name.startsWith(prefix)).map((name) => `${resultsFolder}/${name}`);
  const results = await files.all(await named(resultPrefix), (text) => benchmarkResultSchema.parse(JSON.parse(text)));
  const records = await files.all(await named(recordPrefix), (text) => benchRecordSchema.parse(JSON.parse(text)));
  const handOvers = await files.all(await named(handOverPrefix), (text, file) => readHandOver(folder, text, file));
  const models = parseModels(await readFile(join(folder, "configs/models.yaml"), "utf8"));
  const thresholds = await readThresholds(folder, files.say);
  const memory = await readPlanRows({ folder, vramMiB, set: {}, profiles: [], docker, onUnreadable: files.say });
  return {
    results,
    records,
    handOvers: handOvers.map(({ file, content }) => ({ file, ...content })),
    references: await readReferences(files),
    unreadable: files.unreadable,
    memory,
    vramMiB,
    modelOf: (id) => memory.find(({ profile }) => profile === id)?.model,
    familyOf: (model) => (Object.hasOwn(models, model) ? models[model]?.family : undefined),
    thresholdsOf: (scenarioSet) => thresholds.get(scenarioSet),
  };
}

/** A project's files as they are read, and those that do not read. */
class ProjectFiles {
  readonly folder: string;
  readonly unreadable: { file: string; reason: string }[] = [];

  constructor(folder: string) {
    this.folder = folder;
  }

  readonly say = (file: string, error: unknown): void => {
    this.unreadable.push({ file, reason: describeError(error).replaceAll(/\s*\n\s*/g, "; ") });
  };

  /** Those of the files that read, in their order. */
  async all<T>(files: readonly string[], parseText: (text: string, file: string) => T | Promise<T>): Promise<Filed<T>[]> {
    const all: Filed<T>[] = [];
    for (const file of files) {
      try {
        all.push({ file, content: await parseText(await readFile(join(this.folder, file), "utf8"), file) });
      } catch (error) {
        this.say(file, error);
      }
    }
    return all;
  }
}

async function readHandOver(folder: string, text: string, file: string): Promise<Omit<ReportInput["handOvers"][number], "file">> {
  const content = parseHandOver(text, file);
  return { content, expectations: parseExpectations(await readFile(join(folder, content.expectations), "utf8"), content.expectations) };
}

async function readReferences(files: ProjectFiles): Promise<ReportInput["references"]> {
  const names = (await list(join(files.folder, referencesFolder))).map((name) => `${referencesFolder}/${name}`);
  const all = await files.all(names, (text) => perplexityReferenceSchema.safeParse(JSON.parse(text)).data);
  return all.flatMap(({ file, content }) => (content === undefined ? [] : [{ file, content }])); // references of other gates lie there too
}

/**
 * What the gates decide by, by scenario set; of several stacks with one set, the first by name of those whose gate decides, else of those that only
 * report. `onUnreadable` is told of a stack's file that is no YAML.
 */
export async function readThresholds(
  folder: string,
  onUnreadable: (file: string, error: unknown) => void,
): Promise<Map<string, BenchmarkThresholds>> {
  const names = (await readdir(folder)).filter((name) => /^Pulumi\.[^.]+\.yaml$/.test(name)).sort();
  const benchmarks: StackGate[] = [];
  for (const name of names) {
    try {
      const { data } = stackFileSchema.safeParse(parse(await readFile(join(folder, name), "utf8")));
      if (data !== undefined) benchmarks.push(data.config["llm-server:gates"].benchmark);
    } catch (error) {
      onUnreadable(name, error);
    }
  }
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
