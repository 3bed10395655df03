/** Deciding on starts of a busy host. Does not prove that the load average tells every neighbour: it counts those of the last minute. */
import { describe, expect, it } from "vitest";

import type { StartSample } from "../../plan/benchmark/result.ts";
import { decideStarts } from "../../plan/gates/decide-starts.ts";
import { benchmarkThresholdsSchema } from "../../plan/gates/thresholds.ts";
import { madeResult, minuteOf } from "../support/results.ts";

const thresholds = benchmarkThresholdsSchema.parse({ metrics: [{ scenario: "short", metric: "decode", floor: 55 }], looks: [3, 5] });
const cpus = 2;
const baseline = madeResult({ profile: "dev", startedAt: minuteOf(0), tokensPerSec: 60, starts: 6 });
const against = { sessions: [baseline], stated: null };

/** Starts of a release with this speed, one for each load average. */
const startsAt = (tokensPerSec: number, ...loads: number[]): StartSample[] =>
  madeResult({ profile: "dev", startedAt: minuteOf(9), tokensPerSec, starts: loads.length }).starts.map((start, index) => ({
    ...start,
    loadAverage: loads[index] ?? null,
  }));

describe("on a busy host", () => {
  it("a release that is slow on quiet starts fails", () => {
    expect(decideStarts(startsAt(40, 1, 1, 1), against, thresholds, cpus).verdict).toBe("failed");
  });

  it("one that is slow beside other work is not failed, but measured again", () => {
    const decision = decideStarts(startsAt(40, 9, 9, 9), against, thresholds, cpus);
    expect(decision).toMatchObject({ verdict: "inconclusive", startsWanted: 5 });
    expect(decision.metrics[0]?.note).toBe("the host was too busy to fail a release on it");
    expect(decideStarts(startsAt(40, 9, 9, 9, 9, 9), against, thresholds, cpus)).toMatchObject({
      verdict: "inconclusive",
      startsWanted: null,
    });
  });

  it("the quiet ones among its starts decide where they are enough", () => {
    const mixed = [...startsAt(40, 9, 9), ...startsAt(60, 1, 1, 1)];
    expect(decideStarts(mixed, against, { ...thresholds, maxVariationPercent: 50, looks: [3, 5] }, cpus).verdict).toBe("passed");
    expect(decideStarts(startsAt(40, 9, 9, 1, 1, 1), against, thresholds, cpus).verdict).toBe("failed");
  });

  it("one that passes beside other work passes: neighbours only ever slow", () => {
    expect(decideStarts(startsAt(60, 9, 9, 9), against, thresholds, cpus).verdict).toBe("passed");
  });

  it("floors are held whatever the load", () => {
    expect(decideStarts(startsAt(40, 9, 9, 9), { sessions: [], stated: null }, thresholds, cpus).verdict).toBe("failed");
  });
});
