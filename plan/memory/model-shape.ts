import type { GgufHeader, GgufValue } from "../gguf/types.ts";

/** What one layer keeps between tokens: a KV cache of these widths (elements per token), or a recurrent state. */
export interface LayerShape {
  readonly isSwa: boolean;
  readonly isRecurrent: boolean;
  readonly kWidth: number;
  readonly vWidth: number;
}

/** The numbers of a model that decide about its memory, taken from its header's metadata. */
export interface ModelShape {
  readonly architecture: string;
  /** Layers of the model proper, without the layers that predict further tokens. */
  readonly nLayer: number;
  readonly nLayerAll: number;
  readonly nEmbd: number;
  readonly nVocab: number;
  readonly nHead: number;
  readonly headDim: number;
  readonly ctxTrain: number;
  readonly swaWindow: number;
  readonly nExpert: number;
  readonly nExpertUsed: number;
  /** Widest feed-forward layer that one token passes, elements; for experts that of one expert. */
  readonly nFf: number;
  /** Recurrent state of one layer and one sequence, F32 bytes; 0 where the model has none. */
  readonly recurrentBytes: number;
  /** Elements of the widest recurrent projection (convolution input); 0 where the model has none. */
  readonly recurrentWidth: number;
  /** All layers, those for further tokens included. */
  readonly layers: readonly LayerShape[];
}

/** How an architecture remembers. `swa.every`: one layer in that many is full attention; `swa.window`: where the header has none. */
interface ArchitectureRule {
  readonly memory: "attention" | "recurrent" | "hybrid";
  readonly swa?: { readonly every: number; readonly window?: number; readonly isOptional?: boolean };
}

const plain: ArchitectureRule = { memory: "attention" };

/**
 * The architectures that are planned. Each entry was read off the engine's source; those that the oracle test runs against the engine
 * are `llama`, `qwen3moe`, `gemma3` and `qwen35moe`. Others share their memory classes with these. Multi-head latent attention, sparse-attention
 * indexers, encoders, RWKV and shared KV layers (gemma3n) are not here, so they come out as unknown.
 * @see src/llama-model.cpp `create_memory` and src/models/*.cpp of llama.cpp at 0c1e57098, 2026-10-01
 */
const ARCHITECTURES: Readonly<Record<string, ArchitectureRule>> = {
  llama: plain,
  arcee: plain,
  "command-r": plain,
  gemma: plain,
  granite: plain,
  granitemoe: plain,
  internlm2: plain,
  mistral3: plain,
  olmoe: plain,
  qwen2: plain,
  qwen2moe: plain,
  qwen3: plain,
  qwen3moe: plain,
  seed_oss: plain,
  smollm3: plain,
  starcoder2: plain,
  cohere2: { memory: "attention", swa: { every: 4 } },
  gemma2: { memory: "attention", swa: { every: 2, window: 4096 } },
  gemma3: { memory: "attention", swa: { every: 6, isOptional: true } },
  "gpt-oss": { memory: "attention", swa: { every: 2 } },
  olmo2: { memory: "attention", swa: { every: 4, isOptional: true } },
  mamba: { memory: "recurrent" },
  mamba2: { memory: "recurrent" },
  qwen3next: { memory: "hybrid" },
  qwen35: { memory: "hybrid" },
  qwen35moe: { memory: "hybrid" },
};

/** Names of the architectures that are planned, sorted. */
export const KNOWN_ARCHITECTURES: readonly string[] = Object.keys(ARCHITECTURES).sort();

/** What {@link readModelShape} answers: the shape, or why there is none. */
export type ShapeReading = { readonly shape: ModelShape } | { readonly unknown: string };

/** The shape of a model, or `unknown` with the reason: an architecture that isn't in the table, or metadata that it needs and lacks. */
export function readModelShape(header: GgufHeader): ShapeReading {
  const rule = ARCHITECTURES[header.architecture];
  if (rule === undefined || !Object.hasOwn(ARCHITECTURES, header.architecture)) {
    return {
      unknown: `architecture ${JSON.stringify(header.architecture)} is not modelled, known are ${KNOWN_ARCHITECTURES.join(", ")}; nothing is guessed for it`,
    };
  }
  const keys = new Metadata(header.metadata);
  const nLayerAll = keys.number("block_count");
  const nextn = keys.number("nextn_predict_layers", 0);
  if (!Number.isInteger(nLayerAll) || nLayerAll < 1 || nLayerAll > 1000 || nextn < 0 || nextn >= nLayerAll)
    keys.missing.push("block_count");
  const isRecurrentOnly = rule.memory === "recurrent";
  const nEmbd = keys.number("embedding_length");
  const heads = isRecurrentOnly ? [0] : keys.perLayer("attention.head_count", nLayerAll);
  const nHead = Math.max(...heads);
  const recurrent = rule.memory === "attention" ? { bytes: 0, width: 0 } : readRecurrent(keys);
  const shape: ModelShape = {
    architecture: header.architecture,
    nLayer: nLayerAll - nextn,
    nLayerAll,
    nEmbd,
    nVocab: header.vocabSize,
    nHead,
    headDim: isRecurrentOnly ? 0 : keys.number("attention.key_length", nEmbd / nHead),
    ctxTrain: keys.number("context_length"),
    swaWindow:
      rule.swa === undefined
        ? 0
        : keys.number("attention.sliding_window", rule.swa.window ?? (rule.swa.isOptional === true ? 0 : undefined)),
    nExpert: keys.number("expert_count", 0),
    nExpertUsed: Math.max(...keys.perLayer("expert_used_count", nLayerAll, 0)),
    nFf: Math.max(...keys.perLayer("feed_forward_length", nLayerAll, 0), ...keys.perLayer("expert_feed_forward_length", nLayerAll, 0)),
    recurrentBytes: recurrent.bytes,
    recurrentWidth: recurrent.width,
    layers: keys.missing.length > 0 ? [] : readLayers(keys, rule, { nLayerAll, nLayer: nLayerAll - nextn, nEmbd, heads }),
  };
  if (keys.missing.length === 0) return { shape };
  return {
    unknown: `${header.source}: metadata lacks or has no usable ${[...new Set(keys.missing)].map((key) => `${header.architecture}.${key}`).join(", ")}`,
  };
}

interface LayerInput {
  readonly nLayerAll: number;
  readonly nLayer: number;
  readonly nEmbd: number;
  readonly heads: readonly number[];
}

function readLayers(keys: Metadata, rule: ArchitectureRule, { nLayerAll, nLayer, nEmbd, heads }: LayerInput): LayerShape[] {
  const kvHeads = keys.perLayerOr("attention.head_count_kv", nLayerAll, heads);
  const byDefault = nEmbd / (heads[0] ?? 1);
  const widths = { k: keys.number("attention.key_length", byDefault), v: keys.number("attention.value_length", byDefault) };
  const swaWidths = { k: keys.number("attention.key_length_swa", widths.k), v: keys.number("attention.value_length_swa", widths.v) };
  const hasSwa = rule.swa !== undefined && keys.number("attention.sliding_window", rule.swa.window ?? 0) > 0;
  const pattern = keys.pattern("attention.sliding_window_pattern", rule.swa?.every ?? 1, nLayerAll);
  const interval = keys.number("full_attention_interval", 4);
  const listed = keys.flags("attention.recurrent_layers");
  return Array.from({ length: nLayerAll }, (_, il): LayerShape => {
    const isTrunk = il < nLayer;
    const isRecurrent = rule.memory === "recurrent" || (rule.memory === "hybrid" && isTrunk && (listed?.[il] ?? (il + 1) % interval !== 0));
    const isSwa = hasSwa && isTrunk && (pattern[il] ?? false);
    const { k, v } = isSwa ? swaWidths : widths;
    const kv = isRecurrent ? 0 : (kvHeads[il] ?? 0);
    return { isSwa, isRecurrent, kWidth: kv * k, vWidth: kv * v };
  });
}

/** Convolution tail and state of one layer and sequence, both F32. @see `llama_hparams::n_embd_r` and `n_embd_s` at 0c1e57098 */
function readRecurrent(keys: Metadata): { bytes: number; width: number } {
  const inner = keys.number("ssm.inner_size");
  const state = keys.number("ssm.state_size");
  const width = inner + 2 * keys.number("ssm.group_count", 0) * state;
  const tail = Math.max(0, keys.number("ssm.conv_kernel") - 1) * width;
  return { bytes: 4 * (tail + state * inner), width };
}

/** Reads numbers from metadata and collects the keys that are missing or not what they should be. */
class Metadata {
  readonly missing: string[] = [];
  readonly #values: Readonly<Record<string, GgufValue>>;

  constructor(values: Readonly<Record<string, GgufValue>>) {
    this.#values = values;
  }

  number(key: string, byDefault?: number): number {
    const value = this.#at(key);
    if (typeof value === "number" && Number.isFinite(value) && value >= 0) return value;
    if (value === undefined && byDefault !== undefined && Number.isFinite(byDefault)) return byDefault;
    this.missing.push(key);
    return Number.NaN;
  }

  /** One number per layer; the header has a list, or one number for all. */
  perLayer(key: string, count: number, byDefault?: number): number[] {
    const value = this.#at(key);
    if (typeof value === "object") {
      const numbers = value.map(Number);
      if (numbers.length >= count && numbers.every((entry) => Number.isFinite(entry) && entry >= 0)) return numbers.slice(0, count);
      this.missing.push(key);
      return [Number.NaN];
    }
    const single = this.number(key, byDefault);
    return Number.isInteger(count) && count > 0 && count <= 1000 ? Array.from({ length: count }, () => single) : [single];
  }

  perLayerOr(key: string, count: number, byDefault: readonly number[]): readonly number[] {
    return this.#at(key) === undefined ? byDefault : this.perLayer(key, count);
  }

  flags(key: string): readonly boolean[] | undefined {
    const value = this.#at(key);
    return typeof value === "object" ? value.map((entry) => entry === true || entry === 1) : undefined;
  }

  /** Which layers slide: a list of flags, or one in `every` is full attention (0: all slide). */
  pattern(key: string, every: number, count: number): boolean[] {
    const listed = this.flags(key);
    if (listed !== undefined) return [...listed];
    const period = this.number(key, every);
    return Array.from({ length: count }, (_, il) => period === 0 || il % period < period - 1);
  }

  #at(key: string): GgufValue | undefined {
    return Object.hasOwn(this.#values, key) ? this.#values[key] : undefined;
  }
}
