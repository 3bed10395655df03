import jstat from "jstat";
import { mean, sampleVariance } from "simple-statistics";

const quantiles = new Map<string, number>();

/**
 * Quantile of Student's t for probability `p`. Fractional degrees of freedom are rounded down, which widens intervals.
 * @throws {RangeError} if `p` is not between 0 and 1 or there is less than one degree of freedom.
 */
export function studentQuantile(p: number, degreesOfFreedom: number): number {
  if (!(p > 0 && p < 1)) throw new RangeError(`p: got ${p}, expected a probability between 0 and 1`);
  if (!(degreesOfFreedom >= 1)) throw new RangeError(`degreesOfFreedom: got ${degreesOfFreedom}, expected at least 1`);
  const whole = Math.floor(degreesOfFreedom);
  const key = `${p}/${whole}`;
  const known = quantiles.get(key);
  if (known !== undefined) return known;
  const value = jstat.studentt.inv(p, whole);
  quantiles.set(key, value);
  return value;
}

/** A difference of two means with its standard error and the degrees of freedom that the error is known with. */
export interface Difference {
  readonly value: number;
  readonly standardError: number;
  readonly degreesOfFreedom: number;
}

/** Degrees of freedom above which Student's t is the normal distribution to three digits. */
const mostDegreesOfFreedom = 1000;

/**
 * A difference whose squared standard error is the sum of an estimated part and a known one (`extraVariance`). The known part has no uncertainty of its
 * own, so the degrees of freedom rise with its share (Welch-Satterthwaite).
 */
function differenceOf(value: number, estimated: number, degreesOfFreedom: number, extraVariance: number): Difference {
  const variance = estimated + extraVariance;
  const effective = extraVariance === 0 ? degreesOfFreedom : degreesOfFreedom * (variance / estimated) ** 2;
  return { value, standardError: Math.sqrt(variance), degreesOfFreedom: Math.min(effective, mostDegreesOfFreedom) };
}

/**
 * `mean(candidate) - mean(baseline)`, with the spread pooled over both groups (Student), because three values alone know theirs too
 * badly. A candidate that spreads more than the pool is charged with its own spread. `extraVariance` is added to the squared standard
 * error as known. Two groups without any spread give a standard error of exactly that.
 * @throws {RangeError} if a group has fewer than two values: one value says nothing about its own spread.
 */
export function differenceOfMeans(candidate: readonly number[], baseline: readonly number[], extraVariance = 0): Difference {
  for (const [name, values] of Object.entries({ candidate, baseline }))
    if (values.length < 2) throw new RangeError(`${name}: got ${values.length} values, expected at least 2`);
  const degreesOfFreedom = candidate.length + baseline.length - 2;
  const own = sampleVariance([...candidate]);
  const squares = own * (candidate.length - 1) + sampleVariance([...baseline]) * (baseline.length - 1);
  const pooled = squares / degreesOfFreedom;
  const estimated = Math.max(own, pooled) / candidate.length + pooled / baseline.length;
  return differenceOf(mean([...candidate]) - mean([...baseline]), estimated, degreesOfFreedom, extraVariance);
}

/**
 * `mean(candidate) - stated`, where the stated value came without samples: how far it may be off is not estimated but given, as the variance
 * `statedVariance`.
 * @throws {RangeError} if there are fewer than two candidate values.
 */
export function differenceFromStated(candidate: readonly number[], stated: number, statedVariance: number): Difference {
  if (candidate.length < 2) throw new RangeError(`candidate: got ${candidate.length} values, expected at least 2`);
  const estimated = sampleVariance([...candidate]) / candidate.length;
  return differenceOf(mean([...candidate]) - stated, estimated, candidate.length - 1, statedVariance);
}

/** Mean of paired differences with its standard error. @throws {RangeError} if there are fewer than two pairs or the lengths differ. */
export function pairedDifference(candidate: readonly number[], reference: readonly number[]): Difference {
  if (candidate.length !== reference.length)
    throw new RangeError(`pairs: got ${candidate.length} and ${reference.length} values, expected as many of each`);
  if (candidate.length < 2) throw new RangeError(`pairs: got ${candidate.length}, expected at least 2`);
  const differences = candidate.map((value, index) => value - (reference[index] ?? Number.NaN));
  return {
    value: mean(differences),
    standardError: Math.sqrt(sampleVariance(differences) / differences.length),
    degreesOfFreedom: differences.length - 1,
  };
}

/** Coefficient of variation in per cent of values given as logarithms; 0 for fewer than two. */
export function variationPercent(logs: readonly number[]): number {
  return logs.length < 2 ? 0 : 100 * Math.sqrt(Math.expm1(sampleVariance([...logs])));
}

/** A difference of logarithms as a change in per cent: ln(1.05) is 5. */
export function percentOf(logDifference: number): number {
  return 100 * Math.expm1(logDifference);
}
