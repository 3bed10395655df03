import type { HeaderOnlyModel, StoredValue } from "../../plan/gguf/write.ts";

type FixtureTensor = HeaderOnlyModel["tensors"][number];

const tensor = (name: string, type: string, ...shape: number[]): FixtureTensor => ({ name, type, shape });

/** A vocabulary that llama.cpp accepts: `count` made-up tokens, one of them the newline of the GPT-2 alphabet. */
function tokenizer(count: number, pre: string): Record<string, StoredValue> {
  const tokens = Array.from({ length: count }, (_, index) => (index === 198 ? "Ċ" : `t${index}`));
  return {
    "tokenizer.ggml.model": { string: "gpt2" },
    "tokenizer.ggml.pre": { string: pre },
    "tokenizer.ggml.tokens": { strings: tokens },
    "tokenizer.ggml.token_type": { i32s: Array.from({ length: count }, () => 1) },
    "tokenizer.ggml.merges": { strings: ["t 1", "t 2"] },
    "tokenizer.ggml.bos_token_id": { u32: 1 },
    "tokenizer.ggml.eos_token_id": { u32: 2 },
  };
}

function prefixed(architecture: string, values: Record<string, StoredValue>): Record<string, StoredValue> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [`${architecture}.${key}`, value]));
}

/** llama.cpp's rule for which layers get the better quant in a Q4_K_M mix (`use_more_bits`). */
const isBetterQuant = (index: number, count: number): boolean =>
  index < Math.floor(count / 8) || index >= Math.floor((7 * count) / 8) || (index - Math.floor(count / 8)) % 3 === 2;

/**
 * Qwen3.5-35B-A3B as published: 40 layers, every fourth full attention, the rest Gated DeltaNet; 256 experts, 8 used; vocabulary 248,320,
 * untied. With `mtp` the 41st layer that predicts a second token. Sizes match the published ones: Q8_0 36.90 GB, Q4_K_M 21.16 GB.
 */
export function qwen35moe(quant: "Q8_0" | "Q4_K_M", options: { mtp?: boolean; layers?: number; experts?: number } = {}): HeaderOnlyModel {
  const { mtp = false, layers = 40, experts = 256 } = options;
  const isMixed = quant === "Q4_K_M";
  const base = isMixed ? "Q4_K" : "Q8_0";
  const better = (isBetter: boolean): string => (isMixed && isBetter ? "Q6_K" : base);
  const [embd, vocab, ff] = [2048, 248_320, 512];
  const all = layers + (mtp ? 1 : 0);
  const tensors = [
    tensor("token_embd.weight", base, embd, vocab),
    tensor("output_norm.weight", "F32", embd),
    tensor("output.weight", isMixed ? "Q6_K" : base, embd, vocab),
  ];
  for (let il = 0; il < all; il += 1) {
    const add = (role: string, type: string, ...shape: number[]): number => tensors.push(tensor(`blk.${il}.${role}`, type, ...shape));
    const isAttention = il >= layers || (il + 1) % 4 === 0;
    add("attn_norm.weight", "F32", embd);
    add("post_attention_norm.weight", "F32", embd);
    if (isAttention) {
      add("attn_q.weight", base, embd, 8192);
      add("attn_k.weight", base, embd, 512);
      add("attn_v.weight", better(isBetterQuant(Math.floor(il / 4), layers / 4)), embd, 512);
      add("attn_output.weight", base, 4096, embd);
      add("attn_q_norm.weight", "F32", 256);
      add("attn_k_norm.weight", "F32", 256);
    } else {
      add("attn_qkv.weight", isMixed ? "Q5_K" : base, embd, 8192);
      add("attn_gate.weight", base, embd, 4096);
      add("ssm_conv1d.weight", "F32", 4, 8192);
      add("ssm_dt.bias", "F32", 32);
      add("ssm_a", "F32", 32);
      add("ssm_beta.weight", base, embd, 32);
      add("ssm_alpha.weight", base, embd, 32);
      add("ssm_norm.weight", "F32", 128);
      add("ssm_out.weight", base, 4096, embd);
    }
    add("ffn_gate_inp.weight", "F32", embd, experts);
    add("ffn_down_exps.weight", better(isBetterQuant(il, all)), ff, embd, experts);
    add("ffn_gate_exps.weight", base, embd, ff, experts);
    add("ffn_up_exps.weight", base, embd, ff, experts);
    add("ffn_gate_inp_shexp.weight", "F32", embd);
    add("ffn_gate_shexp.weight", base, embd, ff);
    add("ffn_up_shexp.weight", base, embd, ff);
    add("ffn_down_shexp.weight", better(isBetterQuant(il, all)), ff, embd);
    if (il >= layers) {
      add("nextn.eh_proj.weight", base, 2 * embd, embd);
      for (const norm of ["enorm", "hnorm", "shared_head_norm"]) add(`nextn.${norm}.weight`, "F32", embd);
    }
  }
  return {
    metadata: {
      "general.architecture": { string: "qwen35moe" },
      "general.name": { string: "Qwen3.5-35B-A3B" },
      "general.file_type": { u32: isMixed ? 15 : 7 },
      "general.quantization_version": { u32: 2 },
      ...prefixed("qwen35moe", {
        block_count: { u32: all },
        ...(mtp ? { nextn_predict_layers: { u32: 1 } } : {}),
        context_length: { u32: 262_144 },
        embedding_length: { u32: embd },
        expert_count: { u32: experts },
        expert_used_count: { u32: 8 },
        expert_feed_forward_length: { u32: ff },
        expert_shared_feed_forward_length: { u32: ff },
        full_attention_interval: { u32: 4 },
        "attention.head_count": { u32: 16 },
        "attention.head_count_kv": { u32: 2 },
        "attention.key_length": { u32: 256 },
        "attention.value_length": { u32: 256 },
        "attention.layer_norm_rms_epsilon": { f32: 1e-6 },
        "rope.dimension_count": { u32: 64 },
        "rope.dimension_sections": { i32s: [11, 11, 10, 0] },
        "rope.freq_base": { f32: 1e7 },
        "ssm.conv_kernel": { u32: 4 },
        "ssm.state_size": { u32: 128 },
        "ssm.group_count": { u32: 16 },
        "ssm.time_step_rank": { u32: 32 },
        "ssm.inner_size": { u32: 4096 },
      }),
      ...tokenizer(vocab, "qwen35"),
    },
    tensors,
  };
}

interface DenseShape {
  readonly layers: number;
  readonly embd: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ff: number;
  readonly vocab: number;
  readonly type: string;
}

function attentionTensors(shape: DenseShape, il: number, names: { readonly hasQkNorm: boolean }): FixtureTensor[] {
  const { embd, heads, kvHeads, headDim, type } = shape;
  const at = (role: string, kind: string, ...size: number[]): FixtureTensor => tensor(`blk.${il}.${role}`, kind, ...size);
  return [
    at("attn_norm.weight", "F32", embd),
    at("attn_q.weight", type, embd, heads * headDim),
    at("attn_k.weight", type, embd, kvHeads * headDim),
    at("attn_v.weight", type, embd, kvHeads * headDim),
    at("attn_output.weight", type, heads * headDim, embd),
    ...(names.hasQkNorm ? [at("attn_q_norm.weight", "F32", headDim), at("attn_k_norm.weight", "F32", headDim)] : []),
    at("ffn_norm.weight", "F32", embd),
  ];
}

const denseMetadata = (architecture: string, shape: DenseShape): Record<string, StoredValue> => ({
  "general.architecture": { string: architecture },
  "general.name": { string: `synthetic ${architecture}` },
  ...prefixed(architecture, {
    block_count: { u32: shape.layers },
    context_length: { u32: 131_072 },
    embedding_length: { u32: shape.embd },
    feed_forward_length: { u32: shape.ff },
    "attention.head_count": { u32: shape.heads },
    "attention.head_count_kv": { u32: shape.kvHeads },
    "attention.key_length": { u32: shape.headDim },
    "attention.value_length": { u32: shape.headDim },
    "attention.layer_norm_rms_epsilon": { f32: 1e-6 },
    "rope.dimension_count": { u32: shape.headDim },
    "rope.freq_base": { f32: 500_000 },
  }),
});

const ends = (shape: DenseShape, isTied: boolean): FixtureTensor[] => [
  tensor("token_embd.weight", shape.type, shape.embd, shape.vocab),
  tensor("output_norm.weight", "F32", shape.embd),
  ...(isTied ? [] : [tensor("output.weight", "Q6_K", shape.embd, shape.vocab)]),
];

const perLayer = (count: number, build: (il: number) => FixtureTensor[]): FixtureTensor[] =>
  Array.from({ length: count }, (_, il) => build(il)).flat();

/** A plain grouped-query transformer (architecture `llama`), as large as an 8B model; `tied` leaves `output.weight` out. */
export function llamaGqa(isTied = false): HeaderOnlyModel {
  const shape: DenseShape = { layers: 32, embd: 4096, heads: 32, kvHeads: 8, headDim: 128, ff: 14_336, vocab: 128_256, type: "Q4_K" };
  const layer = (il: number): FixtureTensor[] => [
    ...attentionTensors(shape, il, { hasQkNorm: false }),
    tensor(`blk.${il}.ffn_gate.weight`, shape.type, shape.embd, shape.ff),
    tensor(`blk.${il}.ffn_up.weight`, shape.type, shape.embd, shape.ff),
    tensor(`blk.${il}.ffn_down.weight`, il % 3 === 0 ? "Q6_K" : shape.type, shape.ff, shape.embd),
  ];
  return {
    metadata: { ...denseMetadata("llama", shape), ...tokenizer(shape.vocab, "llama-bpe") },
    tensors: [...ends(shape, isTied), ...perLayer(shape.layers, layer)],
  };
}

/** A mixture of experts with plain attention (architecture `qwen3moe`), 24 layers, 64 experts. */
export function qwen3Moe(): HeaderOnlyModel {
  const shape: DenseShape = { layers: 24, embd: 2048, heads: 32, kvHeads: 4, headDim: 128, ff: 6144, vocab: 151_936, type: "Q8_0" };
  const [experts, ff] = [64, 768];
  const layer = (il: number): FixtureTensor[] => [
    ...attentionTensors(shape, il, { hasQkNorm: true }),
    tensor(`blk.${il}.ffn_gate_inp.weight`, "F32", shape.embd, experts),
    tensor(`blk.${il}.ffn_gate_exps.weight`, shape.type, shape.embd, ff, experts),
    tensor(`blk.${il}.ffn_up_exps.weight`, shape.type, shape.embd, ff, experts),
    tensor(`blk.${il}.ffn_down_exps.weight`, shape.type, ff, shape.embd, experts),
  ];
  const moe = prefixed("qwen3moe", {
    expert_count: { u32: experts },
    expert_used_count: { u32: 8 },
    expert_feed_forward_length: { u32: ff },
  });
  return {
    metadata: { ...denseMetadata("qwen3moe", shape), ...moe, ...tokenizer(shape.vocab, "qwen2") },
    tensors: [...ends(shape, false), ...perLayer(shape.layers, layer)],
  };
}

/** Sliding-window attention on five of six layers (architecture `gemma3`, window 1024), as large as a 4B model; tied embeddings. */
export function gemma3Swa(): HeaderOnlyModel {
  const shape: DenseShape = { layers: 34, embd: 2560, heads: 8, kvHeads: 4, headDim: 256, ff: 10_240, vocab: 262_144, type: "Q8_0" };
  const layer = (il: number): FixtureTensor[] => [
    ...attentionTensors(shape, il, { hasQkNorm: true }),
    tensor(`blk.${il}.post_attention_norm.weight`, "F32", shape.embd),
    tensor(`blk.${il}.ffn_gate.weight`, shape.type, shape.embd, shape.ff),
    tensor(`blk.${il}.ffn_up.weight`, shape.type, shape.embd, shape.ff),
    tensor(`blk.${il}.ffn_down.weight`, shape.type, shape.ff, shape.embd),
    tensor(`blk.${il}.post_ffw_norm.weight`, "F32", shape.embd),
  ];
  return {
    metadata: {
      ...denseMetadata("gemma3", shape),
      ...prefixed("gemma3", { "attention.sliding_window": { u32: 1024 } }),
      ...tokenizer(shape.vocab, "llama-bpe"),
    },
    tensors: [...ends(shape, true), ...perLayer(shape.layers, layer)],
  };
}
