import fc from "fast-check";

/** One question for engine and planner: a model and flags, as command line and as `LLAMA_ARG_*`. */
export interface RandomCase {
  readonly model: string;
  readonly args: readonly string[];
  readonly flags: Readonly<Record<string, string>>;
}

/** Layers and whether there are experts, by the fixture's name. */
const MODELS = {
  gemma270: { layers: 18, hasExperts: false },
  qwen35q8: { layers: 40, hasExperts: true },
  qwen35q4: { layers: 40, hasExperts: true },
  qwen35mtp: { layers: 41, hasExperts: true },
  llama: { layers: 32, hasExperts: false },
  llamatied: { layers: 32, hasExperts: false },
  qwen3moe: { layers: 24, hasExperts: true },
  gemma3: { layers: 34, hasExperts: false },
} as const;

const cacheTypes = ["f16", "q8_0", "q4_0", "bf16", "f32", "q5_1", "iq4_nl"] as const;

const raw = fc.record({
  model: fc.constantFrom(...(Object.keys(MODELS) as (keyof typeof MODELS)[])),
  ctx: fc.constantFrom(512, 2000, 4096, 8192, 16_384, 32_768, 65_536, 100_000),
  slots: fc.constantFrom(1, 1, 2, 3, 4),
  ubatch: fc.constantFrom(64, 128, 256, 512, 1024, 2048, 4096),
  batch: fc.constantFrom(512, 2048, 4096),
  k: fc.constantFrom(...cacheTypes),
  v: fc.constantFrom("same", "f16", "q8_0", "q4_0"),
  flash: fc.constantFrom("on", "on", "auto", "off"),
  layers: fc.oneof(fc.constant(99), fc.constant(99), fc.constant(0), fc.nat(40)),
  experts: fc.option(fc.nat(41)),
  swaFull: fc.boolean(),
  noKvOffload: fc.integer({ min: 0, max: 9 }),
  noOpOffload: fc.integer({ min: 0, max: 9 }),
});

/** `count` cases from `seed`; the same seed gives the same cases on every machine. A quantised V cache never comes without flash attention: the engine refuses that. */
export function randomCases(seed: number, count: number): RandomCase[] {
  return fc.sample(raw, { seed, numRuns: count }).map((draw) => {
    const { layers, hasExperts } = MODELS[draw.model];
    const v = draw.flash === "on" ? (draw.v === "same" ? draw.k : draw.v) : draw.flash === "auto" ? draw.k : "f16";
    const both: [string, string, string][] = [
      ["-c", "LLAMA_ARG_CTX_SIZE", String(draw.ctx)],
      ["-np", "LLAMA_ARG_N_PARALLEL", String(draw.slots)],
      ["-ub", "LLAMA_ARG_UBATCH", String(draw.ubatch)],
      ["-b", "LLAMA_ARG_BATCH", String(draw.batch)],
      ["-ctk", "LLAMA_ARG_CACHE_TYPE_K", draw.k],
      ["-ctv", "LLAMA_ARG_CACHE_TYPE_V", v],
      ["-fa", "LLAMA_ARG_FLASH_ATTN", draw.flash],
      ["-ngl", "LLAMA_ARG_N_GPU_LAYERS", String(draw.layers === 99 ? 99 : Math.min(draw.layers, layers + 1))],
      ...(hasExperts && draw.experts !== null ? [["-ncmoe", "LLAMA_ARG_N_CPU_MOE", String(draw.experts)] as [string, string, string]] : []),
    ];
    const switches: [string, string, string][] = [
      ...(draw.swaFull && draw.model.startsWith("gemma") ? [["--swa-full", "LLAMA_ARG_SWA_FULL", "on"] as [string, string, string]] : []),
      ...(draw.noKvOffload === 0 ? [["-nkvo", "LLAMA_ARG_KV_OFFLOAD", "off"] as [string, string, string]] : []),
      ...(draw.noOpOffload === 0 ? [["--no-op-offload", "LLAMA_ARG_OP_OFFLOAD", "off"] as [string, string, string]] : []),
    ];
    return {
      model: draw.model,
      args: [...both.flatMap(([name, , value]) => [name, value]), ...switches.map(([name]) => name)],
      flags: {
        LLAMA_ARG_KV_UNIFIED: "off",
        LLAMA_ARG_FIT: "off",
        ...Object.fromEntries([...both, ...switches].map(([, name, value]) => [name, value])),
      },
    };
  });
}
