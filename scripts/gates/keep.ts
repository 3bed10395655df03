import { findUnsteady } from "../../plan/benchmark/sampling.ts";
import type { GateResult } from "../../plan/gates/verdict.ts";
import { promoteAnswers } from "./answers-store.ts";
import { promoteBaseline, readJudgedBenchmark } from "./baselines.ts";
import type { VolumeStore } from "./volume-store.ts";

/**
 * Makes what a release's gates measured what the next ones are compared with, once it takes traffic; returns a line on each gate for the operator.
 * A benchmark becomes the baseline unless its starts spread too much, and answers become the reference only where there was none: it does not move by
 * itself, so that small differences can't add up. Gates that only reported (`dryRun`), and perplexity, change nothing.
 */
export async function keepMeasurements(store: VolumeStore, gates: readonly GateResult[], promotedAt: string): Promise<string[]> {
  const lines: string[] = [];
  for (const result of gates) {
    const { gate, dryRun, verdict, evidence } = result;
    if (dryRun || verdict !== "passed" || gate === "perplexity") continue;
    if (evidence === null) lines.push(`${gate}: no evidence could be kept, so what releases are compared with stays as it was`);
    else if (gate === "benchmark") lines.push(await keepBenchmark(store, evidence, promotedAt));
    else if (result.comparedWith?.source === "floors")
      lines.push(`answers: reference ${await promoteAnswers(store, evidence, promotedAt)}`);
  }
  return lines;
}

async function keepBenchmark(store: VolumeStore, evidence: string, promotedAt: string): Promise<string> {
  const { benchmark, thresholds } = await readJudgedBenchmark(store, evidence);
  const unsteady = findUnsteady(benchmark, thresholds);
  if (unsteady.length > 0)
    return `benchmark: the baseline stays as it was, because this measurement is too unsteady to compare with: ${unsteady.join(", ")}`;
  return `benchmark: baseline ${await promoteBaseline(store, benchmark, promotedAt)}`;
}
