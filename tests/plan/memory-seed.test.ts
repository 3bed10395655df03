/**
 * The planner against the rows that were measured in February 2026 on a 16 GB card. Cannot prove: that another card or build behaves the same; the digests are
 * reconstructed from published shapes, and the compute table of that build is fitted to these rows, so compute is a regression test here and the exact parts are the proof.
 */
import { describe, expect, it } from "vitest";
import { planMemory } from "../../plan/memory/fix.ts";
import type { MemoryPlan } from "../../plan/memory/types.ts";
import { committedHeader, committedTable, device, planned } from "../support/planner.ts";

const q8 = committedHeader("qwen3.5-35b-a3b-q8_0");
const q4 = committedHeader("qwen3.5-35b-a3b-q4_k_m");
const february = committedTable("b8149-cuda");
const latest = committedTable("0c1e57098-cuda");

/** As the rows were run: context 65,536, KV q8_0, ubatch 4096, four slots in one cache. */
const common = {
  LLAMA_ARG_CTX_SIZE: "65536",
  LLAMA_ARG_BATCH: "4096",
  LLAMA_ARG_UBATCH: "4096",
  LLAMA_ARG_N_PARALLEL: "4",
  LLAMA_ARG_KV_UNIFIED: "on",
  LLAMA_ARG_CACHE_TYPE_K: "q8_0",
  LLAMA_ARG_CACHE_TYPE_V: "q8_0",
  LLAMA_ARG_FLASH_ATTN: "on",
};
const experts = (layers: number) => ({
  ...common,
  LLAMA_ARG_N_GPU_LAYERS: "999",
  LLAMA_ARG_FIT: "off",
  LLAMA_ARG_N_CPU_MOE: String(layers),
});
const fit = { ...common, LLAMA_ARG_N_GPU_LAYERS: "auto", LLAMA_ARG_FIT: "on", LLAMA_ARG_FIT_TARGET: "1024" };
const f16 = { ...experts(40), LLAMA_ARG_CACHE_TYPE_K: "f16", LLAMA_ARG_CACHE_TYPE_V: "f16" };
const card = { gpus: [{ totalMiB: 16_384 }] };
const plan = (header: typeof q8, flags: Record<string, string>, table = february): MemoryPlan =>
  planMemory({ header, flags, budget: card, table });

describe("rows that were measured", () => {
  it.each([
    ["C1", q8, experts(40), 8064],
    ["C4r", q8, fit, 14_660],
    ["C5", q4, experts(40), 7217],
    ["C7", q4, experts(24), 14_874],
  ] as const)("%s is planned within 3 %% of its VRAM, and the interval holds it", (_, header, flags, measuredMiB) => {
    const gpu = device(plan(header, flags), "gpu0");
    expect(Math.abs(gpu.expectedMiB / measuredMiB - 1)).toBeLessThan(0.03);
    expect(gpu.lowMiB).toBeLessThan(measuredMiB);
    expect(gpu.highMiB).toBeGreaterThan(measuredMiB);
  });

  it.each([
    ["C1", q8, experts(40), 35.7],
    ["C4r", q8, fit, 40.5],
    ["C5", q4, experts(40), 51],
    ["C7", q4, experts(24), 69.6],
  ] as const)("%s is planned within 4 %% of its decode speed", (_, header, flags, tokensPerSec) => {
    expect(Math.abs(planned(plan(header, flags)).speed.tokensPerSec / tokensPerSec - 1)).toBeLessThan(0.04);
  });

  it.each([
    ["C1", q8, experts(40)],
    ["C2a", q8, experts(32)],
    ["C2b", q8, experts(36)],
    ["C3", q8, f16],
    ["C4r", q8, fit],
    ["C5", q4, experts(40)],
    ["C7", q4, experts(24)],
    ["C8", q4, fit],
  ] as const)("%s, which ran, is not refused by either build's table", (_, header, flags) => {
    expect(planned(plan(header, flags)).verdict).not.toBe("refused");
    expect(planned(plan(header, flags, latest)).verdict).not.toBe("refused");
  });
});

describe("rows that ran out of memory", () => {
  it("C2 is refused, and the cheapest change leaves the experts of more layers on the host", () => {
    const { verdict, fix } = planned(plan(q8, experts(16)));
    expect(verdict).toBe("refused");
    expect(fix).toEqual({
      set: { LLAMA_ARG_N_CPU_MOE: "32" },
      verdict: "fits",
      summary: "LLAMA_ARG_N_CPU_MOE=32 (now 16): fits",
    });
  });

  it("C6 is refused, and a smaller ubatch is found to be enough", () => {
    const { verdict, fix } = planned(plan(q4, experts(16)));
    expect(verdict).toBe("refused");
    expect(fix).toEqual({ set: { LLAMA_ARG_UBATCH: "1024" }, verdict: "fits", summary: "LLAMA_ARG_UBATCH=1024 (now 4096): fits" });
    expect(planned(plan(q4, { ...experts(16), ...fix!.set })).verdict).toBe("fits");
  });

  it("C2 stays refused on today's build, whose compute is smaller", () => {
    expect(planned(plan(q8, experts(16), latest)).verdict).toBe("refused");
  });
});

describe("today's build", () => {
  it.each([
    [q4, "512", 525.54],
    [q4, "4096", 1406.28],
    [q8, "512", 649.54],
    [q8, "4096", 1452.28],
  ] as const)("has the compute that was measured with every expert on the host", (header, ubatch, computeMiB) => {
    const gpu = device(plan(header, { ...experts(40), LLAMA_ARG_UBATCH: ubatch }, latest), "gpu0");
    const compute = gpu.parts.find(({ kind }) => kind === "compute")!;
    expect(compute.expectedMiB).toBe(computeMiB);
    expect(compute.lowMiB).toBeLessThanOrEqual(computeMiB);
    expect(compute.highMiB).toBeGreaterThanOrEqual(computeMiB);
    expect(compute.highMiB - compute.lowMiB).toBeLessThan(0.05 * computeMiB);
  });
});

describe("exact parts of C7", () => {
  it("are the tensor bytes, the cells and the recurrent state of four slots", () => {
    const { parts } = device(plan(q4, experts(24)), "gpu0");
    const exact = Object.fromEntries(
      parts.filter(({ lowMiB, highMiB }) => lowMiB === highMiB).map(({ kind, lowMiB }) => [kind, Math.round(lowMiB * 100) / 100]),
    );
    expect(exact).toEqual({ weights: 8810.89, kv: 680, recurrentState: 251.25 });
  });
});
