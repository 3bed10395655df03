import { speedMetrics, startLevels, steadySessions } from "../../plan/benchmark/sampling.ts";
import type { BenchmarkResult, StartSample } from "../../plan/benchmark/result.ts";
import type { BenchmarkInput } from "../../plan/gates/gate-input.ts";
import { decideFloors, decideSpeed, decideStated } from "../../plan/gates/speed-gate.ts";
import type { SpeedDecision } from "../../plan/gates/speed-gate.ts";
import { isRecognised } from "../../plan/gates/stated-speeds.ts";
import type { StatedSpeeds } from "../../plan/gates/stated-speeds.ts";
import type { Comparison } from "../../plan/gates/verdict.ts";
import { baselineKey, readBaseline, readCommittedBaseline } from "./baselines.ts";
import type { GateContext } from "./gate-program.ts";

/** What a candidate's starts are compared with: measurements, else stated speeds, else nothing but floors. */
export interface Against {
  readonly sessions: readonly BenchmarkResult[];
  readonly stated: StatedSpeeds | null;
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
  const unsteady = found === undefined ? "" : ", but for measurements that spread too much to compare with";
  const name = `no baseline for this host (${host.fingerprint}), model and protocol${unsteady}`;
  if (stated !== null && isRecognised(stated.host, host)) {
    context.progress(`${name}: comparing with the speeds that ${stated.file} states for such a host`);
    return { sessions: [], stated, comparedWith: { source: "committed", name: stated.file, recordedAt: null, releaseId: null } };
  }
  context.progress(`${name}: only floors decide, which say that the release is usable, not that it is as fast as before`);
  return { sessions: [], stated: null, comparedWith: { source: "floors", name, recordedAt: null, releaseId: null } };
}

/** Decides on the starts taken so far. @throws {RangeError} if a start or a session lacks a gated scenario */
export function decideStarts(starts: readonly StartSample[], { sessions, stated }: Against, { thresholds }: BenchmarkInput): SpeedDecision {
  const metrics = thresholds.metrics.map((gated) => {
    const { unit, better, label } = speedMetrics[gated.metric];
    const candidate = startLevels(starts, gated, thresholds.startLevel);
    const { marginPercent = thresholds.marginPercent, floor = null } = gated;
    return { gated, floor, marginPercent, name: `${gated.scenario} ${label}`, unit, better, candidate };
  });
  if (sessions.length > 0) {
    const samples = metrics.map(({ gated, ...rest }) => ({
      ...rest,
      baseline: sessions.flatMap((session) => startLevels(session.starts, gated, thresholds.startLevel)),
      baselineSessions: sessions.length,
    }));
    return decideSpeed(samples, thresholds);
  }
  if (stated === null) return decideFloors(metrics);
  const known = metrics.map(({ gated, ...rest }) => {
    const speed = gated.metric === "decode" ? stated.decodeTokensPerSec[gated.scenario] : undefined;
    return { ...rest, stated: speed === undefined ? null : Math.log(speed) };
  });
  return decideStated(known, thresholds, thresholds.stated);
}
