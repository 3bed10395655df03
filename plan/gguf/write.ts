import { GGML_TYPES, planTensorBytes } from "./tensor-types.ts";
import type { GgufHeader, GgufValue } from "./types.ts";

/** A metadata value and how the file stores it; `strings` is an array of strings, `i32s` one of numbers. */
export type StoredValue =
  | { readonly u32: number }
  | { readonly u64: number }
  | { readonly f32: number }
  | { readonly bool: boolean }
  | { readonly string: string }
  | { readonly i32s: readonly number[] }
  | { readonly bools: readonly boolean[] }
  | { readonly strings: readonly string[] };

/** A model that exists as a header only: the engine plans from shapes and metadata without reading a weight. */
export interface HeaderOnlyModel {
  readonly metadata: Readonly<Record<string, StoredValue>>;
  readonly tensors: readonly { readonly name: string; readonly type: string; readonly shape: readonly number[] }[];
}

const ALIGNMENT = 32;
const align = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

const u32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
};
const u64 = (value: number): Buffer => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt(value));
  return buffer;
};
const string = (value: string): Buffer => {
  const bytes = Buffer.from(value, "utf8");
  return Buffer.concat([u64(bytes.length), bytes]);
};
const f32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4);
  buffer.writeFloatLE(value);
  return buffer;
};
const list = (type: number, items: readonly Buffer[]): Buffer => Buffer.concat([u32(9), u32(type), u64(items.length), ...items]);

function encodeValue(value: StoredValue): Buffer {
  if ("u32" in value) return Buffer.concat([u32(4), u32(value.u32)]);
  if ("u64" in value) return Buffer.concat([u32(10), u64(value.u64)]);
  if ("f32" in value) return Buffer.concat([u32(6), f32(value.f32)]);
  if ("bool" in value) return Buffer.concat([u32(7), Buffer.from([value.bool ? 1 : 0])]);
  if ("string" in value) return Buffer.concat([u32(8), string(value.string)]);
  if ("i32s" in value) return list(5, value.i32s.map(u32));
  if ("bools" in value)
    return list(
      7,
      value.bools.map((flag) => Buffer.from([flag ? 1 : 0])),
    );
  return list(8, value.strings.map(string));
}

const TYPE_NUMBERS = new Map(Object.entries(GGML_TYPES).map(([number, { name }]) => [name, Number(number)]));

/** The header bytes of a model as llama.cpp writes them (version 3, alignment 32), padded, and the size of the whole file. */
export function encodeGguf({ metadata, tensors }: HeaderOnlyModel): { header: Buffer; fileBytes: number } {
  const parts: Buffer[] = [Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(Object.keys(metadata).length)];
  for (const [key, value] of Object.entries(metadata)) parts.push(string(key), encodeValue(value));
  let offset = 0;
  for (const { name, type, shape } of tensors) {
    const number = TYPE_NUMBERS.get(type);
    const ggml = number === undefined ? undefined : GGML_TYPES[number];
    if (number === undefined || ggml === undefined)
      throw new RangeError(`tensor ${name}: got type ${type}, expected one of plan/gguf/tensor-types.ts`);
    parts.push(string(name), u32(shape.length), ...shape.map(u64), u32(number), u64(offset));
    offset += align(planTensorBytes(ggml, shape));
  }
  const bytes = Buffer.concat(parts);
  const header = Buffer.concat([bytes, Buffer.alloc(align(bytes.length) - bytes.length)]);
  return { header, fileBytes: header.length + offset };
}

/** Metadata that llama.cpp reads as floats, whatever their value; everything else that is a whole number is stored as u32. */
const FLOAT_KEYS = /(freq_base|freq_scale|epsilon|factor|scale|softcapping|alpha|beta|bias|theta|weights_scale|clamp)(_swa)?$/;

function storeValue(key: string, value: GgufValue): StoredValue {
  if (typeof value === "boolean") return { bool: value };
  if (typeof value === "string") return { string: value };
  if (typeof value === "number") return FLOAT_KEYS.test(key) || !Number.isInteger(value) ? { f32: value } : { u32: value };
  return value.every((entry) => typeof entry === "boolean") ? { bools: value } : { i32s: value.map(Number) };
}

/**
 * A model file that the engine can plan from, made from a header digest: same metadata and tensors, no vocabulary but its size. The header is to be
 * made as long as `fileBytes` with a hole; nothing in it can be run.
 */
export function encodeDigestModel(header: GgufHeader): { header: Uint8Array; fileBytes: number } {
  const own = Object.entries(header.metadata).filter(([key]) => !key.startsWith("general."));
  return encodeGguf({
    metadata: {
      "general.architecture": { string: header.architecture },
      ...Object.fromEntries(own.map(([key, value]) => [`${header.architecture}.${key}`, storeValue(key, value)])),
      [`${header.architecture}.vocab_size`]: { u32: header.vocabSize },
      "tokenizer.ggml.model": { string: "no_vocab" },
    },
    tensors: header.tensors,
  });
}
