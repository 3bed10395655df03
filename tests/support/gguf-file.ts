import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { GGML_TYPES, planTensorBytes } from "../../plan/gguf/tensor-types.ts";

/** A metadata value and how the file stores it; `strings` is an array of strings, `i32s` one of numbers. */
export type FixtureValue =
  | { readonly u32: number }
  | { readonly u64: number }
  | { readonly f32: number }
  | { readonly bool: boolean }
  | { readonly string: string }
  | { readonly i32s: readonly number[] }
  | { readonly bools: readonly boolean[] }
  | { readonly strings: readonly string[] };

export interface FixtureTensor {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly number[];
}

/** A model that exists as a header only: the engine reads shapes and metadata from it, never weights. */
export interface FixtureModel {
  readonly metadata: Readonly<Record<string, FixtureValue>>;
  readonly tensors: readonly FixtureTensor[];
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

function encodeValue(value: FixtureValue): Buffer {
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
export function encodeGguf({ metadata, tensors }: FixtureModel): { header: Buffer; fileBytes: number } {
  const parts: Buffer[] = [Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(Object.keys(metadata).length)];
  for (const [key, value] of Object.entries(metadata)) parts.push(string(key), encodeValue(value));
  let offset = 0;
  for (const { name, type, shape } of tensors) {
    const number = TYPE_NUMBERS.get(type);
    const ggml = number === undefined ? undefined : GGML_TYPES[number];
    if (number === undefined || ggml === undefined) throw new Error(`fixture tensor ${name}: unknown type ${type}`);
    parts.push(string(name), u32(shape.length), ...shape.map(u64), u32(number), u64(offset));
    offset += align(planTensorBytes(ggml, shape));
  }
  const bytes = Buffer.concat(parts);
  const header = Buffer.concat([bytes, Buffer.alloc(align(bytes.length) - bytes.length)]);
  return { header, fileBytes: header.length + offset };
}

/** Writes the header and makes the file as long as the real one would be; the weights are a hole that takes no disk. */
export function writeSparseGguf(path: string, model: FixtureModel): number {
  const { header, fileBytes } = encodeGguf(model);
  const file = openSync(path, "w");
  try {
    writeSync(file, header);
    ftruncateSync(file, fileBytes);
  } finally {
    closeSync(file);
  }
  return fileBytes;
}
