/**
 * Reading GGUF headers from bytes. Cannot prove: that a real file's weights are what its header says.
 */
import { describe, expect, it } from "vitest";
import { GgufNeedsMore } from "../../plan/gguf/cursor.ts";
import { checkTensorExtents, joinSplitHeaders } from "../../plan/gguf/extents.ts";
import { parseGgufHeader } from "../../plan/gguf/parse.ts";
import { GGML_TYPES, planTensorBytes } from "../../plan/gguf/tensor-types.ts";
import type { GgufHeader } from "../../plan/gguf/types.ts";
import { encodeGguf, type HeaderOnlyModel } from "../../plan/gguf/write.ts";

const tiny: HeaderOnlyModel = {
  metadata: {
    "general.architecture": { string: "llama" },
    "general.name": { string: "tiny" },
    "llama.block_count": { u32: 1 },
    "llama.attention.head_count_kv": { i32s: [2, 0] },
    "llama.rope.freq_base": { f32: 10_000 },
    "tokenizer.ggml.tokens": { strings: ["a", "b", "c"] },
    "tokenizer.chat_template": { string: "x".repeat(10_000) },
  },
  tensors: [
    { name: "token_embd.weight", type: "Q8_0", shape: [64, 3] },
    { name: "blk.0.attn_q.weight", type: "Q4_K", shape: [256, 2] },
  ],
};

const parse = (bytes: Uint8Array, fileBytes = bytes.length): GgufHeader =>
  parseGgufHeader({ prefix: bytes, fileBytes, source: "tiny.gguf" });

/** A header of raw parts, for what the writer refuses to write. */
function raw(...parts: (number | bigint | string)[]): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === "string") return Buffer.from(part);
      const buffer = Buffer.alloc(typeof part === "bigint" ? 8 : 4);
      if (typeof part === "bigint") buffer.writeBigUInt64LE(part);
      else buffer.writeUInt32LE(part);
      return buffer;
    }),
  );
}
const named = (text: string): (bigint | string)[] => [BigInt(text.length), text];
const architecture = [...named("general.architecture"), 8, ...named("llama")];

describe("parseGgufHeader", () => {
  it("keeps the architecture's metadata, the vocabulary's size and every tensor, and passes over the tokenizer", () => {
    const { header, fileBytes } = encodeGguf(tiny);
    expect(parse(header, fileBytes)).toEqual({
      architecture: "llama",
      source: "tiny.gguf",
      fileBytes,
      requiredFileBytes: header.length + 224 + 288,
      vocabSize: 3,
      split: null,
      metadata: { "general.name": "tiny", block_count: 1, "attention.head_count_kv": [2, 0], "rope.freq_base": 10_000 },
      tensors: [
        { name: "token_embd.weight", layer: null, role: "token_embd.weight", shape: [64, 3], type: "Q8_0", bytes: 204 },
        { name: "blk.0.attn_q.weight", layer: 0, role: "attn_q.weight", shape: [256, 2], type: "Q4_K", bytes: 288 },
      ],
    });
  });

  it("asks for more of the file wherever the prefix ends, never for more than there is", () => {
    const { header, fileBytes } = encodeGguf(tiny);
    const whole = parse(header, fileBytes);
    for (let length = 0; length < header.length; length += 1) {
      try {
        expect(parse(header.subarray(0, length), fileBytes)).toEqual(whole);
      } catch (error) {
        expect(error).toBeInstanceOf(GgufNeedsMore);
        expect((error as GgufNeedsMore).atLeastBytes).toBeGreaterThan(length);
        expect((error as GgufNeedsMore).atLeastBytes).toBeLessThanOrEqual(fileBytes);
      }
    }
  });

  it.each([
    ["an HTML page", raw("<!DOCTYPE html>"), /^magic: got 0x4f44213c, expected "GGUF"; this is no GGUF file/],
    ["an empty file", raw(), /^magic: ends at byte 4, the file has 0; it is truncated/],
    ["version 1", raw("GGUF", 1, 0n, 0n), /^version: got 1, allowed are 2 and 3/],
    ["a big-endian file", raw("GGUF", 0x03000000, 0n, 0n), /^version: got 50331648, allowed are 2 and 3, little-endian/],
    ["ten million keys", raw("GGUF", 3, 0n, 10_000_000n), /^metadata count: got 10000000, allowed are at most 10000/],
    ["2^64-1 tensors", raw("GGUF", 3, 2n ** 64n - 1n, 0n), /^tensor count: got 18446744073709551615, allowed are at most/],
    ["a million tensors", raw("GGUF", 3, 1_000_000n, 1n, ...architecture), /^tensor count: got 1000000, allowed are at most 100000/],
    ["a key longer than the file", raw("GGUF", 3, 0n, 1n, 900n), /^metadata key 0: ends at byte 932, the file has 32/],
    ["a key of 2^40 bytes", raw("GGUF", 3, 0n, 1n, 2n ** 40n), /^metadata key 0 length: got 1099511627776, allowed are at most 1024/],
    ["an unknown value type", raw("GGUF", 3, 0n, 1n, ...named("a"), 13), /^metadata "a": got value type 13, allowed are 0 to 12/],
    [
      "an array of 2^60",
      raw("GGUF", 3, 0n, 1n, ...named("a"), 9, 4, 2n ** 60n),
      /^metadata "a" length: got 1152921504606846976, allowed are at most \d+; /,
    ],
    ["no architecture", raw("GGUF", 3, 0n, 0n), /^metadata "general.architecture": got null, expected the architecture's name/],
    [
      "text that isn't UTF-8",
      Buffer.concat([raw("GGUF", 3, 0n, 1n, 1n), Buffer.from([0xff]), raw(4, 0)]),
      /^metadata key 0: got bytes that aren't UTF-8/,
    ],
    ["a duplicate key", raw("GGUF", 3, 0n, 2n, ...named("a"), 4, 1, ...named("a"), 4, 2), /^metadata key "a": given twice/],
    ["five dimensions", raw("GGUF", 3, 1n, 1n, ...architecture, ...named("t"), 5), /^tensor "t": got 5 dimensions, allowed are 1 to 4/],
    ["no dimension", raw("GGUF", 3, 1n, 1n, ...architecture, ...named("t"), 0), /^tensor "t": got 0 dimensions/],
    [
      "a dimension of 0",
      raw("GGUF", 3, 1n, 1n, ...architecture, ...named("t"), 1, 0n),
      /^tensor "t": got shape 0, allowed are dimensions of at least 1/,
    ],
    [
      "a dimension of 2^60",
      raw("GGUF", 3, 1n, 1n, ...architecture, ...named("t"), 1, 2n ** 60n),
      /^tensor "t" dimension 0: got 1152921504606846976/,
    ],
    [
      "an overflowing product",
      raw("GGUF", 3, 1n, 1n, ...architecture, ...named("t"), 2, 2n ** 40n, 2n ** 40n, 0, 0n),
      /^tensor "t": got 1.*e\+24 elements, allowed are fewer than 2\^53/,
    ],
    [
      "a retired tensor type",
      raw("GGUF", 3, 1n, 1n, ...architecture, ...named("t"), 1, 32n, 4, 0n),
      /^tensor "t": got ggml type 4, which this project doesn't know/,
    ],
    [
      "rows that are no whole blocks",
      raw("GGUF", 3, 1n, 1n, ...architecture, ...named("t"), 1, 33n, 8, 0n),
      /^tensor "t": got rows of 33 elements, Q8_0 allows multiples of 32/,
    ],
    [
      "overlapping tensors",
      raw("GGUF", 3, 2n, 1n, ...architecture, ...named("t"), 1, 64n, 0, 0n, ...named("u"), 1, 64n, 0, 32n),
      /^tensor "u": got offset 32, which overlaps the tensor before it; expected is 256/,
    ],
    [
      "a tensor far away",
      raw("GGUF", 3, 1n, 1n, ...architecture, ...named("t"), 1, 64n, 0, 4096n),
      /^tensor "t": got offset 4096, which leaves a gap/,
    ],
    [
      "the same tensor twice",
      raw("GGUF", 3, 2n, 1n, ...architecture, ...named("t"), 1, 8n, 0, 0n, ...named("t"), 1, 8n, 0, 32n),
      /^tensor "t": given twice/,
    ],
    [
      "an alignment of 3",
      raw("GGUF", 3, 0n, 2n, ...architecture, ...named("general.alignment"), 4, 3),
      /^metadata "general.alignment": got 3, allowed are powers of two/,
    ],
    [
      "a 64-bit number above 2^53",
      raw("GGUF", 3, 0n, 2n, ...architecture, ...named("llama.x"), 10, 2n ** 60n),
      /^metadata "llama.x": got 1152921504606846976, allowed are integers below 2\^53/,
    ],
  ])("fails on %s", (_, bytes, message) => {
    expect(() => parse(bytes)).toThrow(message);
  });

  it("fails on arrays nested deeper than four levels", () => {
    const nested = Array.from({ length: 5 }, () => [9, 1n]).flat();
    expect(() => parse(raw("GGUF", 3, 0n, 1n, ...named("a"), 9, ...nested, 4, 1n, 7))).toThrow(
      /^metadata "a": arrays nested deeper than 4/,
    );
  });

  it("treats __proto__ as a key like any other", () => {
    const model: HeaderOnlyModel = { metadata: { ...tiny.metadata, "llama.__proto__": { u32: 7 } }, tensors: [] };
    const { metadata } = parse(encodeGguf(model).header);
    expect(Object.getPrototypeOf(metadata)).toBe(Object.prototype);
    expect(Object.hasOwn(metadata, "__proto__")).toBe(true);
  });
});

describe("planTensorBytes", () => {
  it("knows each type once", () => {
    const names = Object.values(GGML_TYPES).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  it.each([
    [0, [3], 12],
    [8, [64, 2], 136],
    [12, [512, 3], 864],
    [14, [256], 210],
    [39, [64], 34],
  ])("counts type %i of shape %j as %i bytes", (number, shape, bytes) => {
    expect(planTensorBytes(GGML_TYPES[number]!, shape)).toBe(bytes);
  });
});

describe("checkTensorExtents", () => {
  it("passes a whole file and a longer one, fails one that lacks a byte", () => {
    const { header, fileBytes } = encodeGguf(tiny);
    const parsed = parse(header, fileBytes);
    expect(() => checkTensorExtents(parsed, parsed.requiredFileBytes)).not.toThrow();
    expect(() => checkTensorExtents(parsed, fileBytes + 1)).not.toThrow();
    expect(() => checkTensorExtents(parsed, parsed.requiredFileBytes - 1)).toThrow(
      `tiny.gguf: got ${parsed.requiredFileBytes - 1} bytes, its tensors end at ${parsed.requiredFileBytes}; 1 bytes are missing, fetch the file again`,
    );
  });
});

describe("joinSplitHeaders", () => {
  const part = (no: number, count: number): GgufHeader => ({
    ...parse(encodeGguf({ metadata: tiny.metadata, tensors: [{ name: `blk.${no}.x`, type: "F32", shape: [8] }] }).header, 100_000),
    source: `m-${no + 1}.gguf`,
    split: { no, count, tensors: 3 },
  });

  it("puts the tensors of all parts together, in whatever order they come", () => {
    const joined = joinSplitHeaders([part(2, 3), part(0, 3), part(1, 3)]);
    expect(joined.tensors.map(({ name }) => name)).toEqual(["blk.0.x", "blk.1.x", "blk.2.x"]);
    expect(joined).toMatchObject({ split: null, source: "m-1.gguf", fileBytes: 300_000 });
  });

  it.each([
    ["a missing part", [part(0, 3), part(2, 3)], "m-1.gguf: split model of 3 files lacks part 2; fetch every part"],
    ["a part given twice", [part(0, 3), part(0, 3)], "m-1.gguf: part 1 of 3 is given twice"],
    ["parts of different models", [part(0, 3), part(1, 4)], "m-2.gguf: got part of 4, the others are of 3; they are different models"],
    ["tensors that don't add up", [part(0, 2), part(1, 2)], "m-1.gguf: got 2 tensors in 2 parts, the header says 3"],
  ])("fails on %s", (_, parts, message) => {
    expect(() => joinSplitHeaders(parts)).toThrow(message);
  });
});
