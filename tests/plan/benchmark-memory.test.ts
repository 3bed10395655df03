/** How printed memory becomes a start's figures. That they are taken after the load and after the last request, tests/integration must show. */
import { describe, expect, it } from "vitest";
import { containerPeakOf, sumOfGpus, vramOf, vramPeakOf } from "../../plan/benchmark/memory.ts";
import { benchmarkResultSchema } from "../../plan/benchmark/result.ts";
import { madeResult, minuteOf } from "../support/results.ts";

// Printed by nvidia-smi 580.159.04 (--query-gpu=memory.used --format=csv,noheader,nounits) on two H200, one of which holds an allocation of 14 GiB.
const twoGpus = "14863\n4\n";

describe("VRAM in use", () => {
  it.each([
    ["of one GPU", "14874\n", 14_874],
    ["of several is their sum", twoGpus, 14_867],
    ["may be nothing", "0\n0\n", 0],
  ])("%s", (_name, printed, sum) => {
    expect(sumOfGpus(printed)).toBe(sum);
  });

  it.each([
    ["there is no nvidia-smi", undefined],
    ["it prints nothing", ""],
    ["it sees no GPU", "No devices were found\n"],
    ["one of the GPUs doesn't tell", "14863\n[N/A]\n"],
    ["a GPU is lost", "14863\n[Unknown Error]\n"],
    ["it knows no such field", 'Field "memory.used" is not a valid field to query.\n\n'],
  ])("is not known where %s", (_name, printed) => {
    expect(sumOfGpus(printed)).toBeUndefined();
  });

  it("of a start is its idle and its highest sample, and neither where one is missing", () => {
    expect(vramOf(14_600, 14_874)).toEqual({ vramIdleMiB: 14_600, vramPeakMiB: 14_874 });
    expect(vramOf(14_600, 14_500)).toEqual({ vramIdleMiB: 14_600, vramPeakMiB: 14_600 });
    expect([vramOf(undefined, 14_874), vramOf(14_600, undefined)]).toEqual([{}, {}]);
  });
});

describe("a result's memory", () => {
  const wish = { profile: "dev", startedAt: minuteOf(0), tokensPerSec: 70 };

  it("is the highest of its starts, VRAM and container apart", () => {
    const result = benchmarkResultSchema.parse(madeResult({ ...wish, vramPeakMiB: 14_874 }));
    expect([vramPeakOf(result), containerPeakOf(result)]).toEqual([14_876, 277]);
  });

  it("of a version that measured no VRAM still reads, and has none: the container's is no substitute", () => {
    expect(vramPeakOf(benchmarkResultSchema.parse(madeResult(wish)))).toBeNull();
  });
});
