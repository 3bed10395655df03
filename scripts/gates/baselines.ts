import { readFile } from "node:fs/promises";

import { z } from "zod";

import { protocolVersion, type ScenarioSet } from "../../plan/benchmark/protocol.ts";
import { benchmarkResultSchema } from "../../plan/benchmark/result.ts";
import type { BenchmarkResult } from "../../plan/benchmark/result.ts";
import { benchmarkThresholdsSchema, type BenchmarkThresholds } from "../../plan/gates/thresholds.ts";
import { isForgotten } from "./forgotten.ts";
import { shortHash } from "./host.ts";
import type { VolumeStore } from "./volume-store.ts";

/** Starts kept in a baseline: the sessions of one and the same release are pooled up to this many. */
const maxStarts = 12;

/** What a release is compared with: the measurements ("sessions") of the release that last took traffic, newest last. */
export const baselineSchema = z.strictObject({
  version: z.literal(1),
  key: z.string(),
  recordedAt: z.string(),
  sessions: z.array(benchmarkResultSchema).min(1),
  /** Compared with by the operator's word, although its starts spread too much. */
  isForced: z.boolean().default(false),
});
export type Baseline = z.infer<typeof baselineSchema>;

/** Hash of all that a scenario set asks, and of the way it is run. */
export const protocolHashOf = (set: ScenarioSet): string => shortHash([protocolVersion, set]);

/** Speed is comparable on the same host, for the same model, asked the same way; image and flags are what may change. */
export function baselineKey(result: Pick<BenchmarkResult, "host" | "subject" | "scenarioSet" | "protocolHash">): string {
  return shortHash([result.host.fingerprint, result.subject.modelSha256, result.scenarioSet, result.protocolHash]);
}

/** The baseline for a key; undefined if there is none or it was reset. @throws {Error} if what is stored doesn't read as one. */
export async function readBaseline(store: VolumeStore, key: string): Promise<Baseline | undefined> {
  const found = await store.latest(`baselines/${key}`);
  if (found === undefined || isForgotten(found.document)) return undefined;
  const parsed = baselineSchema.safeParse(found.document);
  if (parsed.success) return parsed.data;
  throw new Error(`${found.path}: not a baseline: ${z.prettifyError(parsed.error).replaceAll("\n", " ")}`);
}

/** A committed result file as a baseline, if it is for this key: the same host, model and protocol. */
export async function readCommittedBaseline(file: string, key: string): Promise<Baseline | undefined> {
  const result = benchmarkResultSchema.parse(JSON.parse(await readFile(file, "utf8")));
  return baselineKey(result) === key ? { version: 1, key, recordedAt: result.startedAt, sessions: [result], isForced: false } : undefined;
}

function isSameRelease(a: BenchmarkResult, b: BenchmarkResult): boolean {
  return (
    shortHash([a.subject.imageId, a.subject.modelSha256, a.subject.flags]) ===
    shortHash([b.subject.imageId, b.subject.modelSha256, b.subject.flags])
  );
}

/**
 * Makes a passed measurement the baseline for its key, and returns the baseline's path in the volume. Measurements of one and the
 * same image, model and flags are pooled, newest first up to 12 starts; those of another release are replaced.
 */
export async function promoteBaseline(store: VolumeStore, result: BenchmarkResult, recordedAt: string): Promise<string> {
  const key = baselineKey(result);
  const earlier = (await readBaseline(store, key))?.sessions ?? [];
  const sessions: BenchmarkResult[] = [result];
  let starts = result.starts.length;
  for (const session of earlier.toReversed()) {
    if (!isSameRelease(session, result) || session.startedAt === result.startedAt) continue;
    starts += session.starts.length;
    if (starts > maxStarts) break;
    sessions.unshift(session);
  }
  const baseline: Baseline = { version: 1, key, recordedAt, sessions, isForced: false };
  return store.append(`baselines/${key}`, recordedAt, baseline);
}

/** Makes one measurement alone the baseline for its key, whatever was there; returns its path in the volume. */
export async function acceptBaseline(store: VolumeStore, result: BenchmarkResult, recordedAt: string, isForced: boolean): Promise<string> {
  const key = baselineKey(result);
  const baseline: Baseline = { version: 1, key, recordedAt, sessions: [result], isForced };
  return store.append(`baselines/${key}`, recordedAt, baseline);
}

const evidenceSchema = z.object({ benchmark: benchmarkResultSchema, input: z.object({ thresholds: benchmarkThresholdsSchema }) });

/** The measurement inside a benchmark gate's evidence file, with the thresholds it was judged by. @throws {Error} if the file is missing or torn. */
export async function readJudgedBenchmark(
  store: VolumeStore,
  path: string,
): Promise<{ benchmark: BenchmarkResult; thresholds: BenchmarkThresholds }> {
  const { benchmark, input } = evidenceSchema.parse(await store.read(path));
  return { benchmark, thresholds: input.thresholds };
}

/** The measurement alone. @throws {Error} as above. */
export async function readBenchmarkEvidence(store: VolumeStore, path: string): Promise<BenchmarkResult> {
  return (await readJudgedBenchmark(store, path)).benchmark;
}
