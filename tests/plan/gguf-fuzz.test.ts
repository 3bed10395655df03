/**
 * Hostile headers from a seeded generator: every one ends in a header or one clear error. Cannot prove: that no input exists on which the parser is slow;
 * it holds the work to the bytes it is given.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GgufNeedsMore, MAX_HEADER_BYTES } from "../../plan/gguf/cursor.ts";
import { parseGgufHeader } from "../../plan/gguf/parse.ts";
import { GgufError } from "../../plan/gguf/types.ts";
import { encodeGguf } from "../../plan/gguf/write.ts";
import { readModelShape } from "../../plan/memory/model-shape.ts";
import { qwen35moe } from "../support/model-shapes.ts";

const { header: good, fileBytes } = encodeGguf({ ...qwen35moe("Q4_K_M", { layers: 4, experts: 8 }), metadata: smallVocabulary() });

/** The same header with a vocabulary of 50, so that a mutation hits structure and not always a token. */
function smallVocabulary(): ReturnType<typeof qwen35moe>["metadata"] {
  const { metadata } = qwen35moe("Q4_K_M", { layers: 4, experts: 8 });
  const tokens = Array.from({ length: 50 }, (_, index) => `t${index}`);
  return { ...metadata, "tokenizer.ggml.tokens": { strings: tokens }, "tokenizer.ggml.token_type": { i32s: tokens.map(() => 1) } };
}

/** Parses, and passes on what a caller may see: a header, a request for more, or the one error type. */
function outcome(prefix: Uint8Array, size: number): string {
  try {
    const header = parseGgufHeader({ prefix, fileBytes: size, source: "fuzz" });
    expect(header.requiredFileBytes).toBeGreaterThan(0);
    expect("shape" in readModelShape(header) || "unknown" in readModelShape(header)).toBe(true);
    return "header";
  } catch (error) {
    if (error instanceof GgufNeedsMore) {
      expect(error.atLeastBytes).toBeLessThanOrEqual(Math.min(size, MAX_HEADER_BYTES));
      return "more";
    }
    expect(error).toBeInstanceOf(GgufError);
    expect((error as GgufError).message.length).toBeLessThan(1500);
    return "error";
  }
}

const seed = 20_261_123;

describe("a GGUF header from a hostile source", () => {
  it("survives any bytes overwritten anywhere", () => {
    const edits = fc.array(fc.record({ at: fc.nat(good.length - 1), bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }) }), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(edits, (list) => {
        const bytes = Uint8Array.from(good);
        for (const { at, bytes: change } of list) bytes.set(change.subarray(0, bytes.length - at), at);
        outcome(bytes, fileBytes);
      }),
      { seed, numRuns: 1500 },
    );
  });

  it("survives counts and lengths replaced by extreme numbers", () => {
    const extreme = fc.constantFrom(0n, 1n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n);
    fc.assert(
      fc.property(fc.nat(good.length - 8), extreme, (at, value) => {
        const bytes = Buffer.from(good);
        bytes.writeBigUInt64LE(value, at);
        outcome(bytes, fileBytes);
      }),
      { seed, numRuns: 1500 },
    );
  });

  it("never takes a file cut inside its header for a whole one", () => {
    const headerEnd = good.length - 32;
    fc.assert(
      fc.property(fc.nat(headerEnd), (length) => {
        expect(outcome(good.subarray(0, length), length)).toBe("error");
      }),
      { seed, numRuns: 500 },
    );
  });

  it("survives bytes without any structure behind the magic", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (tail) => {
        outcome(Buffer.concat([Buffer.from("GGUF"), Buffer.from([3, 0, 0, 0]), Buffer.from(tail)]), 2 ** 40);
      }),
      { seed, numRuns: 1500 },
    );
  });
});
