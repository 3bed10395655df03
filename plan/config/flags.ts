import { decimal, integer, numberList, onOff, onOffAuto, text, word, type FlagValue } from "./flag-values.ts";

/** A flag of llama-server that a profile may set. */
export interface FlagSpec {
  /** Variable that the server reads it from, e.g. `LLAMA_ARG_CTX_SIZE`. */
  readonly env: string;
  /** The flag's own long name, e.g. `--ctx-size`. */
  readonly name: string;
  readonly value: FlagValue;
  /** The same flag's variable in other builds; a profile writes the one that its image knows. */
  readonly formerly: readonly string[];
}

const flag = (name: string, env: string, value: FlagValue, ...formerly: readonly string[]): FlagSpec => ({ env, name, value, formerly });

const any = Number.MAX_SAFE_INTEGER;
/** @see `kv_cache_types` in common/arg.cpp of llama.cpp at 0c1e57098bba43ac29e6e3b677cdceebdd22334f; the same in b8149's time */
const cacheType = word("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1");
/** Layers: no model that llama.cpp knows has a thousand; `auto` lets `--fit` choose, `all` means all. */
const gpuLayers = integer(0, 999, "layers", ["auto", "all"]);
const layers = integer(0, 999, "layers");
/** @see ids of `ggml_backend_dev_name`, `--list-devices` prints them: CUDA0, Vulkan0, CPU, … */
const devices = text(/^(none|[A-Za-z]+\d*(,[A-Za-z]+\d*)*)$/, "none, or device names split by commas, e.g. CUDA0,CUDA1");

const placement: readonly FlagSpec[] = [
  flag("--n-gpu-layers", "LLAMA_ARG_N_GPU_LAYERS", gpuLayers),
  flag("--n-cpu-moe", "LLAMA_ARG_N_CPU_MOE", layers),
  flag("--cpu-moe", "LLAMA_ARG_CPU_MOE", onOff),
  flag("--n-cpu-ffn", "LLAMA_ARG_N_CPU_FFN", layers),
  flag("--override-tensor", "LLAMA_ARG_OVERRIDE_TENSOR", text(/^[^=]+=[^=,]+(,[^=]+=[^=,]+)*$/, "PATTERN=BUFFER pairs split by commas")),
  flag("--fit", "LLAMA_ARG_FIT", onOff),
  flag("--fit-target", "LLAMA_ARG_FIT_TARGET", numberList(0, "MiB left free")),
  flag("--fit-ctx", "LLAMA_ARG_FIT_CTX", integer(256, 1 << 24, "tokens")),
  flag("--device", "LLAMA_ARG_DEVICE", devices),
  flag("--split-mode", "LLAMA_ARG_SPLIT_MODE", word("none", "layer", "row", "tensor")),
  flag("--tensor-split", "LLAMA_ARG_TENSOR_SPLIT", numberList(0, "share")),
  flag("--main-gpu", "LLAMA_ARG_MAIN_GPU", integer(0, 63, "device index")),
  flag("--no-host", "LLAMA_ARG_NO_HOST", onOff),
  flag("--repack", "LLAMA_ARG_REPACK", onOff),
  flag(
    "--load-mode",
    "LLAMA_ARG_LOAD_MODE",
    word("auto", "none", "mmap", "mlock", "mmap+mlock", "dio"),
    "LLAMA_ARG_MMAP",
    "LLAMA_ARG_MLOCK",
  ),
  flag("--mmap", "LLAMA_ARG_MMAP", onOff, "LLAMA_ARG_LOAD_MODE"),
  flag("--mlock", "LLAMA_ARG_MLOCK", onOff, "LLAMA_ARG_LOAD_MODE"),
  flag("--lazy-mode", "LLAMA_ARG_LAZY_MODE", word("on", "auto", "off")),
  flag("--numa", "LLAMA_ARG_NUMA", word("distribute", "isolate", "numactl")),
];

const context: readonly FlagSpec[] = [
  flag("--ctx-size", "LLAMA_ARG_CTX_SIZE", integer(256, 1 << 24, "tokens")),
  flag("--parallel", "LLAMA_ARG_N_PARALLEL", integer(1, 256, "slots")),
  flag("--kv-unified", "LLAMA_ARG_KV_UNIFIED", onOff),
  flag("--kv-unified-per-slot", "LLAMA_ARG_KV_UNIFIED_PER_SLOT", integer(1, 1 << 24, "tokens")),
  flag("--batch-size", "LLAMA_ARG_BATCH", integer(32, 1 << 20, "tokens")),
  flag("--ubatch-size", "LLAMA_ARG_UBATCH", integer(32, 1 << 20, "tokens")),
  flag("--cache-type-k", "LLAMA_ARG_CACHE_TYPE_K", cacheType),
  flag("--cache-type-v", "LLAMA_ARG_CACHE_TYPE_V", cacheType),
  flag("--kv-offload", "LLAMA_ARG_KV_OFFLOAD", onOff),
  flag("--flash-attn", "LLAMA_ARG_FLASH_ATTN", onOffAuto),
  flag("--swa-full", "LLAMA_ARG_SWA_FULL", onOff),
  flag("--cache-ram", "LLAMA_ARG_CACHE_RAM", integer(-1, any, "MiB; -1 means no limit, 0 none")),
  flag("--cache-prompt", "LLAMA_ARG_CACHE_PROMPT", onOff),
  flag("--cache-reuse", "LLAMA_ARG_CACHE_REUSE", integer(0, 1 << 24, "tokens")),
  flag("--cache-idle-slots", "LLAMA_ARG_CACHE_IDLE_SLOTS", onOff),
  flag("--ctx-checkpoints", "LLAMA_ARG_CTX_CHECKPOINTS", integer(0, 1024, "checkpoints per slot")),
  flag("--rope-scaling", "LLAMA_ARG_ROPE_SCALING_TYPE", word("none", "linear", "yarn")),
  flag("--rope-scale", "LLAMA_ARG_ROPE_SCALE", decimal(0, 1024, "factor")),
  flag("--rope-freq-base", "LLAMA_ARG_ROPE_FREQ_BASE", decimal(0, 1e9, "base")),
  flag("--rope-freq-scale", "LLAMA_ARG_ROPE_FREQ_SCALE", decimal(0, 1024, "factor")),
  flag("--yarn-orig-ctx", "LLAMA_ARG_YARN_ORIG_CTX", integer(0, 1 << 24, "tokens")),
];

const work: readonly FlagSpec[] = [
  flag("--threads", "LLAMA_ARG_THREADS", integer(1, 1024, "threads")),
  flag("--threads-http", "LLAMA_ARG_THREADS_HTTP", integer(1, 1024, "threads")),
  flag("--cont-batching", "LLAMA_ARG_CONT_BATCHING", onOff),
  flag("--n-predict", "LLAMA_ARG_N_PREDICT", integer(-1, 1 << 24, "tokens; -1 means no limit")),
  flag("--timeout", "LLAMA_ARG_TIMEOUT", integer(1, 86_400, "seconds")),
];

const chat: readonly FlagSpec[] = [
  flag("--jinja", "LLAMA_ARG_JINJA", onOff),
  flag("--chat-template", "LLAMA_ARG_CHAT_TEMPLATE", text(/^\S.*$/, "a Jinja template on one line")),
  flag(
    "--chat-template-kwargs",
    "LLAMA_ARG_CHAT_TEMPLATE_KWARGS",
    text(/^\{.*\}$/, "a JSON object on one line"),
    "LLAMA_CHAT_TEMPLATE_KWARGS",
  ),
  flag("--reasoning-format", "LLAMA_ARG_THINK", word("auto", "none", "deepseek", "deepseek-legacy")),
  flag("--reasoning", "LLAMA_ARG_REASONING", onOffAuto),
  flag("--reasoning-budget", "LLAMA_ARG_THINK_BUDGET", integer(-1, 1 << 24, "tokens; -1 means no limit, 0 ends at once")),
  flag("--image-min-tokens", "LLAMA_ARG_IMAGE_MIN_TOKENS", integer(1, 1 << 20, "tokens")),
  flag("--image-max-tokens", "LLAMA_ARG_IMAGE_MAX_TOKENS", integer(1, 1 << 20, "tokens")),
  flag("--mmproj-offload", "LLAMA_ARG_MMPROJ_OFFLOAD", onOff),
];

/** Speculative decoding. Its variables were renamed in 2026: both names are here, and the image's list says which one counts. */
const speculative: readonly FlagSpec[] = [
  flag("--spec-type", "LLAMA_ARG_SPEC_TYPE", text(/^[a-z0-9-]+(,[a-z0-9-]+)*$/, "speculation types split by commas, e.g. draft-mtp")),
  flag("--spec-draft-n-max", "LLAMA_ARG_SPEC_DRAFT_N_MAX", integer(1, 256, "tokens"), "LLAMA_ARG_DRAFT_MAX"),
  flag("--draft-max", "LLAMA_ARG_DRAFT_MAX", integer(1, 256, "tokens"), "LLAMA_ARG_SPEC_DRAFT_N_MAX"),
  flag("--spec-draft-n-min", "LLAMA_ARG_SPEC_DRAFT_N_MIN", integer(0, 256, "tokens"), "LLAMA_ARG_DRAFT_MIN"),
  flag("--draft-min", "LLAMA_ARG_DRAFT_MIN", integer(0, 256, "tokens"), "LLAMA_ARG_SPEC_DRAFT_N_MIN"),
  flag("--spec-draft-p-min", "LLAMA_ARG_SPEC_DRAFT_P_MIN", decimal(0, 1, "probability"), "LLAMA_ARG_DRAFT_P_MIN"),
  flag("--draft-p-min", "LLAMA_ARG_DRAFT_P_MIN", decimal(0, 1, "probability"), "LLAMA_ARG_SPEC_DRAFT_P_MIN"),
  flag("--n-gpu-layers-draft", "LLAMA_ARG_N_GPU_LAYERS_DRAFT", gpuLayers),
  flag("--ctx-size-draft", "LLAMA_ARG_CTX_SIZE_DRAFT", integer(256, 1 << 24, "tokens")),
  flag("--spec-draft-type-k", "LLAMA_ARG_SPEC_DRAFT_CACHE_TYPE_K", cacheType, "LLAMA_ARG_CACHE_TYPE_K_DRAFT"),
  flag("--cache-type-k-draft", "LLAMA_ARG_CACHE_TYPE_K_DRAFT", cacheType, "LLAMA_ARG_SPEC_DRAFT_CACHE_TYPE_K"),
  flag("--spec-draft-type-v", "LLAMA_ARG_SPEC_DRAFT_CACHE_TYPE_V", cacheType, "LLAMA_ARG_CACHE_TYPE_V_DRAFT"),
  flag("--cache-type-v-draft", "LLAMA_ARG_CACHE_TYPE_V_DRAFT", cacheType, "LLAMA_ARG_SPEC_DRAFT_CACHE_TYPE_V"),
  flag("--spec-draft-cpu-moe", "LLAMA_ARG_SPEC_DRAFT_CPU_MOE", onOff, "LLAMA_ARG_CPU_MOE_DRAFT"),
  flag("--cpu-moe-draft", "LLAMA_ARG_CPU_MOE_DRAFT", onOff, "LLAMA_ARG_SPEC_DRAFT_CPU_MOE"),
  flag("--spec-draft-n-cpu-moe", "LLAMA_ARG_SPEC_DRAFT_N_CPU_MOE", layers, "LLAMA_ARG_N_CPU_MOE_DRAFT"),
  flag("--n-cpu-moe-draft", "LLAMA_ARG_N_CPU_MOE_DRAFT", layers, "LLAMA_ARG_SPEC_DRAFT_N_CPU_MOE"),
];

/**
 * Every flag that a profile may set, with llama.cpp's own names. Ranges are this project's where llama.cpp has none: what is outside them
 * was never meant (a context of 0 is "whatever the model says", which is not deliberate).
 * @see common/arg.cpp of llama.cpp at 0c1e57098bba43ac29e6e3b677cdceebdd22334f and 49bfddeca18e62fa3d39114a23e9fcbdf8a22388; Debian's `llama-server --help`, build 11669
 */
export const flagSpecs: ReadonlyMap<string, FlagSpec> = new Map(
  [...placement, ...context, ...work, ...chat, ...speculative].map((spec) => [spec.env, spec]),
);

/**
 * Flags that every profile writes out, because their defaults decide about memory or speed, or changed between builds. More of them, which not
 * every build knows, are in `resolveProfile`.
 */
export const writtenOutFlags: readonly string[] = [
  "LLAMA_ARG_CTX_SIZE",
  "LLAMA_ARG_N_PARALLEL",
  "LLAMA_ARG_BATCH",
  "LLAMA_ARG_UBATCH",
  "LLAMA_ARG_N_GPU_LAYERS",
  "LLAMA_ARG_CACHE_TYPE_K",
  "LLAMA_ARG_CACHE_TYPE_V",
  "LLAMA_ARG_FLASH_ATTN",
  "LLAMA_ARG_JINJA",
];
