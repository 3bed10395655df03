/** Statistics against printed tables and textbook values. Does not prove that starts scatter normally on a real host. */
import { expect, it } from "vitest";

import { differenceOfMeans, pairedDifference, percentOf, studentQuantile, variationPercent } from "../../plan/gates/statistics.ts";

it.each([
  [0.95, 1, 6.314],
  [0.95, 2, 2.92],
  [0.95, 10, 1.812],
  [0.975, 4, 2.776],
  [0.99, 3, 4.541],
  [0.995, 30, 2.75],
])("the t quantile for p %s and %s degrees of freedom is the table's %s", (p, freedom, expected) => {
  expect(studentQuantile(p, freedom)).toBeCloseTo(expected, 3);
});

it("rounds fractional degrees of freedom down, which widens intervals", () => {
  expect(studentQuantile(0.95, 2.9)).toBe(studentQuantile(0.95, 2));
});

it("fails without a degree of freedom or with a probability outside of 0 to 1", () => {
  expect(() => studentQuantile(0.95, 0.5)).toThrow("degreesOfFreedom: got 0.5, expected at least 1");
  expect(() => studentQuantile(1, 3)).toThrow("p: got 1, expected a probability between 0 and 1");
});

it("pools the spread of two groups that spread alike", () => {
  const { value, standardError, degreesOfFreedom } = differenceOfMeans([3, 5], [1, 3]);
  expect({ value, standardError, degreesOfFreedom }).toEqual({ value: 2, standardError: Math.sqrt(2 / 2 + 2 / 2), degreesOfFreedom: 2 });
});

it("charges a candidate that spreads more with its own spread", () => {
  const steady = [0, 0.01, 0, 0.01];
  const noisy = differenceOfMeans([-1, 1], steady);
  expect(noisy.standardError).toBeGreaterThan(1);
});

it("adds a known variance to the squared error", () => {
  expect(differenceOfMeans([1, 1], [0, 0], 0.04).standardError).toBeCloseTo(0.2, 12);
});

it("has the more degrees of freedom the more of the variance is known (Welch-Satterthwaite)", () => {
  const groups = [
    [1, 1.1],
    [0, 0.1],
  ] as const;
  const estimated = differenceOfMeans(...groups);
  const half = differenceOfMeans(...groups, estimated.standardError ** 2);
  expect([estimated.degreesOfFreedom, half.degreesOfFreedom]).toEqual([2, expect.closeTo(8, 9)]);
  expect(differenceOfMeans(...groups, 1e6).degreesOfFreedom).toBe(1000);
});

it("fails on a group of one, naming it", () => {
  expect(() => differenceOfMeans([1], [1, 2])).toThrow("candidate: got 1 values, expected at least 2");
});

it("pairs values: what both share drops out of the error", () => {
  expect(pairedDifference([11, 21, 31], [10, 20, 30])).toEqual({ value: 1, standardError: 0, degreesOfFreedom: 2 });
});

it("fails to pair lists of different length", () => {
  expect(() => pairedDifference([1, 2], [1, 2, 3])).toThrow("pairs: got 2 and 3 values, expected as many of each");
});

it("says a difference of logarithms and a spread in per cent", () => {
  expect(percentOf(Math.log(0.95))).toBeCloseTo(-5, 10);
  expect(variationPercent([Math.log(100), Math.log(110)])).toBeCloseTo(6.75, 1);
  expect(variationPercent([1])).toBe(0);
});
