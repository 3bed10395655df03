/** Bytes per element of the KV cache types. @see `GGML_TYPES`: a quantised type stores 32 elements in that many bytes plus scale */
const CACHE_BYTES: Readonly<Record<string, number>> = {
  f32: 4,
  f16: 2,
  bf16: 2,
  q8_0: 34 / 32,
  q5_1: 24 / 32,
  q5_0: 22 / 32,
  q4_1: 20 / 32,
  q4_0: 18 / 32,
  iq4_nl: 18 / 32,
};

/** The flags that decide about memory, read from a profile's `LLAMA_ARG_*`. Tokens, layers and MiB as llama.cpp counts them. */
export interface MemoryFlags {
  /** 0: the model's training context. */
  readonly ctxSize: number;
  readonly batch: number;
  readonly ubatch: number;
  readonly nParallel: number;
  readonly kvUnified: boolean;
  readonly cacheBytesK: number;
  readonly cacheBytesV: number;
  readonly flashAttn: boolean;
  /** K and V differ in type: devices lack a kernel for most pairs, and attention then runs on the host. */
  readonly hasMixedKv: boolean;
  readonly swaFull: boolean;
  readonly kvOffload: boolean;
  readonly opOffload: boolean;
  /** null: not set (`auto`), which `--fit` may change and which means all layers otherwise. */
  readonly nGpuLayers: number | null;
  /** Layers whose experts stay on the host; null: not set. */
  readonly nCpuMoe: number | null;
  readonly fit: boolean;
  readonly fitTargetMiB: number;
  readonly fitCtx: number;
  readonly splitMode: "none" | "layer";
  readonly tensorSplit: readonly number[] | null;
  readonly mainGpu: number;
  readonly mtp: boolean;
  /** Tokens drafted per step by any kind of draft; 0 without one. */
  readonly specTokens: number;
  /** Extra recurrent states kept per sequence so that drafted tokens can be taken back; 0 for a plain draft model, which copies instead. */
  readonly rollbackStates: number;
  /** MiB; null means no limit. */
  readonly cacheRamMiB: number | null;
  readonly ctxCheckpoints: number;
  readonly mmprojOffload: boolean;
}

/** Values of flags that are written like those of the main model but mean the draft model. */
const DRAFT_FLAGS: Readonly<Record<string, readonly string[]>> = {
  LLAMA_ARG_N_GPU_LAYERS: ["LLAMA_ARG_N_GPU_LAYERS_DRAFT"],
  LLAMA_ARG_N_CPU_MOE: ["LLAMA_ARG_SPEC_DRAFT_N_CPU_MOE", "LLAMA_ARG_N_CPU_MOE_DRAFT"],
  LLAMA_ARG_CPU_MOE: ["LLAMA_ARG_SPEC_DRAFT_CPU_MOE", "LLAMA_ARG_CPU_MOE_DRAFT"],
  LLAMA_ARG_CACHE_TYPE_K: ["LLAMA_ARG_SPEC_DRAFT_CACHE_TYPE_K", "LLAMA_ARG_CACHE_TYPE_K_DRAFT"],
  LLAMA_ARG_CACHE_TYPE_V: ["LLAMA_ARG_SPEC_DRAFT_CACHE_TYPE_V", "LLAMA_ARG_CACHE_TYPE_V_DRAFT"],
  LLAMA_ARG_UBATCH: ["LLAMA_ARG_SPEC_DRAFT_N_UBATCH"],
};

/** Flags that move tensors in ways that aren't modelled; with one of them set there is no plan rather than a wrong one. */
const UNPLANNED: Readonly<Record<string, string>> = {
  LLAMA_ARG_OVERRIDE_TENSOR: "places tensors by pattern",
  LLAMA_ARG_N_CPU_FFN: "places dense feed-forward tensors",
  LLAMA_ARG_MOE_CACHE_MIB: "adds an expert cache on the GPU",
  LLAMA_ARG_RPC: "adds devices of other hosts",
};

/** What {@link readMemoryFlags} answers: the flags, or why they can't be planned. */
export type FlagReading = { readonly flags: MemoryFlags } | { readonly unknown: string };

/**
 * Reads a profile's flags with llama-server's own defaults (slots and unified cache `auto`: 4 and on). The values are those of a parsed
 * profile; what isn't a number there was refused before.
 * @see common/arg.cpp and tools/server/server.cpp of llama.cpp at 0c1e57098, 2026-10-01
 */
export function readMemoryFlags(env: Readonly<Record<string, string>>): FlagReading {
  const unplanned = Object.entries(UNPLANNED).find(([name]) => !["", "0", undefined].includes(env[name]));
  if (unplanned !== undefined) return { unknown: `${unplanned[0]} is set: it ${unplanned[1]}, which this planner does not model` };
  const splitMode = env["LLAMA_ARG_SPLIT_MODE"] ?? "layer";
  if (splitMode !== "layer" && splitMode !== "none")
    return { unknown: `LLAMA_ARG_SPLIT_MODE is ${splitMode}, this planner models layer and none` };
  const slots = numberIn(env, "LLAMA_ARG_N_PARALLEL");
  const isAuto = slots === undefined || slots < 1;
  const types = [env["LLAMA_ARG_CACHE_TYPE_K"] ?? "f16", env["LLAMA_ARG_CACHE_TYPE_V"] ?? "f16"].map((type) => CACHE_BYTES[type]);
  const [cacheBytesK, cacheBytesV] = types;
  if (cacheBytesK === undefined || cacheBytesV === undefined) {
    return {
      unknown: `cache type ${env["LLAMA_ARG_CACHE_TYPE_K"] ?? "f16"} or ${env["LLAMA_ARG_CACHE_TYPE_V"] ?? "f16"} is not known, known are ${Object.keys(CACHE_BYTES).join(", ")}`,
    };
  }
  const nParallel = isAuto ? 4 : slots;
  const perSlot = numberIn(env, "LLAMA_ARG_KV_UNIFIED_PER_SLOT") ?? 0;
  const batch = numberIn(env, "LLAMA_ARG_BATCH") ?? 2048;
  return {
    flags: {
      ctxSize: numberIn(env, "LLAMA_ARG_CTX_SIZE") ?? perSlot * nParallel,
      batch,
      ubatch: Math.min(batch, numberIn(env, "LLAMA_ARG_UBATCH") ?? 512),
      nParallel,
      kvUnified: isOn(env, "LLAMA_ARG_KV_UNIFIED", isAuto || perSlot > 0),
      cacheBytesK,
      cacheBytesV,
      flashAttn: readFlashAttn(env),
      hasMixedKv: hasMixedKv(env),
      swaFull: isOn(env, "LLAMA_ARG_SWA_FULL", false),
      kvOffload: isOn(env, "LLAMA_ARG_KV_OFFLOAD", true),
      opOffload: isOn(env, "LLAMA_ARG_OP_OFFLOAD", true),
      ...readPlacement(env),
      splitMode,
      ...readSpeculation(env),
      cacheRamMiB: readCacheRam(env),
      ctxCheckpoints: numberIn(env, "LLAMA_ARG_CTX_CHECKPOINTS") ?? 32,
      mmprojOffload: isOn(env, "LLAMA_ARG_MMPROJ_OFFLOAD", true),
    },
  };
}

/** The flags that the draft model runs with: the main model's context and slots, its own placement and cache types. */
export function draftModelFlags(env: Readonly<Record<string, string>>): Record<string, string> {
  const draft: Record<string, string> = { ...env, LLAMA_ARG_SPEC_TYPE: "none" };
  for (const [name, sources] of Object.entries(DRAFT_FLAGS)) {
    const value = sources.map((source) => env[source]).find((entry) => entry !== undefined);
    if (value !== undefined) draft[name] = value;
    else if (name !== "LLAMA_ARG_UBATCH") Reflect.deleteProperty(draft, name);
  }
  return draft;
}

function readPlacement(
  env: Readonly<Record<string, string>>,
): Pick<MemoryFlags, "nGpuLayers" | "nCpuMoe" | "fit" | "fitTargetMiB" | "fitCtx" | "tensorSplit" | "mainGpu"> {
  const layers = env["LLAMA_ARG_N_GPU_LAYERS"] ?? "auto";
  const split = env["LLAMA_ARG_TENSOR_SPLIT"];
  return {
    nGpuLayers: layers === "auto" ? null : layers === "all" ? 1_000_000 : Number(layers),
    nCpuMoe: isOn(env, "LLAMA_ARG_CPU_MOE", false) ? 1_000_000 : (numberIn(env, "LLAMA_ARG_N_CPU_MOE") ?? null),
    fit: isOn(env, "LLAMA_ARG_FIT", true),
    fitTargetMiB: Number((env["LLAMA_ARG_FIT_TARGET"] ?? "1024").split(",")[0]),
    fitCtx: numberIn(env, "LLAMA_ARG_FIT_CTX") ?? 4096,
    tensorSplit: split === undefined ? null : split.split(",").map(Number),
    mainGpu: numberIn(env, "LLAMA_ARG_MAIN_GPU") ?? 0,
  };
}

function readSpeculation(env: Readonly<Record<string, string>>): Pick<MemoryFlags, "mtp" | "specTokens" | "rollbackStates"> {
  const types = (env["LLAMA_ARG_SPEC_TYPE"] ?? "none").split(",");
  const hasModel = (env["LLAMA_ARG_SPEC_DRAFT_MODEL"] ?? env["LLAMA_ARG_MODEL_DRAFT"] ?? "") !== "";
  const drafts = hasModel || types.some((type) => type.startsWith("draft-"));
  const tokens = numberIn(env, "LLAMA_ARG_SPEC_DRAFT_N_MAX") ?? numberIn(env, "LLAMA_ARG_DRAFT_MAX") ?? 3;
  const rollsBack = types.some((type) => ["draft-mtp", "draft-eagle3", "draft-dflash", "draft-dspark"].includes(type));
  return { mtp: types.includes("draft-mtp"), specTokens: drafts ? tokens : 0, rollbackStates: rollsBack ? tokens : 0 };
}

/** `auto` turns it off where the device lacks a kernel, which is where K and V differ in type. */
function readFlashAttn(env: Readonly<Record<string, string>>): boolean {
  const value = env["LLAMA_ARG_FLASH_ATTN"] ?? "auto";
  if (value !== "auto") return isOn(env, "LLAMA_ARG_FLASH_ATTN", true);
  return !hasMixedKv(env);
}

function hasMixedKv(env: Readonly<Record<string, string>>): boolean {
  return (env["LLAMA_ARG_CACHE_TYPE_K"] ?? "f16") !== (env["LLAMA_ARG_CACHE_TYPE_V"] ?? "f16");
}

function readCacheRam(env: Readonly<Record<string, string>>): number | null {
  const limit = numberIn(env, "LLAMA_ARG_CACHE_RAM") ?? 8192;
  return limit < 0 ? null : limit;
}

function numberIn(env: Readonly<Record<string, string>>, name: string): number | undefined {
  const value = env[name];
  return value === undefined ? undefined : Number(value);
}

function isOn(env: Readonly<Record<string, string>>, name: string, byDefault: boolean): boolean {
  const value = env[name];
  return value === undefined ? byDefault : ["on", "1", "true", "enabled"].includes(value);
}
