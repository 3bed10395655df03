import type { BenchmarkResult, StartSample } from "../benchmark/result.ts";
import { isBusy, speedMetrics, startLevels } from "../benchmark/sampling.ts";
import { decideFloors, decideSpeed, decideStated, type SpeedDecision } from "./speed-gate.ts";
import type { StatedSpeeds } from "./stated-speeds.ts";
import type { BenchmarkThresholds } from "./thresholds.ts";
import { combineVerdicts, type MetricVerdict } from "./verdict.ts";

/** What starts are compared with: measurements, else stated speeds, else nothing but floors. */
export interface StartsAgainst {
  readonly sessions: readonly BenchmarkResult[];
  readonly stated: StatedSpeeds | null;
}

/**
 * Decides on the starts taken so far, on a host of `cpus` CPUs. Neighbours only ever slow, so what passed beside them passed; where it did not, the starts
 * that were not taken beside a busy host's other work decide, and too few of those decide nothing. Floors are held whatever the load: they are far below.
 * @throws {RangeError} if a start or a session lacks a gated scenario
 */
export function decideStarts(
  starts: readonly StartSample[],
  against: StartsAgainst,
  thresholds: BenchmarkThresholds,
  cpus: number,
): SpeedDecision {
  const decision = decideAll(starts, against, thresholds);
  const isCompared = against.sessions.length > 0 || against.stated !== null;
  const quiet = starts.filter((start) => !isBusy(start, cpus, thresholds));
  if (decision.verdict === "passed" || !isCompared || quiet.length === starts.length) return decision;
  const startsWanted = thresholds.looks.find((look) => look > starts.length) ?? null;
  const onQuiet = quiet.length < (thresholds.looks[0] ?? 1) ? withoutFailures(decision) : decideAll(quiet, against, thresholds);
  return onQuiet.verdict === "inconclusive" ? { ...onQuiet, startsWanted } : onQuiet;
}

/** The decision with every failure in doubt. */
function withoutFailures({ metrics }: SpeedDecision): SpeedDecision {
  const doubted = metrics.map((metric): MetricVerdict => {
    if (metric.verdict !== "failed") return metric;
    return { ...metric, verdict: "inconclusive", note: "the host was too busy to fail a release on it" };
  });
  return { verdict: combineVerdicts(doubted.map(({ verdict }) => verdict)), metrics: doubted, startsWanted: null };
}

function decideAll(starts: readonly StartSample[], { sessions, stated }: StartsAgainst, thresholds: BenchmarkThresholds): SpeedDecision {
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
