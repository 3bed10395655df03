import type { BenchmarkResult } from "../benchmark/result.ts";
import { findUnsteady, isBusy, speedMetrics } from "../benchmark/sampling.ts";
import { decideStarts } from "../gates/decide-starts.ts";
import { decideSpeed } from "../gates/speed-gate.ts";
import type { BenchmarkThresholds, GatedMetric, SpeedMetricName } from "../gates/thresholds.ts";
import { combineVerdicts, type MetricVerdict, type Verdict } from "../gates/verdict.ts";
import { levelsOf, scenariosOf } from "../report/runs.ts";

/** One metric of both results; `decides` says whether the verdict counts it. */
export interface ComparedMetric extends MetricVerdict {
  readonly scenario: string;
  readonly metric: SpeedMetricName;
  readonly decides: boolean;
}

/** Whether `candidate` is as fast as `baseline`. */
export interface SpeedComparison {
  readonly verdict: Verdict;
  readonly reason: string;
  /** What else differs between the two, for a reader. */
  readonly differences: readonly string[];
  /** What makes the two measurements say less than they might: starts that spread, a busy host. */
  readonly doubts: readonly string[];
  readonly metrics: readonly ComparedMetric[];
}

const metricNames = ["decode", "prompt", "firstToken"] as const;

/** What differs between two results: of `blocking` things a comparison says nothing, the others are what one compares. */
export function differencesOf(baseline: BenchmarkResult, candidate: BenchmarkResult): { blocking: string[]; other: string[] } {
  const differs = (what: string, a: string, b: string): string[] => (a === b ? [] : [`${what}: ${a} and ${b}`]);
  const flags = [...new Set([...Object.keys(baseline.subject.flags), ...Object.keys(candidate.subject.flags)])].sort();
  return {
    blocking: [
      ...differs("host", baseline.host.fingerprint, candidate.host.fingerprint),
      ...differs("scenario set", baseline.scenarioSet, candidate.scenarioSet),
      ...differs("protocol", baseline.protocolHash, candidate.protocolHash),
    ],
    other: [
      ...differs("profile", baseline.subject.profile, candidate.subject.profile),
      ...differs("build", baseline.build, candidate.build),
      ...differs("model", baseline.subject.modelSha256.slice(0, 12), candidate.subject.modelSha256.slice(0, 12)),
      ...flags.flatMap((flag) => differs(flag, baseline.subject.flags[flag] ?? "default", candidate.subject.flags[flag] ?? "default")),
    ],
  };
}

/**
 * The benchmark gate's decision on two results: all gated metrics that both have, together, with one look at all starts. The other metrics are reported
 * beside them, each by itself. Results of other hosts or questions are `inconclusive` unless `anyway`, and so is a baseline that the gate would not compare
 * with: on one that was taken beside other work everything is faster than it.
 */
export function compareSpeed(
  baseline: BenchmarkResult,
  candidate: BenchmarkResult,
  thresholds: BenchmarkThresholds,
  anyway = false,
): SpeedComparison {
  const { blocking, other } = differencesOf(baseline, candidate);
  const common = scenariosOf(baseline).filter((name) => scenariosOf(candidate).includes(name));
  const settings = { ...thresholds, metrics: thresholds.metrics.filter(({ scenario }) => common.includes(scenario)) };
  const unsteady = findUnsteady(baseline, settings);
  const doubts = [...unsteady.map((reason) => `baseline: ${reason}`), ...busyStarts(candidate, settings)];
  const undecided = (reason: string): SpeedComparison => ({
    verdict: "inconclusive",
    reason,
    differences: other,
    doubts,
    metrics: [],
  });
  if (blocking.length > 0 && !anyway) return undecided(`not comparable: ${blocking.join("; ")}; --anyway compares all the same`);
  const starts = [baseline, candidate].map((result) => result.starts.length);
  if (Math.min(...starts) < 2) return undecided(`${starts.join(" and ")} starts, at least 2 each are needed`);
  if (unsteady.length > 0 && !anyway)
    return undecided(`the baseline is too unsteady to compare with: ${unsteady.join("; ")}; --anyway compares all the same`);
  const gated = decideGated(baseline, candidate, settings);
  const metrics = common.flatMap((scenario) =>
    metricNames.map((metric): ComparedMetric => {
      const decided = gated.find((one) => one.scenario === scenario && one.metric === metric);
      return decided ?? { ...reportMetric(baseline, candidate, { scenario, metric }, settings), scenario, metric, decides: false };
    }),
  );
  return { ...describe(gated), differences: [...blocking, ...other], doubts, metrics };
}

/** The gated metrics as the gate decides them: together, so that they share what any one of them may fail wrongly by. */
function decideGated(baseline: BenchmarkResult, candidate: BenchmarkResult, settings: BenchmarkThresholds): ComparedMetric[] {
  if (settings.metrics.length === 0) return [];
  const look = { ...settings, looks: [candidate.starts.length] };
  const { metrics } = decideStarts(candidate.starts, { sessions: [baseline], stated: null }, look, candidate.host.cpus);
  return settings.metrics.flatMap(({ scenario, metric }, index) => {
    const decided = metrics[index];
    return decided === undefined ? [] : [{ ...decided, scenario, metric, decides: true }];
  });
}

/** One metric that nothing hangs on. */
function reportMetric(
  baseline: BenchmarkResult,
  candidate: BenchmarkResult,
  { scenario, metric }: Pick<GatedMetric, "scenario" | "metric">,
  settings: BenchmarkThresholds,
): MetricVerdict {
  const { unit, better, label } = speedMetrics[metric];
  const levels = (result: BenchmarkResult): number[] => levelsOf(result, scenario, metric, settings.startLevel);
  const samples = {
    name: `${scenario} ${label}`,
    unit,
    better,
    marginPercent: settings.marginPercent,
    candidate: levels(candidate),
    baseline: levels(baseline),
    baselineSessions: 1,
  };
  const { metrics } = decideSpeed([samples], { ...settings, looks: [samples.candidate.length] });
  const [decided] = metrics;
  if (decided === undefined) throw new RangeError(`${samples.name}: no decision`);
  return decided;
}

function describe(gated: readonly ComparedMetric[]): Pick<SpeedComparison, "verdict" | "reason"> {
  if (gated.length === 0) return { verdict: "inconclusive", reason: "the two have no gated metric in common" };
  const open = gated.filter(({ verdict }) => verdict !== "passed").map(({ name, verdict }) => `${name} ${verdict}`);
  const verdict = combineVerdicts(gated.map((metric) => metric.verdict));
  return { verdict, reason: open.length === 0 ? `${gated.length} metrics within their margins` : open.join(", ") };
}

/** That some of a candidate's starts were taken beside other work, which nothing fails by. */
function busyStarts({ starts, host }: BenchmarkResult, thresholds: BenchmarkThresholds): string[] {
  const busy = starts.filter((start) => isBusy(start, host.cpus, thresholds)).length;
  const limit = thresholds.maxLoadPerCpu * host.cpus;
  return busy === 0 ? [] : [`candidate: ${busy} of ${starts.length} starts at a load average above ${limit}, on ${host.cpus} CPUs`];
}
