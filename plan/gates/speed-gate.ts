import { mean } from "simple-statistics";

import { differenceFromStated, differenceOfMeans, percentOf, studentQuantile, variationPercent } from "./statistics.ts";
import type { Difference } from "./statistics.ts";
import { combineVerdicts } from "./verdict.ts";
import type { MetricVerdict, Verdict } from "./verdict.ts";

/**
 * One gated metric. `candidate` and `baseline` hold one value per server start, in the order measured: the mean of ln over that
 * start's requests. `baselineSessions` says from how many separate measurements the baseline's starts come.
 */
export interface SpeedSamples {
  readonly name: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
  readonly marginPercent: number;
  readonly candidate: readonly number[];
  readonly baseline: readonly number[];
  readonly baselineSessions: number;
}

/**
 * One gated metric whose baseline is a stated number without samples: `stated` is its logarithm, `statedSpreadPercent` how far it may be off (one standard
 * deviation), which no number of starts makes smaller.
 */
export interface StatedSamples extends Omit<SpeedSamples, "baseline" | "baselineSessions"> {
  readonly stated: number;
  readonly statedSpreadPercent: number;
}

/** How the decision is made; `looks` are the numbers of starts at which it is allowed to decide, rising. */
export interface SpeedDesign {
  readonly alpha: number;
  readonly looks: readonly number[];
  readonly maxVariationPercent: number;
  readonly sessionSpreadPercent: number;
}

/** `startsWanted` is how many starts in all the next decision needs; null when this one is final. */
export interface SpeedDecision {
  readonly verdict: Verdict;
  readonly metrics: MetricVerdict[];
  readonly startsWanted: number | null;
}

interface Look {
  readonly verdict: Verdict;
  readonly difference: Difference;
  readonly half: number;
  /** Why a look decides nothing although its interval seems to. */
  readonly note?: string;
}

/** Worst accepted difference of logarithms, signed as measured: negative where higher is better. */
function limitOf(samples: SpeedSamples | StatedSamples): number {
  return samples.better === "higher" ? Math.log1p(-samples.marginPercent / 100) : Math.log1p(samples.marginPercent / 100);
}

const varianceOf = (spreadPercent: number): number => Math.log1p(spreadPercent / 100) ** 2;

/** The difference of the first `starts` starts from what they are compared with. */
function differenceAt(samples: SpeedSamples | StatedSamples, starts: number, design: SpeedDesign): Difference {
  const candidate = samples.candidate.slice(0, starts);
  const sessionVariance = varianceOf(design.sessionSpreadPercent);
  if ("stated" in samples)
    return differenceFromStated(candidate, samples.stated, varianceOf(samples.statedSpreadPercent) + sessionVariance);
  return differenceOfMeans(candidate, samples.baseline, sessionVariance * (1 + 1 / samples.baselineSessions));
}

/** What one look at the first `starts` starts says of one metric. */
function lookAt(samples: SpeedSamples | StatedSamples, starts: number, design: SpeedDesign, metricCount: number): Look {
  const difference = differenceAt(samples, starts, design);
  const level = design.alpha / design.looks.length;
  const halfAt = (alpha: number): number => studentQuantile(1 - alpha, difference.degreesOfFreedom) * difference.standardError;
  const gain = (difference.value - limitOf(samples)) * (samples.better === "higher" ? 1 : -1);
  const variation = variationPercent(samples.candidate.slice(0, starts));
  const half = halfAt(level);
  const isSteady = variation <= design.maxVariationPercent;
  if (isSteady && gain > half) return { verdict: "passed", difference, half };
  if (isSteady && gain < -halfAt(level / metricCount)) return { verdict: "failed", difference, half };
  const note = isSteady ? unsureNote(gain, half, metricCount) : noiseNote(variation, design);
  return { verdict: "inconclusive", difference, half, ...(note === undefined ? {} : { note }) };
}

/** The first look that decides, else the latest one; fewer starts than the first look needs decide nothing. */
function decideMetric(samples: SpeedSamples | StatedSamples, design: SpeedDesign, metricCount: number): MetricVerdict {
  const taken = samples.candidate.length;
  const looks = design.looks.filter((look) => look <= taken);
  let last: Look | undefined;
  for (const starts of looks) {
    last = lookAt(samples, starts, design, metricCount);
    if (last.verdict !== "inconclusive") break;
  }
  const common = {
    name: samples.name,
    unit: samples.unit,
    measured: Math.exp(mean([...samples.candidate])),
    baseline: Math.exp("stated" in samples ? samples.stated : mean([...samples.baseline])),
    limitPercent: percentOf(limitOf(samples)),
    floor: null,
    ceiling: null,
  };
  if (last === undefined)
    return {
      ...common,
      differencePercent: null,
      intervalPercent: null,
      verdict: "inconclusive",
      note: `${taken} of ${design.looks[0] ?? 0} starts`,
    };
  return {
    ...common,
    differencePercent: percentOf(last.difference.value),
    intervalPercent: [percentOf(last.difference.value - last.half), percentOf(last.difference.value + last.half)],
    verdict: last.verdict,
    ...(last.note === undefined ? {} : { note: last.note }),
  };
}

function noiseNote(variation: number, design: SpeedDesign): string {
  return `spread ${variation.toFixed(1)} % over starts, allowed ${design.maxVariationPercent} %`;
}

/** The interval that is shown is the one that passing takes. */
function unsureNote(gain: number, half: number, metricCount: number): string | undefined {
  return gain < -half ? `worse than allowed, but not as surely as failing one of ${metricCount} metrics takes` : undefined;
}

/**
 * Non-inferiority of a candidate's speed in three outcomes. A metric passes when the whole confidence interval of its difference
 * lies above the accepted worsening, fails when it lies below, and is undecided in between or while its starts spread too much.
 *
 * The `looks` share `alpha` equally, so that looking often does not raise the error. All metrics must pass, which needs no further
 * correction for passing wrongly; that any one of them may fail does, so failing shares `alpha` over the metrics (Bonferroni).
 * @throws {RangeError} if there is no metric, or a metric has fewer than two starts on either side when a look is due.
 */
export function decideSpeed(metrics: readonly (SpeedSamples | StatedSamples)[], design: SpeedDesign): SpeedDecision {
  if (metrics.length === 0) throw new RangeError("metrics: got none, expected at least one to decide on");
  const decided = metrics.map((samples) => decideMetric(samples, design, metrics.length));
  const verdict = combineVerdicts(decided.map((metric) => metric.verdict));
  const taken = Math.min(...metrics.map((samples) => samples.candidate.length));
  const next = design.looks.find((look) => look > taken) ?? null;
  return { verdict, metrics: decided, startsWanted: verdict === "inconclusive" ? next : null };
}

/** One metric without a baseline: `candidate` as in `SpeedSamples`; `floor` null is only reported. */
export interface FloorSamples {
  readonly name: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
  readonly candidate: readonly number[];
  readonly floor: number | null;
}

/**
 * Where there is no baseline: the geometric mean of each metric against a fixed floor, which says only that the release is usable.
 * No floor on any metric is `inconclusive`: there was nothing to decide by.
 */
export function decideFloors(metrics: readonly FloorSamples[]): SpeedDecision {
  const decided = metrics.map((samples): MetricVerdict => {
    const measured = Math.exp(mean([...samples.candidate]));
    const isEnough = samples.floor === null || (samples.better === "higher" ? measured >= samples.floor : measured <= samples.floor);
    return {
      name: samples.name,
      unit: samples.unit,
      measured,
      baseline: null,
      differencePercent: null,
      intervalPercent: null,
      limitPercent: null,
      floor: samples.better === "higher" ? samples.floor : null,
      ceiling: samples.better === "lower" ? samples.floor : null,
      verdict: isEnough ? "passed" : "failed",
      ...(samples.floor === null ? { note: "reported only" } : {}),
    };
  });
  const hasFloor = metrics.some((samples) => samples.floor !== null);
  return {
    verdict: hasFloor ? combineVerdicts(decided.map((metric) => metric.verdict)) : "inconclusive",
    metrics: decided,
    startsWanted: null,
  };
}

/** One metric of a first deploy: `stated` as in `StatedSamples`, or null where nothing is stated; then its floor decides. */
export interface FirstSamples extends FloorSamples {
  readonly stated: number | null;
}

/**
 * A first deploy on a host that speeds are stated for: each metric against its stated speed with the margin and spread of such numbers, those that
 * nothing is stated for against their floors.
 * @throws {RangeError} if nothing is stated for any metric
 */
export function decideStated(
  metrics: readonly FirstSamples[],
  design: SpeedDesign,
  { marginPercent, spreadPercent }: { readonly marginPercent: number; readonly spreadPercent: number },
): SpeedDecision {
  const known = metrics.flatMap((samples) =>
    samples.stated === null ? [] : [{ ...samples, stated: samples.stated, marginPercent, statedSpreadPercent: spreadPercent }],
  );
  const decided = decideSpeed(known, design);
  const others = decideFloors(metrics.filter(({ stated }) => stated === null)).metrics;
  const byName = new Map([...decided.metrics, ...others].map((metric) => [metric.name, metric]));
  const all = metrics.flatMap(({ name }) => byName.get(name) ?? []);
  const verdict = combineVerdicts(all.map((metric) => metric.verdict));
  return { verdict, metrics: all, startsWanted: verdict === "inconclusive" ? decided.startsWanted : null };
}
