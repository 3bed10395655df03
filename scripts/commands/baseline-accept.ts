import { readFile } from "node:fs/promises";
import { benchmarkResultSchema, type BenchmarkResult } from "../../plan/benchmark/result.ts";
import { findUnsteady } from "../../plan/benchmark/sampling.ts";
import type { BenchmarkThresholds } from "../../plan/gates/thresholds.ts";
import { gateNameSchema, type GateName } from "../../plan/gates/verdict.ts";
import { promoteAnswers } from "../gates/answers-store.ts";
import { acceptBaseline, readBenchmarkEvidence } from "../gates/baselines.ts";
import { readReferenceEvidence, storeReference } from "../gates/references.ts";
import type { VolumeStore } from "../gates/volume-store.ts";

/** What came of accepting; `path` is null where the measurement was too unsteady, which `unsteady` then says. */
export interface Accepted {
  readonly gate: GateName;
  readonly path: string | null;
  readonly unsteady: readonly string[];
}

/** Gate of an evidence path `evidence/<release>/<gate>/<file>`; undefined for any other text. */
function gateOf(path: string): GateName | undefined {
  const [top, , gate, file] = path.split("/");
  const parsed = gateNameSchema.safeParse(gate);
  return top === "evidence" && file !== undefined && parsed.success ? parsed.data : undefined;
}

async function readResultFile(file: string): Promise<BenchmarkResult> {
  const parsed = benchmarkResultSchema.safeParse(JSON.parse(await readFile(file, "utf8")));
  if (parsed.success) return parsed.data;
  throw new Error(
    `${file}: not a benchmark's result file; expected benchmarks/llama-cpp-….json, or evidence/<release>/<gate>/… in the volume`,
  );
}

/**
 * Makes one measurement what releases are compared with from now on: a benchmark alone, without what was measured of the same release before.
 * @throws {Error} if there is no such measurement, or it does not read as one
 */
export async function acceptMeasurement(
  store: VolumeStore,
  thresholds: BenchmarkThresholds,
  measurement: string,
  isForced: boolean,
): Promise<Accepted> {
  const gate = gateOf(measurement) ?? "benchmark";
  const now = new Date().toISOString();
  if (gate === "answers") return { gate, path: await promoteAnswers(store, measurement, now), unsteady: [] };
  if (gate === "perplexity") {
    const reference = { ...(await readReferenceEvidence(store, measurement)), recordedAt: now }; // the newest version is the one that counts
    return { gate, path: await storeReference(store, reference), unsteady: [] };
  }
  const isEvidence = gateOf(measurement) !== undefined;
  const result = isEvidence ? await readBenchmarkEvidence(store, measurement) : await readResultFile(measurement);
  const unsteady = findUnsteady(result, thresholds);
  const path = unsteady.length === 0 || isForced ? await acceptBaseline(store, result, now, isForced) : null;
  return { gate, path, unsteady };
}
