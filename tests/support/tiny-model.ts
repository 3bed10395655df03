import { writeFileSync } from "node:fs";

/**
 * A llama-architecture GGUF of about 1.4 MB that every llama.cpp loads and answers with: random weights from a fixed seed, a byte tokenizer, a
 * chat template. Its words mean nothing; it proves that an image loads, computes and talks, not that it computes well.
 */

const shape = { layers: 2, embd: 128, heads: 2, ff: 256, ctx: 4096 } as const;
const letters = "abcdefghijklmnopqrstuvwxyz .,".split("").map((letter) => (letter === " " ? "▁" : letter));
const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
const tokens = ["<unk>", "<s>", "</s>", ...bytes, ...letters];
/** llama.cpp's token types: 2 unknown, 3 control, 6 byte, 1 normal. */
const tokenTypes = [2, 3, 3, ...bytes.map(() => 6), ...letters.map(() => 1)];
const chatTemplate = "{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}assistant ";

/** GGUF value types: 4 uint32, 5 int32, 6 float32, 7 bool, 8 string, 9 array. */
type Value = readonly ["u32" | "f32", number] | readonly ["bool", boolean] | readonly ["str", string] | ArrayValue;
type ArrayValue = readonly ["strs", readonly string[]] | readonly ["f32s" | "i32s", readonly number[]];

const metadata: Readonly<Record<string, Value>> = {
  "general.architecture": ["str", "llama"],
  "general.name": ["str", "tiny test model"],
  "llama.block_count": ["u32", shape.layers],
  "llama.context_length": ["u32", shape.ctx],
  "llama.embedding_length": ["u32", shape.embd],
  "llama.feed_forward_length": ["u32", shape.ff],
  "llama.attention.head_count": ["u32", shape.heads],
  "llama.attention.head_count_kv": ["u32", shape.heads],
  "llama.attention.layer_norm_rms_epsilon": ["f32", 1e-5],
  "llama.rope.dimension_count": ["u32", shape.embd / shape.heads],
  "llama.vocab_size": ["u32", tokens.length],
  "tokenizer.ggml.model": ["str", "llama"],
  "tokenizer.ggml.pre": ["str", "default"],
  "tokenizer.ggml.tokens": ["strs", tokens],
  "tokenizer.ggml.scores": ["f32s", tokens.map(() => 0)],
  "tokenizer.ggml.token_type": ["i32s", tokenTypes],
  "tokenizer.ggml.bos_token_id": ["u32", 1],
  "tokenizer.ggml.eos_token_id": ["u32", 2],
  "tokenizer.ggml.unknown_token_id": ["u32", 0],
  "tokenizer.chat_template": ["str", chatTemplate],
};

/** Name and dimensions, fastest first, of each tensor; all F32. */
const tensors: readonly (readonly [string, readonly number[]])[] = [
  ["token_embd.weight", [shape.embd, tokens.length]],
  ["output_norm.weight", [shape.embd]],
  ["output.weight", [shape.embd, tokens.length]],
  ...Array.from({ length: shape.layers }, (_, layer) =>
    (
      [
        ["attn_norm", [shape.embd]],
        ["attn_q", [shape.embd, shape.embd]],
        ["attn_k", [shape.embd, shape.embd]],
        ["attn_v", [shape.embd, shape.embd]],
        ["attn_output", [shape.embd, shape.embd]],
        ["ffn_norm", [shape.embd]],
        ["ffn_gate", [shape.embd, shape.ff]],
        ["ffn_up", [shape.embd, shape.ff]],
        ["ffn_down", [shape.ff, shape.embd]],
      ] as const
    ).map(([name, dims]) => [`blk.${layer}.${name}.weight`, dims] as const),
  ).flat(),
];

const u32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer);
const u64 = (value: number) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
const f32 = (value: number) => Buffer.from(Float32Array.of(value).buffer);
const str = (value: string) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);

function encode(value: Value): Buffer {
  switch (value[0]) {
    case "u32":
      return Buffer.concat([u32(4), u32(value[1])]);
    case "f32":
      return Buffer.concat([u32(6), f32(value[1])]);
    case "bool":
      return Buffer.concat([u32(7), Buffer.from([value[1] ? 1 : 0])]);
    case "str":
      return Buffer.concat([u32(8), str(value[1])]);
    case "strs":
      return Buffer.concat([u32(9), u32(8), u64(value[1].length), ...value[1].map(str)]);
    case "f32s":
      return Buffer.concat([u32(9), u32(6), u64(value[1].length), ...value[1].map(f32)]);
    case "i32s":
      return Buffer.concat([u32(9), u32(5), u64(value[1].length), ...value[1].map(u32)]);
  }
}

/** Values in [-0.5, 0.5) from a fixed seed (xorshift32), so that each run writes the same bytes; norms are 1. */
function weights(name: string, count: number, seed: number): Buffer {
  const out = new Float32Array(count);
  let state = seed;
  for (let i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    out[i] = name.includes("norm") ? 1 : (state >>> 0) / 2 ** 32 - 0.5;
  }
  // Only letters may win: byte tokens could end an answer in the middle of a character.
  if (name === "output.weight") out.fill(0, 0, shape.embd * (tokens.length - letters.length));
  return Buffer.from(out.buffer);
}

/** A GGUF by its metadata and the names and dimensions, fastest first, of its tensors. */
interface RandomGguf {
  readonly metadata: Readonly<Record<string, Value>>;
  readonly tensors: readonly (readonly [string, readonly number[]])[];
}

function writeGguf(path: string, { metadata, tensors }: RandomGguf): void {
  const sizes = tensors.map(([, dims]) => dims.reduce((product, dim) => product * dim, 1));
  const offsets = sizes.map((_, index) => sizes.slice(0, index).reduce((sum, size) => sum + size * 4, 0));
  const header = Buffer.concat([
    Buffer.from("GGUF"),
    u32(3),
    u64(tensors.length),
    u64(Object.keys(metadata).length),
    ...Object.entries(metadata).flatMap(([key, value]) => [str(key), encode(value)]),
    ...tensors.flatMap(([name, dims], index) => [str(name), u32(dims.length), ...dims.map(u64), u32(0), u64(offsets[index] ?? 0)]),
  ]);
  const padding = Buffer.alloc((32 - (header.length % 32)) % 32);
  writeFileSync(path, Buffer.concat([header, padding, ...tensors.map(([name], index) => weights(name, sizes[index] ?? 0, index + 1))]));
}

/** Writes the model to `path`. */
export function writeTinyModel(path: string): void {
  writeGguf(path, { metadata, tensors });
}

/** Pictures become 16 × 16 pixels, patches of 4 × 4 pixels, and 2 × 2 of those one of 4 tokens. */
const vision = { embd: 32, heads: 2, ff: 64, imagePixels: 16, patchPixels: 4, merge: 2 } as const;

/**
 * Writes a projector (mmproj) of Gemma 3's kind for the tiny model to `path`: one layer of random weights, four tokens a picture. It proves that a server
 * loads it and feeds pictures to the model, not that anything is recognised.
 */
export function writeTinyProjector(path: string): void {
  const { embd, heads, ff, imagePixels, patchPixels, merge } = vision;
  const layer = "v.blk.0";
  writeGguf(path, {
    metadata: {
      "general.architecture": ["str", "clip"],
      "clip.has_vision_encoder": ["bool", true],
      "clip.projector_type": ["str", "gemma3"],
      "clip.use_gelu": ["bool", true],
      "clip.vision.embedding_length": ["u32", embd],
      "clip.vision.attention.head_count": ["u32", heads],
      "clip.vision.feed_forward_length": ["u32", ff],
      "clip.vision.block_count": ["u32", 1],
      "clip.vision.projection_dim": ["u32", shape.embd],
      "clip.vision.attention.layer_norm_epsilon": ["f32", 1e-6],
      "clip.vision.image_size": ["u32", imagePixels],
      "clip.vision.patch_size": ["u32", patchPixels],
      "clip.vision.projector.scale_factor": ["u32", merge],
      "clip.vision.image_mean": ["f32s", [0.5, 0.5, 0.5]],
      "clip.vision.image_std": ["f32s", [0.5, 0.5, 0.5]],
    },
    tensors: [
      ["v.patch_embd.weight", [patchPixels, patchPixels, 3, embd]],
      ["v.position_embd.weight", [embd, (imagePixels / patchPixels) ** 2]],
      ...["attn_q", "attn_k", "attn_v", "attn_out"].map((name) => [`${layer}.${name}.weight`, [embd, embd]] as const),
      [`${layer}.ln1.weight`, [embd]],
      [`${layer}.ln2.weight`, [embd]],
      [`${layer}.ffn_up.weight`, [embd, ff]],
      [`${layer}.ffn_down.weight`, [ff, embd]],
      ["v.post_ln.weight", [embd]],
      ["mm.input_projection.weight", [shape.embd, embd]],
      ["mm.soft_emb_norm.weight", [embd]],
    ],
  });
}
