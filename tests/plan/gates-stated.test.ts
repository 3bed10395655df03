/** Committed speeds without samples: which host they hold for, and how they decide. Does not prove that such a host measures them: none was here. */
import { describe, expect, it } from "vitest";

import { decideSpeed, decideStated } from "../../plan/gates/speed-gate.ts";
import type { SpeedDesign, StatedSamples } from "../../plan/gates/speed-gate.ts";
import { isRecognised, planStatedSpeeds } from "../../plan/gates/stated-speeds.ts";
import { differenceFromStated } from "../../plan/gates/statistics.ts";
import { readProjectFile } from "./config/support.ts";

const file = "configs/expectations/s005.json";
const text = readProjectFile(file);
const sign = { gpu: "RTX 5080", vramMiB: [15872, 16896] as [number, number], cpu: "Ryzen 9 9950X" };

describe("planStatedSpeeds", () => {
  it("takes the four decode speeds of a profile, with the signs of the host they were measured on", () => {
    expect(planStatedSpeeds(file, text, "s005-c7-q4km-partial24")).toEqual({
      file,
      host: sign,
      decodeTokensPerSec: { short: 69.6, medium: 67, long: 65.7, "multi-turn": 69.2 },
    });
  });

  it("states nothing for a profile without numbers, nor where the file does not say how its host is recognised", () => {
    expect(planStatedSpeeds(file, text, "dev")).toBeNull();
    const unknown = text.replace(/ {2}"recognised": .*\n/, "");
    expect(unknown).not.toBe(text);
    expect(planStatedSpeeds(file, unknown, "s005-c7-q4km-partial24")).toBeNull();
  });
});

describe("isRecognised", () => {
  const gpu = { name: "NVIDIA GeForce RTX 5080", memoryMiB: 16303 };
  const cpu = "AMD Ryzen 9 9950X 16-Core Processor";

  it.each([
    ["all its signs", { cpu, gpus: [gpu] }, true],
    ["another CPU, which the experts run on", { cpu: "AMD Ryzen 7 7700", gpus: [gpu] }, false],
    ["another GPU", { cpu, gpus: [{ ...gpu, name: "NVIDIA GeForce RTX 5090" }] }, false],
    ["less memory", { cpu, gpus: [{ ...gpu, memoryMiB: 12288 }] }, false],
    ["a second GPU", { cpu, gpus: [gpu, gpu] }, false],
    ["no GPU", { cpu, gpus: [] }, false],
  ])("a host with %s", (_what, host, expected) => {
    expect(isRecognised(sign, host)).toBe(expected);
  });
});

describe("deciding against a stated speed", () => {
  const design: SpeedDesign = { alpha: 0.05, looks: [3, 5, 8, 12, 20], maxVariationPercent: 5, sessionSpreadPercent: 0 };
  const around = (speed: number): number[] => [0.995, 1, 1.005].map((factor) => Math.log(speed * factor));
  const samples = (speed: number): StatedSamples => ({
    name: "short decode",
    unit: "tok/s",
    better: "higher",
    marginPercent: 10,
    candidate: around(speed),
    stated: Math.log(69.6),
    statedSpreadPercent: 2,
  });

  it.each([
    [69.6, "passed"],
    [66.5, "passed"],
    [63, "inconclusive"],
    [58, "failed"],
    [49, "failed"],
  ])("%s tok/s against a stated 69.6 is %s", (speed, verdict) => {
    const decision = decideSpeed([samples(speed)], design);
    expect(decision.verdict).toBe(verdict);
    expect(decision.metrics[0]?.baseline).toBeCloseTo(69.6, 9);
  });

  it("charges the stated number's own spread, which more starts don't make smaller", () => {
    const few = differenceFromStated(around(60), Math.log(60), 0.02 ** 2);
    const many = differenceFromStated(Array.from({ length: 20 }, () => around(60)).flat(), Math.log(60), 0.02 ** 2);
    expect(few.standardError).toBeGreaterThan(0.02);
    expect(many.standardError).toBeGreaterThan(0.02);
  });

  it("fails on a single start", () => {
    expect(() => differenceFromStated([1], 1, 0.01)).toThrow("candidate: got 1 values, expected at least 2");
  });

  it("holds metrics that nothing is stated for against their floors, beside those that something is", () => {
    const { statedSpreadPercent: spreadPercent, ...short } = samples(69.6);
    const firstToken = { ...short, name: "multi-turn first token", unit: "ms", better: "lower" as const, stated: null };
    const decide = (floor: number | null) =>
      decideStated(
        [
          { ...firstToken, floor },
          { ...short, floor: 1 },
        ],
        design,
        { marginPercent: 10, spreadPercent },
      );
    expect(decide(null)).toMatchObject({
      verdict: "passed",
      metrics: [{ note: "reported only" }, { baseline: expect.closeTo(69.6, 9) as number }],
    });
    expect(decide(60)).toMatchObject({
      verdict: "failed",
      metrics: [{ verdict: "failed", ceiling: 60 }, { verdict: "passed" }],
      startsWanted: null,
    });
  });
});
