/** How ggml stores one tensor type: `blockElements` elements take `blockBytes` bytes. */
export interface GgmlType {
  readonly name: string;
  readonly blockElements: number;
  readonly blockBytes: number;
}

const type = (name: string, blockElements: number, blockBytes: number): GgmlType => ({ name, blockElements, blockBytes });

/**
 * ggml's tensor types by their number in a GGUF file. Numbers that ggml has retired (4, 5, 31 to 33, 36 to 38) are absent:
 * no current build loads them.
 * @see `enum ggml_type` and the block structs of ggml.h and ggml-common.h, llama.cpp commit 0c1e57098, 2026-10-01
 */
export const GGML_TYPES: Readonly<Record<number, GgmlType>> = {
  0: type("F32", 1, 4),
  1: type("F16", 1, 2),
  2: type("Q4_0", 32, 18),
  3: type("Q4_1", 32, 20),
  6: type("Q5_0", 32, 22),
  7: type("Q5_1", 32, 24),
  8: type("Q8_0", 32, 34),
  9: type("Q8_1", 32, 36),
  10: type("Q2_K", 256, 84),
  11: type("Q3_K", 256, 110),
  12: type("Q4_K", 256, 144),
  13: type("Q5_K", 256, 176),
  14: type("Q6_K", 256, 210),
  15: type("Q8_K", 256, 292),
  16: type("IQ2_XXS", 256, 66),
  17: type("IQ2_XS", 256, 74),
  18: type("IQ3_XXS", 256, 98),
  19: type("IQ1_S", 256, 50),
  20: type("IQ4_NL", 32, 18),
  21: type("IQ3_S", 256, 110),
  22: type("IQ2_S", 256, 82),
  23: type("IQ4_XS", 256, 136),
  24: type("I8", 1, 1),
  25: type("I16", 1, 2),
  26: type("I32", 1, 4),
  27: type("I64", 1, 8),
  28: type("F64", 1, 8),
  29: type("IQ1_M", 256, 56),
  30: type("BF16", 1, 2),
  34: type("TQ1_0", 256, 54),
  35: type("TQ2_0", 256, 66),
  39: type("MXFP4", 32, 17),
  40: type("NVFP4", 64, 36),
  41: type("Q1_0", 128, 18),
  42: type("Q2_0", 64, 18),
};

const TYPES_BY_NAME = new Map(Object.values(GGML_TYPES).map((entry) => [entry.name, entry]));

/** The type of that name in capitals, or undefined where ggml has none. */
export function findGgmlType(name: string): GgmlType | undefined {
  return TYPES_BY_NAME.get(name);
}

/**
 * Bytes of a tensor of this type and shape: whole blocks along the first dimension, rows without gaps.
 * @throws {RangeError} if the first dimension isn't a multiple of the block, or the product isn't a safe integer.
 */
export function planTensorBytes(ggml: GgmlType, shape: readonly number[]): number {
  const row = shape[0] ?? 1;
  if (row % ggml.blockElements !== 0)
    throw new RangeError(`got rows of ${row} elements, ${ggml.name} allows multiples of ${ggml.blockElements}`);
  const elements = shape.reduce((product, size) => product * size, 1);
  const bytes = (elements / ggml.blockElements) * ggml.blockBytes;
  if (!Number.isSafeInteger(elements) || !Number.isSafeInteger(bytes))
    throw new RangeError(`got ${elements} elements, allowed are fewer than 2^53`);
  return bytes;
}
