import { mean } from "simple-statistics";

import { variationPercent } from "../gates/statistics.ts";
import type { BenchmarkThresholds } from "../gates/thresholds.ts";
import type { BenchmarkResult } from "./result.ts";
import { findUnsteady, speedMetrics, startLevels } from "./sampling.ts";

/** A gated metric of a baseline; `level` and the sessions' own levels are geometric means over starts, in `unit`. */
export interface BaselineMetric {
  readonly name: string;
  readonly unit: string;
  readonly level: number;
  readonly spreadPercent: number;
  readonly sessionLevels: readonly number[];
}

/** What a baseline says of a stack's gated metrics; `unsteady` names what keeps gates from comparing with it, per session. */
export interface BaselineReport {
  readonly starts: number;
  readonly metrics: readonly BaselineMetric[];
  readonly unsteady: readonly string[];
}

/**
 * The sessions of a baseline as a gate with these thresholds would see them.
 * @throws {RangeError} if a session lacks a scenario that the thresholds name
 */
export function reportBaseline(sessions: readonly BenchmarkResult[], thresholds: BenchmarkThresholds): BaselineReport {
  const metrics = thresholds.metrics.map((gated): BaselineMetric => {
    const { label, unit } = speedMetrics[gated.metric];
    const levels = sessions.map(({ starts }) => startLevels(starts, gated, thresholds.startLevel));
    return {
      name: `${gated.scenario} ${label}`,
      unit,
      level: Math.exp(mean(levels.flat())),
      spreadPercent: variationPercent(levels.flat()),
      sessionLevels: levels.map((logs) => Math.exp(mean(logs))),
    };
  });
  return {
    starts: sessions.reduce((sum, { starts }) => sum + starts.length, 0),
    metrics,
    unsteady: sessions.flatMap((session) => findUnsteady(session, thresholds).map((reason) => `${session.startedAt}: ${reason}`)),
  };
}

/** A span of seconds for a reader: `45 s`, `12 min`, `3 h`, `5 days`. */
export function describeAge(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}
