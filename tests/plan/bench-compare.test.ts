import { describe, expect, it } from "vitest";
import { compareSpeed, type CompareSettings } from "../../plan/bench/compare.ts";
import { formatComparison } from "../../plan/bench/format-compare.ts";
import { benchmarkThresholdsSchema } from "../../plan/gates/thresholds.ts";
import { madeResult, minuteOf } from "../support/results.ts";

// Proves what is compared and how it reads; that the statistics err as seldom as promised is the gate's own test (tests/plan/gates-speed.test.ts).

const settings: CompareSettings = benchmarkThresholdsSchema.parse({
  metrics: [
    { scenario: "short", metric: "decode" },
    { scenario: "long", metric: "decode" },
  ],
});
const before = madeResult({ profile: "dev", build: "b1", startedAt: minuteOf(0), tokensPerSec: 70, starts: 5 });
const after = (tokensPerSec: number, changes: object = {}) => ({
  ...madeResult({ profile: "dev", build: "b2", startedAt: minuteOf(60), tokensPerSec, starts: 5 }),
  ...changes,
});

describe("comparing two results", () => {
  it.each([
    [70, "passed"],
    [69, "passed"],
    [66.5, "inconclusive"], // exactly the margin of 5 %
    [56, "failed"],
    [90, "passed"],
  ])("of 70 and %f tok/s is %s", (tokensPerSec, verdict) => {
    expect(compareSpeed(before, after(tokensPerSec), settings).verdict).toBe(verdict);
  });

  it("reports every scenario and metric and decides on the gated ones", () => {
    const { metrics } = compareSpeed(before, after(70), settings);
    expect(metrics.map(({ name, decides }) => [name, decides])).toEqual([
      ["short decode", true],
      ["short prompt", false],
      ["short first token", false],
      ["medium decode", false],
      ["medium prompt", false],
      ["medium first token", false],
      ["long decode", true],
      ["long prompt", false],
      ["long first token", false],
      ["multi-turn decode", false],
      ["multi-turn prompt", false],
      ["multi-turn first token", false],
    ]);
  });

  it("is inconclusive for another host, unless it is asked for anyway", () => {
    const other = after(30, { host: { ...before.host, fingerprint: "elsewhere" } });
    expect(compareSpeed(before, other, settings)).toMatchObject({
      verdict: "inconclusive",
      reason: "not comparable: host: bench-host and elsewhere; --anyway compares all the same",
      metrics: [],
    });
    expect(compareSpeed(before, other, settings, true).verdict).toBe("failed");
  });

  it("is inconclusive with one start, and says so", () => {
    const single = madeResult({ profile: "dev", startedAt: minuteOf(0), tokensPerSec: 30, starts: 1 });
    const { verdict, metrics } = compareSpeed(before, single, settings);
    expect(verdict).toBe("inconclusive");
    expect(metrics[0]?.note).toBe("5 and 1 starts, at least 2 each are needed");
  });

  it("reads as one screen with the verdict last", () => {
    const slower = after(56);
    const text = formatComparison(
      { file: "a.json", result: before },
      { file: "b.json", result: slower },
      compareSpeed(before, slower, settings),
    );
    const lines = text.split("\n");
    expect(lines[0]).toBe("baseline   dev, build b1, 5 starts, 2026-06-01 00:00: a.json");
    expect(lines[2]).toBe("  differs in build: b1 and b2");
    expect(lines.at(-1)).toBe("FAILED: short decode failed, long decode failed");
    expect(lines.find((line) => line.includes("short decode"))).toMatch(/70\.\d+ +56?5?\.?\d+.*-5\.00 % +failed$/);
  });
});
