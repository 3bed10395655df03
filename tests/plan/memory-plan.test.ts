/**
 * What the planner decides for all kinds of models and flags. Cannot prove: that the engine agrees; tests/oracle asks it.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findComputeTable } from "../../plan/memory/compute-table.ts";
import { planMemory } from "../../plan/memory/fix.ts";
import { describePlan, planForPreview } from "../../plan/memory/preview.ts";
import type { MemoryPart } from "../../plan/memory/types.ts";
import { gemma3Swa, llamaGqa, qwen35moe, qwen3Moe } from "../support/model-shapes.ts";
import { committedHeader, committedTable, device, headerOf, planned } from "../support/planner.ts";

const gemma270 = committedHeader("gemma-3-270m-q4_k_m");
const q4 = committedHeader("qwen3.5-35b-a3b-q4_k_m");
const models = {
  llama: headerOf(llamaGqa()),
  tied: headerOf(llamaGqa(true)),
  moe: headerOf(qwen3Moe()),
  swa: headerOf(gemma3Swa()),
  q4,
  gemma270,
};
const mtp = headerOf(qwen35moe("Q8_0", { mtp: true }));
const table = committedTable("0c1e57098-cuda");
const big = { gpus: [{ totalMiB: 98_304 }] };
const flags = { LLAMA_ARG_CTX_SIZE: "8192", LLAMA_ARG_N_PARALLEL: "2", LLAMA_ARG_KV_UNIFIED: "off", LLAMA_ARG_FIT: "off" };

const sum = (parts: readonly MemoryPart[], kind: MemoryPart["kind"]): number =>
  Math.round(parts.filter((part) => part.kind === kind).reduce((total, part) => total + part.lowMiB, 0));

describe("planMemory", () => {
  it("says that it doesn't know an architecture, with the ones that it knows", () => {
    const plan = planMemory({ header: { ...q4, architecture: "deepseek2" }, flags, budget: big, table });
    expect(plan.kind).toBe("unknown");
    expect(plan).toMatchObject({
      reason: expect.stringMatching(
        /^architecture "deepseek2" is not modelled, known are arcee, .*qwen35moe.*; nothing is guessed for it$/,
      ) as string,
    });
  });

  it("doesn't take an object's own methods for architectures", () => {
    expect(planMemory({ header: { ...q4, architecture: "toString" }, flags, budget: big, table }).kind).toBe("unknown");
  });

  it("names the metadata that an architecture needs and lacks", () => {
    const metadata = Object.fromEntries(Object.entries(q4.metadata).filter(([key]) => key !== "ssm.inner_size"));
    expect(planMemory({ header: { ...q4, metadata }, flags, budget: big, table })).toEqual({
      kind: "unknown",
      reason: `${q4.source}: metadata lacks or has no usable qwen35moe.ssm.inner_size`,
    });
  });

  it.each([
    ["LLAMA_ARG_OVERRIDE_TENSOR", "exps=CPU"],
    ["LLAMA_ARG_RPC", "10.0.0.1:50052"],
    ["LLAMA_ARG_SPLIT_MODE", "row"],
    ["LLAMA_ARG_CACHE_TYPE_K", "q2_0"],
  ])("refuses to plan with %s=%s rather than plan it wrong", (name, value) => {
    expect(planMemory({ header: q4, flags: { ...flags, [name]: value }, budget: big, table }).kind).toBe("unknown");
  });

  it("puts everything on the host without a GPU", () => {
    const plan = planMemory({
      header: gemma270,
      flags: { ...flags, LLAMA_ARG_N_GPU_LAYERS: "0" },
      budget: { gpus: [], hostMiB: 4096 },
      table: committedTable("b11669-cpu"),
    });
    expect(planned(plan).devices.map(({ device: name }) => name)).toEqual(["host"]);
    expect(sum(device(plan, "host").parts, "weights")).toBe(235);
  });

  it("keeps a copy of a tied embedding where the output is, and only the embedding on the host", () => {
    const tied = planMemory({ header: models.tied, flags, budget: big, table });
    const embeddingMiB = 281.8;
    expect(sum(device(tied, "host").parts, "weights")).toBe(Math.round(embeddingMiB));
    const total = models.tied.tensors.reduce((bytes, tensor) => bytes + tensor.bytes, 0) / 2 ** 20;
    expect(sum(device(tied, "gpu0").parts, "weights")).toBe(Math.round(total));
  });

  it("moves layers from the back to the GPU, the output first", () => {
    const weights = (layers: string): number =>
      sum(
        device(planMemory({ header: models.llama, flags: { ...flags, LLAMA_ARG_N_GPU_LAYERS: layers }, budget: big, table }), "gpu0").parts,
        "weights",
      );
    expect(weights("0")).toBe(0);
    expect(weights("1")).toBe(411);
    expect(weights("33")).toBe(weights("all"));
    expect(weights("all")).toBe(weights("auto"));
  });

  it("holds a sliding window at window + ubatch, and at the whole context with --swa-full", () => {
    const kv = (more: Record<string, string>): number =>
      sum(
        device(
          planMemory({
            header: models.swa,
            flags: { ...flags, LLAMA_ARG_CTX_SIZE: "65536", LLAMA_ARG_N_PARALLEL: "1", ...more },
            budget: big,
            table,
          }),
          "gpu0",
        ).parts,
        "kv",
      );
    // 5 full layers of 65,536 cells, 29 of 1536, each 2 × 1024 wide in f16
    expect(kv({})).toBe(Math.round((4 * 1024 * (5 * 65_536 + 29 * 1536)) / 2 ** 20));
    expect(kv({ LLAMA_ARG_SWA_FULL: "on" })).toBe(34 * 256);
  });

  it("adds the MTP layer, its cache and the states that can be taken back only where MTP is on", () => {
    const at = (spec: string) =>
      device(
        planMemory({
          header: mtp,
          flags: { ...flags, LLAMA_ARG_N_CPU_MOE: "99", LLAMA_ARG_SPEC_TYPE: spec, LLAMA_ARG_SPEC_DRAFT_N_MAX: "3" },
          budget: big,
          table,
        }),
        "gpu0",
      ).parts;
    expect(sum(at("draft-mtp"), "recurrentState")).toBe(Math.round(4 * 2 * 62.8125));
    expect(sum(at("draft-mtp"), "weights") - sum(at("none"), "weights")).toBe(41);
    expect(
      at("draft-mtp")
        .filter(({ label }) => label === "MTP")
        .map(({ kind }) => kind),
    ).toEqual(["kv", "compute"]);
  });

  it("plans a draft model as a whole second model with its own placement", () => {
    const plan = planMemory({
      header: models.llama,
      draft: gemma270,
      flags: { ...flags, LLAMA_ARG_N_GPU_LAYERS_DRAFT: "0" },
      budget: big,
      table,
    });
    const draft = device(plan, "host").parts.filter(({ label }) => label === "draft model");
    expect(sum(draft, "weights")).toBe(235);
    expect(
      device(plan, "gpu0")
        .parts.filter(({ label, kind }) => label === "draft model" && kind === "weights")
        .map(({ lowMiB }) => lowMiB),
    ).toEqual([0]);
  });

  it("counts a vision projector's file and work, and says so where its size is unknown", () => {
    const known = planMemory({ header: q4, projector: { header: { ...gemma270, fileBytes: 900 * 2 ** 20 } }, flags, budget: big, table });
    expect(
      device(known, "gpu0")
        .parts.filter(({ label }) => label === "vision projector")
        .map(({ expectedMiB }) => expectedMiB),
    ).toEqual([900, 270]);
    const unknown = planned(planMemory({ header: q4, projector: { unknownSize: "no header at hand" }, flags, budget: big, table }));
    expect(unknown.verdict).toBe("tight");
    expect(unknown.notes).toContain("vision projector: no header at hand; it comes on top");
  });

  it("splits layers over two GPUs by their share, and refuses to guess what --fit would do there", () => {
    const budget = { gpus: [{ totalMiB: 24_576 }, { totalMiB: 8192 }] };
    const plan = planMemory({ header: models.llama, flags, budget, table });
    const [first, second] = ["gpu0", "gpu1"].map((name) => sum(device(plan, name).parts, "kv"));
    expect([first, second]).toEqual([25 * 32, 7 * 32]);
    const tooSmall = { gpus: [{ totalMiB: 3000 }, { totalMiB: 3000 }] };
    expect(planMemory({ header: models.llama, flags: { ...flags, LLAMA_ARG_FIT: "on" }, budget: tooSmall, table }).kind).toBe("unknown");
  });

  it("says so where a build has no compute table", () => {
    const { notes } = planned(planMemory({ header: q4, flags, budget: big, table: null }));
    expect(notes[0]).toMatch(/^no compute table for this build and backend/);
  });

  it("finds nothing that helps where nothing does", () => {
    const plan = planned(planMemory({ header: q4, flags, budget: { gpus: [{ totalMiB: 500 }] }, table }));
    expect(plan).toMatchObject({ verdict: "refused", fix: null });
  });
});

describe("monotone plans", () => {
  const setting = fc.record({
    model: fc.constantFrom(...Object.keys(models)) as fc.Arbitrary<keyof typeof models>,
    ctx: fc.integer({ min: 256, max: 131_072 }),
    ubatch: fc.constantFrom<number[]>(64, 256, 512, 1024, 4096),
    slots: fc.integer({ min: 1, max: 6 }),
    layers: fc.integer({ min: 0, max: 45 }),
    moe: fc.integer({ min: 0, max: 45 }),
    tables: fc.constantFrom(table, null, committedTable("b8149-cuda")),
  });
  type Setting = typeof setting extends fc.Arbitrary<infer S> ? S : never;
  const run = (s: Setting) =>
    device(
      planMemory({
        header: models[s.model],
        flags: {
          LLAMA_ARG_CTX_SIZE: String(s.ctx),
          LLAMA_ARG_BATCH: "4096",
          LLAMA_ARG_UBATCH: String(s.ubatch),
          LLAMA_ARG_N_PARALLEL: String(s.slots),
          LLAMA_ARG_KV_UNIFIED: "on",
          LLAMA_ARG_N_GPU_LAYERS: String(s.layers),
          LLAMA_ARG_N_CPU_MOE: String(s.moe),
          LLAMA_ARG_FIT: "off",
        },
        budget: big,
        table: s.tables,
      }),
      "gpu0",
    );

  it.each([
    ["a longer context", (s: Setting) => ({ ...s, ctx: s.ctx + 4096 })],
    ["a larger ubatch", (s: Setting) => ({ ...s, ubatch: s.ubatch * 2 })],
    ["more slots", (s: Setting) => ({ ...s, slots: s.slots + 1 })],
  ] as const)("%s never needs less", (_, grow) => {
    fc.assert(
      fc.property(setting, (s) => {
        const [less, more] = [run(s), run(grow(s))];
        expect(more.highMiB).toBeGreaterThanOrEqual(less.highMiB - 1e-6);
        expect(more.lowMiB).toBeGreaterThanOrEqual(less.lowMiB - 1e-6);
      }),
      { seed: 4, numRuns: 150 },
    );
  });

  it("bounds are in order, and the device's are the sums of its parts", () => {
    fc.assert(
      fc.property(setting, (s) => {
        const plan = run(s);
        for (const range of [plan, ...plan.parts]) {
          expect(range.lowMiB).toBeLessThanOrEqual(range.expectedMiB + 1e-6);
          expect(range.expectedMiB).toBeLessThanOrEqual(range.highMiB + 1e-6);
        }
        expect(plan.highMiB).toBeCloseTo(
          plan.parts.reduce((total, part) => total + part.highMiB, 0),
          6,
        );
      }),
      { seed: 5, numRuns: 150 },
    );
  });
});

describe("--fit on", () => {
  const fitted = (totalMiB: number, header = q4) =>
    planned(
      planMemory({
        header,
        flags: { ...flags, LLAMA_ARG_FIT: "on", LLAMA_ARG_N_GPU_LAYERS: "auto" },
        budget: { gpus: [{ totalMiB }] },
        table,
      }),
    );

  it("changes nothing where everything fits", () => {
    expect(fitted(98_304).fit).toEqual({ ctxSize: 8192, nGpuLayers: 41, cpuExpertsFrom: null, changed: false });
  });

  it("keeps the experts of the first layers on the GPU, more of them on a larger card", () => {
    const from = [8192, 12_288, 16_384, 20_480].map((mib) => fitted(mib).fit!.cpuExpertsFrom!);
    expect(from).toEqual([...from].sort((a, b) => a - b));
    expect(new Set(from).size).toBe(from.length);
  });

  it("drops layers of a dense model", () => {
    expect(fitted(4096, models.llama).fit!.nGpuLayers).toBeLessThan(33);
  });

  it("leaves what was set by hand", () => {
    const { fit } = planned(
      planMemory({
        header: q4,
        flags: { ...flags, LLAMA_ARG_FIT: "on", LLAMA_ARG_N_CPU_MOE: "3" },
        budget: { gpus: [{ totalMiB: 16_384 }] },
        table,
      }),
    );
    expect(fit).toBeNull();
  });

  it("never plans over the target that the engine keeps free", () => {
    const { devices } = fitted(16_384);
    expect(devices[0]!.highMiB).toBeLessThanOrEqual(16_384 - 1024 + (table.context.highMiB - table.context.lowMiB));
  });
});

describe("planForPreview", () => {
  const tables = ["b8149-cuda", "0c1e57098-cuda", "b11669-cpu"].map(committedTable);
  const seed = {
    ...flags,
    LLAMA_ARG_CTX_SIZE: "65536",
    LLAMA_ARG_UBATCH: "4096",
    LLAMA_ARG_BATCH: "4096",
    LLAMA_ARG_CACHE_TYPE_K: "q8_0",
    LLAMA_ARG_CACHE_TYPE_V: "q8_0",
  };

  it("finds the table by commit, whole or short, and by build number", () => {
    expect(findComputeTable(tables, "0c1e57098bba43ac29e6e3b677cdceebdd22334f", "cuda")).toBe(tables[1]);
    expect(findComputeTable(tables, "0c1e570", "cuda")).toBe(tables[1]);
    expect(findComputeTable(tables, "b8149", "cuda")).toBe(tables[0]);
    expect(findComputeTable(tables, "b814", "cuda")).toBeUndefined();
    expect(findComputeTable(tables, "b8149", "vulkan")).toBeUndefined();
  });

  it("stops what cannot fit and names the change in its lines", () => {
    const { verdict, lines } = planForPreview({
      header: q4,
      flags: { ...seed, LLAMA_ARG_N_CPU_MOE: "0" },
      budget: { gpus: [{ totalMiB: 16_384 }] },
      build: "b8149",
      backend: "cuda",
      tables,
    });
    expect(verdict).toBe("refused");
    expect(lines).toContainEqual(
      expect.stringMatching(
        /^memory: refused: even the lower bound is over the budget; cheapest change: LLAMA_ARG_N_CPU_MOE=\d+ \(now 0\): fits$/,
      ),
    );
  });

  it("says what it doesn't plan instead of passing it", () => {
    expect(
      planForPreview({ header: { ...q4, architecture: "rwkv7" }, flags, budget: big, build: "b8149", backend: "cuda", tables }),
    ).toMatchObject({
      verdict: "unknown",
      lines: [expect.stringMatching(/^memory: not planned: architecture "rwkv7" is not modelled/)],
    });
  });

  it("lists each part with its source", () => {
    const plan = planned(planMemory({ header: q4, flags: seed, budget: { gpus: [{ totalMiB: 40_960 }], hostMiB: 65_536 }, table }));
    expect(describePlan(plan)).toContainEqual(expect.stringMatching(/^memory: {3}kv 680 MiB: cells × widths/));
  });
});
