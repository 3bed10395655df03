/** The speed decision on made-up starts. Its error rates at 40,000 runs a point are in tests/bench/gates; here they are looked at coarsely. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { decideFloors, decideSpeed } from "../../plan/gates/speed-gate.ts";
import type { SpeedDesign, SpeedSamples } from "../../plan/gates/speed-gate.ts";
import { simulate } from "./gates-simulation.ts";

const design: SpeedDesign = { alpha: 0.05, looks: [3, 5, 8, 12, 20], maxVariationPercent: 5, sessionSpreadPercent: 0 };
const logs = (...values: number[]): number[] => values.map(Math.log);
const steady: SpeedSamples = {
  name: "short decode",
  unit: "tok/s",
  better: "higher",
  marginPercent: 5,
  candidate: logs(100, 101, 99),
  baseline: logs(100, 101, 99, 100, 100, 101),
  baselineSessions: 1,
};

describe("with a baseline", () => {
  it("passes a candidate that is as fast, at the first look", () => {
    const decision = decideSpeed([steady], design);
    expect(decision).toMatchObject({ verdict: "passed", startsWanted: null });
    expect(decision.metrics[0]?.measured).toBeCloseTo(100, 1);
    expect(decision.metrics[0]?.limitPercent).toBeCloseTo(-5, 9);
  });

  it("fails a candidate that lost twice the margin, with the number", () => {
    const decision = decideSpeed([{ ...steady, candidate: logs(90, 90.5, 89.5) }], design);
    expect(decision).toMatchObject({ verdict: "failed", startsWanted: null });
    expect(decision.metrics[0]?.differencePercent).toBeCloseTo(-10.15, 2);
  });

  it("wants the next look's starts when the interval holds the margin", () => {
    expect(decideSpeed([{ ...steady, candidate: logs(95, 96, 94) }], design)).toMatchObject({ verdict: "inconclusive", startsWanted: 5 });
  });

  it("stays inconclusive when the budget is spent", () => {
    const candidate = logs(...Array.from({ length: 20 }, (_, index) => 95 + (index % 2 === 0 ? 1 : -1) * 1.5));
    expect(decideSpeed([{ ...steady, candidate }], design)).toMatchObject({ verdict: "inconclusive", startsWanted: null });
  });

  it("decides nothing on starts that spread too much, however slow they are, and says so", () => {
    const decision = decideSpeed([{ ...steady, candidate: logs(30, 40, 50) }], design);
    expect(decision.verdict).toBe("inconclusive");
    expect(decision.metrics[0]?.note).toBe("spread 26.0 % over starts, allowed 5 %");
  });

  it("says why it stays undecided below the margin where that would be a failure of a lone metric", () => {
    const worse = { ...steady, candidate: logs(93, 94, 92) };
    expect(decideSpeed([worse], design).verdict).toBe("failed");
    const [among] = decideSpeed([worse, steady, steady, steady], design).metrics;
    expect(among).toMatchObject({
      verdict: "inconclusive",
      note: "worse than allowed, but not as surely as failing one of 4 metrics takes",
    });
  });

  it("counts a longer time to the first token as worse", () => {
    const firstToken: SpeedSamples = { ...steady, name: "multi-turn first token", unit: "ms", better: "lower" };
    expect(decideSpeed([{ ...firstToken, candidate: logs(120, 121, 119) }], design).verdict).toBe("failed");
    expect(decideSpeed([{ ...firstToken, candidate: logs(50, 50.5, 49.5) }], design).verdict).toBe("passed");
  });

  it("keeps what an earlier look decided: later starts can't undo it", () => {
    const candidate = [...steady.candidate, ...logs(80, 80)];
    expect(decideSpeed([{ ...steady, candidate }], design).verdict).toBe("passed");
  });

  it("passes only if every metric passes, and fails if one fails", () => {
    const slow = { ...steady, name: "long decode", candidate: logs(80, 80.5, 79.5) };
    expect(decideSpeed([steady, slow], design).verdict).toBe("failed");
  });

  it("asks more where measurements at different times are known to differ", () => {
    expect(decideSpeed([steady], { ...design, sessionSpreadPercent: 5 }).verdict).toBe("inconclusive");
  });

  it("fails without metrics", () => {
    expect(() => decideSpeed([], design)).toThrow("metrics: got none, expected at least one to decide on");
  });

  it("never turns from failed to passed, nor from passed to failed, when every start gets slower", () => {
    const starts = fc.array(fc.double({ min: 4, max: 5, noNaN: true }), { minLength: 3, maxLength: 16 });
    const order = { failed: 0, inconclusive: 1, error: 1, passed: 2 };
    fc.assert(
      fc.property(starts, starts, fc.double({ min: 0, max: 1, noNaN: true }), (candidate, baseline, loss) => {
        const single = { ...design, looks: [candidate.length], maxVariationPercent: 99 };
        const before = decideSpeed([{ ...steady, candidate, baseline }], single).verdict;
        const after = decideSpeed([{ ...steady, candidate: candidate.map((value) => value - loss), baseline }], single).verdict;
        expect(order[after]).toBeLessThanOrEqual(order[before]);
      }),
    );
  });
});

describe("error rates, 2,000 seeded runs a point", () => {
  const point = { startSpreadPercent: 3, baselineStarts: 12, metrics: 1 };

  it.each([
    { drop: 0, expectation: "passes", least: 0.95 },
    { drop: 10, expectation: "fails", least: 0.97 },
  ])("at a drop of $drop % nearly every run $expectation", ({ drop, least }) => {
    const rates = simulate({ ...point, dropPercent: drop }, design, 5, 2000, 11);
    expect(drop === 0 ? rates.passed : rates.failed).toBeGreaterThan(least);
  });

  it("at a drop of just the margin hardly any run passes", () => {
    expect(simulate({ ...point, dropPercent: 5 }, design, 5, 2000, 12).passed).toBeLessThan(0.06);
  });
});

describe("without a baseline", () => {
  const floor = { name: "short decode", unit: "tok/s", better: "higher" as const, candidate: logs(20, 20, 20) };

  it.each([
    [19.9, "passed"],
    [20.1, "failed"],
  ] as const)("a floor of %s decides %s", (value, verdict) => {
    expect(decideFloors([{ ...floor, floor: value }]).verdict).toBe(verdict);
  });

  it("reports metrics without a floor, but no floor at all decides nothing", () => {
    expect(decideFloors([{ ...floor, floor: null }])).toMatchObject({ verdict: "inconclusive", startsWanted: null });
  });
});
