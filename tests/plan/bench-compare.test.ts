import { describe, expect, it } from "vitest";
import { compareSpeed } from "../../plan/bench/compare.ts";
import { formatComparison } from "../../plan/bench/format-compare.ts";
import type { BenchmarkResult } from "../../plan/benchmark/result.ts";
import { decideStarts } from "../../plan/gates/decide-starts.ts";
import { benchmarkThresholdsSchema } from "../../plan/gates/thresholds.ts";
import { randomFrom } from "../support/random.ts";
import { madeResult, minuteOf } from "../support/results.ts";

// Proves what is compared, that it errs as seldom as the gate, and how it reads; that the gate errs as seldom as promised is its own test
// (tests/plan/gates-speed.test.ts).

const settings = benchmarkThresholdsSchema.parse({
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
    expect(compareSpeed(before, single, settings)).toMatchObject({
      verdict: "inconclusive",
      reason: "5 and 1 starts, at least 2 each are needed",
    });
  });

  it("fails nothing on a host that was busy, and says so", () => {
    const slower = after(56);
    const busy = { ...slower, starts: slower.starts.map((start) => ({ ...start, loadAverage: 40 })) };
    expect(compareSpeed(before, busy, settings)).toMatchObject({
      verdict: "inconclusive",
      doubts: ["candidate: 5 of 5 starts at a load average above 16, on 8 CPUs"],
      metrics: expect.arrayContaining([
        expect.objectContaining({ name: "short decode", note: "the host was too busy to fail a release on it" }),
      ]) as unknown,
    });
  });

  it.each([
    [
      "spread",
      { ...before, starts: before.starts.map((start, index) => scaled(start, index % 2 === 0 ? 1 : 0.7)) },
      /short decode spread 1\d\.\d % over 5 starts, allowed 5 %/,
    ],
    [
      "was busy",
      { ...before, starts: before.starts.map((start) => ({ ...start, loadAverage: 40 })) },
      /5 of 5 starts at a load average above 16/,
    ],
  ])("is inconclusive against a baseline that %s, unless it is asked for anyway", (_what, unsteady, reason) => {
    const { verdict, reason: said, metrics } = compareSpeed(unsteady, after(90), settings);
    expect([verdict, metrics]).toEqual(["inconclusive", []]);
    expect(said).toMatch(/^the baseline is too unsteady to compare with: .*; --anyway compares all the same$/);
    expect(said).toMatch(reason);
    const anyway = compareSpeed(unsteady, after(90), settings, true);
    expect(anyway.metrics).toHaveLength(12);
    expect(anyway.doubts[0]).toMatch(reason);
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

type Start = BenchmarkResult["starts"][number];

/** A start that is `factor` times as fast; of one scenario, or of all. */
const scaled = (start: Start, factor: number, scenario?: string): Start => ({
  ...start,
  requests: start.requests.map((request) =>
    scenario === undefined || request.scenario === scenario
      ? {
          ...request,
          decodeTokensPerSec: request.decodeTokensPerSec * factor,
          serverDecodeTokensPerSec: request.serverDecodeTokensPerSec * factor,
        }
      : request,
  ),
});

describe("a comparison at exactly the margin", () => {
  const scenarios = ["short", "medium", "long", "multi-turn"];
  const metrics = scenarios.map((scenario) => ({ scenario, metric: "decode" as const }));
  const four = benchmarkThresholdsSchema.parse({ metrics, maxVariationPercent: 50, sessionSpreadPercent: 0 });
  const level = madeResult({ profile: "p", startedAt: minuteOf(0), tokensPerSec: 70, starts: 5, spreadPercent: 0 });
  const random = randomFrom(20_261_128);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  /** Five starts on which every scenario has its own luck. */
  const drawn = (factor: number): BenchmarkResult => ({
    ...level,
    starts: level.starts.map((start) =>
      scenarios.reduce((sum, scenario) => scaled(sum, factor * Math.exp(0.01 * normal()), scenario), start),
    ),
  });

  it("fails one in twenty at most, over all its metrics together, as the gate does", () => {
    const trials = 2000;
    let [failed, differ] = [0, 0];
    for (let trial = 0; trial < trials; trial++) {
      const [baseline, candidate] = [drawn(1), drawn(0.95)];
      const { verdict } = compareSpeed(baseline, candidate, four);
      const gate = decideStarts(candidate.starts, { sessions: [baseline], stated: null }, { ...four, looks: [5] }, candidate.host.cpus);
      if (verdict === "failed") failed += 1;
      if (verdict !== gate.verdict) differ += 1;
    }
    expect(differ).toBe(0);
    expect(failed / trials).toBeGreaterThan(0.03);
    expect(failed / trials).toBeLessThan(0.06); // alpha, and three times what 2000 trials may be off by
  });
});
