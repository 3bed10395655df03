import type { BenchmarkResult } from "../benchmark/result.ts";
import { speedMetrics } from "../benchmark/sampling.ts";
import { decideSpeed } from "../gates/speed-gate.ts";
import type { BenchmarkThresholds, SpeedMetricName } from "../gates/thresholds.ts";
import { combineVerdicts, type MetricVerdict, type Verdict } from "../gates/verdict.ts";
import { levelsOf, scenariosOf } from "../report/runs.ts";

/** What a comparison decides by: a gate's settings, but for its looks, because all starts are there already. */
export type CompareSettings = Pick<
  BenchmarkThresholds,
  "metrics" | "marginPercent" | "alpha" | "startLevel" | "maxVariationPercent" | "sessionSpreadPercent"
>;

/** One metric of both results; `decides` says whether the verdict counts it. */
export interface ComparedMetric extends MetricVerdict {
  readonly scenario: string;
  readonly metric: SpeedMetricName;
  readonly decides: boolean;
}

/** Whether `candidate` is as fast as `baseline`. `differences` are what else differs between the two, for a reader. */
export interface SpeedComparison {
  readonly verdict: Verdict;
  readonly reason: string;
  readonly differences: readonly string[];
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
 * The benchmark gate's statistics on two results, every scenario and metric that both have. The gated metrics decide; the others are reported beside
 * them. Results of other hosts or questions are `inconclusive` unless `anyway`.
 */
export function compareSpeed(
  baseline: BenchmarkResult,
  candidate: BenchmarkResult,
  settings: CompareSettings,
  anyway = false,
): SpeedComparison {
  const { blocking, other } = differencesOf(baseline, candidate);
  if (blocking.length > 0 && !anyway)
    return {
      verdict: "inconclusive",
      reason: `not comparable: ${blocking.join("; ")}; --anyway compares all the same`,
      differences: other,
      metrics: [],
    };
  const common = scenariosOf(baseline).filter((name) => scenariosOf(candidate).includes(name));
  const metrics = common.flatMap((scenario) =>
    metricNames.map((metric) => compareMetric(baseline, candidate, { scenario, metric }, settings)),
  );
  const deciding = metrics.filter(({ decides }) => decides);
  const verdict = deciding.length === 0 ? "inconclusive" : combineVerdicts(deciding.map((metric) => metric.verdict));
  const open = deciding.filter((metric) => metric.verdict !== "passed").map(({ name, verdict: own }) => `${name} ${own}`);
  const reason =
    deciding.length === 0
      ? "the two have no gated metric in common"
      : open.length === 0
        ? `${deciding.length} metrics within their margins`
        : open.join(", ");
  return { verdict, reason, differences: [...blocking, ...other], metrics };
}

function compareMetric(
  baseline: BenchmarkResult,
  candidate: BenchmarkResult,
  { scenario, metric }: { readonly scenario: string; readonly metric: SpeedMetricName },
  settings: CompareSettings,
): ComparedMetric {
  const { unit, better, label } = speedMetrics[metric];
  const gated = settings.metrics.find((one) => one.scenario === scenario && one.metric === metric);
  const levels = (result: BenchmarkResult): number[] => levelsOf(result, scenario, metric, settings.startLevel);
  const [before, after] = [levels(baseline), levels(candidate)];
  const samples = {
    name: `${scenario} ${label}`,
    unit,
    better,
    marginPercent: gated?.marginPercent ?? settings.marginPercent,
    candidate: after,
    baseline: before,
    baselineSessions: 1,
  };
  const isEnough = Math.min(before.length, after.length) > 1;
  // one look at all starts; a first look that is never reached says how few there were
  const { metrics } = decideSpeed([samples], { ...settings, looks: [isEnough ? after.length : after.length + 1] });
  const [decided] = metrics;
  if (decided === undefined) throw new RangeError(`${samples.name}: no decision`);
  const few = isEnough ? {} : { note: `${before.length} and ${after.length} starts, at least 2 each are needed` };
  return { ...decided, ...few, scenario, metric, decides: gated !== undefined };
}
