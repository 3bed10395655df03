import type { BenchRecord } from "../bench/record.ts";
import type { BenchmarkResult } from "../benchmark/result.ts";
import type { StartLevel } from "../gates/thresholds.ts";
import { overallSpeed, runOfResult } from "../report/runs.ts";
import type { Judgement } from "./search.ts";

/**
 * What a bench says of a candidate: its speed is the geometric mean over the scenarios. One that could not be promoted or whose perplexity gate failed is
 * none to propose, however fast.
 */
export function judgeRecord(record: BenchRecord, result: BenchmarkResult | null, level: StartLevel): Judgement {
  const { outcome, reason, gates, wallSec: sec } = record;
  const failed = (why: string): Judgement => ({ kind: "failed", reason: why, isOutOfMemory: outcome === "out-of-memory", sec });
  if (outcome !== "measured" || result === null || record.result === null) return failed(`${outcome}: ${reason}`);
  const perplexity = gates.find(({ gate }) => gate === "perplexity");
  if (perplexity?.verdict === "failed") return failed(`perplexity: ${perplexity.reason}`);
  const source = `benchmarks/${record.result}`;
  const tokensPerSec = overallSpeed(runOfResult(record.result, result, level));
  if (tokensPerSec === null) return failed(`${source} has no scenario that every start ran`);
  const measured = perplexity?.metrics.find(({ name }) => name === "perplexity")?.measured ?? null;
  return { kind: "measured", tokensPerSec, perplexity: measured, sec, source };
}
