import { steadySessions } from "../../plan/benchmark/sampling.ts";
import type { BenchmarkResult } from "../../plan/benchmark/result.ts";
import type { StartsAgainst } from "../../plan/gates/decide-starts.ts";
import type { BenchmarkInput } from "../../plan/gates/gate-input.ts";
import { isRecognised } from "../../plan/gates/stated-speeds.ts";
import type { Comparison } from "../../plan/gates/verdict.ts";
import { baselineKey, readBaseline, readCommittedBaseline } from "./baselines.ts";
import type { GateContext } from "./gate-program.ts";

/** What a candidate's starts are compared with, and where that is from. */
export interface Against extends StartsAgainst {
  readonly comparedWith: Comparison;
}

/**
 * The stored baseline of this host, model and protocol, else the committed one, else the committed speeds where they were measured on such a host.
 * Measurements that are too unsteady are not compared with; what remains without any is said aloud.
 */
export async function findAgainst(
  { host, ...result }: BenchmarkResult,
  { committedBaseline, stated, thresholds }: BenchmarkInput,
  context: GateContext,
): Promise<Against> {
  const key = baselineKey({ host, ...result });
  const stored = await readBaseline(context.store, key);
  const committed = stored === undefined && committedBaseline !== null ? await readCommittedBaseline(committedBaseline, key) : undefined;
  const found = stored ?? committed;
  const sessions = found === undefined ? [] : found.isForced ? found.sessions : steadySessions(found.sessions, thresholds);
  if (found !== undefined && sessions.length > 0) {
    const releaseId = sessions.at(-1)?.subject.releaseId ?? null;
    const source = stored === undefined ? "committed" : "stored";
    return { sessions, stated: null, comparedWith: { source, name: key, recordedAt: found.recordedAt, releaseId } };
  }
  const unsteady = found === undefined ? "" : ", but for measurements that are too unsteady to compare with";
  const name = `no baseline for this host (${host.fingerprint}), model and protocol${unsteady}`;
  if (stated !== null && isRecognised(stated.host, host)) {
    context.progress(`${name}: comparing with the speeds that ${stated.file} states for such a host`);
    return { sessions: [], stated, comparedWith: { source: "committed", name: stated.file, recordedAt: null, releaseId: null } };
  }
  context.progress(`${name}: only floors decide, which say that the release is usable, not that it is as fast as before`);
  return { sessions: [], stated: null, comparedWith: { source: "floors", name, recordedAt: null, releaseId: null } };
}
