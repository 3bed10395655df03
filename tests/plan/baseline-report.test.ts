/** Baselines as a reader sees them. Does not prove that the volume holds them: tests/integration/gates.test.ts does. */
import { describe, expect, it } from "vitest";

import { describeAge, reportBaseline } from "../../plan/benchmark/baseline-report.ts";
import type { BenchmarkResult } from "../../plan/benchmark/result.ts";
import { benchmarkThresholdsSchema } from "../../plan/gates/thresholds.ts";

const thresholds = benchmarkThresholdsSchema.parse({ metrics: [{ scenario: "short", metric: "decode" }] });

/** A measurement whose starts had these decode speeds. */
const session = (startedAt: string, ...speeds: number[]): BenchmarkResult => ({
  version: 1,
  startedAt,
  subject: { profile: "dev", releaseId: "r", imageId: "i", modelSha256: "m", flags: {} },
  build: "b",
  device: "d",
  ctxSize: 4096,
  host: { fingerprint: "f", name: "n", cpu: "c", cpus: 2, memoryMiB: 1, kernel: "k", docker: "d", gpus: [] },
  scenarioSet: "dev",
  protocolHash: "p",
  starts: speeds.map((speed) => ({
    startedAt,
    readyMs: 1,
    memoryPeakMiB: null,
    loadAverage: null,
    requests: [
      {
        scenario: "short",
        turn: 0,
        firstTokenMs: 1,
        totalMs: 2,
        decodeTokensPerSec: speed,
        promptTokensPerSec: 1,
        promptTokens: 1,
        cachedTokens: 0,
        generatedTokens: 2,
        serverDecodeTokensPerSec: speed,
        serverPromptTokensPerSec: 1,
      },
    ],
  })),
});

describe("reportBaseline", () => {
  it("has level and spread over all starts, and each session's own level", () => {
    const report = reportBaseline([session("a", 60, 60), session("b", 61, 59)], thresholds);
    expect(report).toMatchObject({ starts: 4, unsteady: [], metrics: [{ name: "short decode", unit: "tok/s" }] });
    const [metric] = report.metrics;
    expect(metric?.level).toBeCloseTo(59.998, 2);
    expect(metric?.spreadPercent).toBeCloseTo(1.36, 1);
    expect(metric?.sessionLevels.map((value) => value.toFixed(1))).toEqual(["60.0", "60.0"]);
  });

  it("names the sessions that gates don't compare with", () => {
    expect(reportBaseline([session("a", 60, 50)], thresholds).unsteady).toEqual([
      "a: short decode spread 12.9 % over 2 starts, allowed 5 %",
    ]);
  });
});

it.each([
  [45, "45 s"],
  [720, "12 min"],
  [10_800, "3 h"],
  [432_000, "5 days"],
])("%s seconds are said as %s", (seconds, text) => {
  expect(describeAge(seconds)).toBe(text);
});
