import type { BenchmarkResult } from "../../plan/benchmark/result.ts";
import type { ScenarioSet } from "../../plan/benchmark/protocol.ts";
import type { ServerSeen } from "../../plan/drift/observation.ts";
import type { ChatServer } from "../gates/chat-client.ts";
import { ScenarioRun } from "../gates/scenario-run.ts";
import { median } from "simple-statistics";

/** Requests of a probe; the fastest counts, because neighbours only ever slow. */
const requests = 3;

/**
 * Decode speed of a short probe beside the promoted measurement's: the first single-request scenario of the benchmark, as it was asked then.
 * Null where the measurement has none.
 */
export async function probeSpeed(
  server: ChatServer,
  set: ScenarioSet,
  benchmark: BenchmarkResult,
  signal: AbortSignal,
): Promise<ServerSeen["speed"]> {
  const scenario = set.scenarios.find(({ kind }) => kind === "single");
  if (scenario?.kind !== "single") return null;
  const then = benchmark.starts.flatMap((start) => start.requests.filter((request) => request.scenario === scenario.name));
  if (then.length === 0) return null;
  const now = await new ScenarioRun(server, { ...set, scenarios: [{ ...scenario, requests }] }, benchmark.ctxSize, signal).all(false);
  return {
    measured: Math.max(...now.map(({ decodeTokensPerSec }) => decodeTokensPerSec)),
    baseline: median(then.map(({ decodeTokensPerSec }) => decodeTokensPerSec)),
  };
}
