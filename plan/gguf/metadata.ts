import { type GgufCursor, SCALAR_BYTES } from "./cursor.ts";
import { GgufError, type GgufValue } from "./types.ts";

const STRING = 8;
const ARRAY = 9;

const MAX_KEYS = 10_000;
const MAX_KEY_BYTES = 1024;
const MAX_KEPT_STRING_BYTES = 4096;
/** Per-layer lists are kept up to this length (llama.cpp's own limit is 512 layers); longer arrays are passed over. */
const MAX_KEPT_ELEMENTS = 4096;
const MAX_DEPTH = 4;

/** The metadata of a GGUF file: kept values by key, and how many elements each array has, kept or not. */
export interface GgufMetadata {
  readonly values: ReadonlyMap<string, GgufValue>;
  readonly arrayLengths: ReadonlyMap<string, number>;
}

/**
 * Reads `count` key-value pairs. Long strings and arrays of strings (the tokenizer: nine tenths of a header) are passed
 * over, so that memory is bounded by the number of keys and not by the file.
 * @throws {GgufError} on a key given twice, an unknown value type, arrays nested deeper than 4, or a count that cannot fit in the file.
 */
export function readMetadata(cursor: GgufCursor, count: number): GgufMetadata {
  if (count > MAX_KEYS)
    throw new GgufError(`metadata count: got ${count}, allowed are at most ${MAX_KEYS}; the header is broken or hostile`);
  const values = new Map<string, GgufValue>();
  const arrayLengths = new Map<string, number>();
  const seen = new Set<string>();
  for (let index = 0; index < count; index += 1) {
    const key = cursor.string(`metadata key ${index}`, MAX_KEY_BYTES);
    if (seen.has(key)) throw new GgufError(`metadata key ${JSON.stringify(key)}: given twice; llama.cpp refuses such a file too`);
    seen.add(key);
    const where = `metadata ${JSON.stringify(key)}`;
    const type = cursor.u32(`${where} type`);
    if (type === STRING) readString(cursor, key, where, values);
    else if (type === ARRAY) readArray(cursor, key, where, values, arrayLengths);
    else values.set(key, cursor.scalar(knownScalar(type, where), where));
  }
  return { values, arrayLengths };
}

function readString(cursor: GgufCursor, key: string, where: string, values: Map<string, GgufValue>): void {
  const isKept = key.startsWith("general.");
  if (isKept) values.set(key, cursor.string(where, MAX_KEPT_STRING_BYTES * 16).slice(0, MAX_KEPT_STRING_BYTES));
  else cursor.skipStrings(1, where);
}

function readArray(
  cursor: GgufCursor,
  key: string,
  where: string,
  values: Map<string, GgufValue>,
  arrayLengths: Map<string, number>,
): void {
  const type = cursor.u32(`${where} element type`);
  const length = cursor.count(`${where} length`, cursor.remainingBytes);
  arrayLengths.set(key, length);
  if (type === STRING || type === ARRAY || length > MAX_KEPT_ELEMENTS) {
    skipElements(cursor, type, length, where, 1);
    return;
  }
  const scalar = knownScalar(type, where);
  values.set(
    key,
    Array.from({ length }, (_, index) => cursor.scalar(scalar, `${where}[${index}]`)),
  );
}

function skipElements(cursor: GgufCursor, type: number, length: number, where: string, depth: number): void {
  if (depth > MAX_DEPTH) throw new GgufError(`${where}: arrays nested deeper than ${MAX_DEPTH}; the header is broken or hostile`);
  if (type === STRING) {
    cursor.skipStrings(length, where);
  } else if (type === ARRAY) {
    for (let index = 0; index < length; index += 1) {
      const inner = cursor.u32(where);
      skipElements(cursor, inner, cursor.count(where, cursor.remainingBytes), where, depth + 1);
    }
  } else {
    cursor.skip((SCALAR_BYTES[knownScalar(type, where)] ?? 0) * length, where);
  }
}

function knownScalar(type: number, where: string): number {
  if (SCALAR_BYTES[type] === undefined) throw new GgufError(`${where}: got value type ${type}, allowed are 0 to 12`);
  return type;
}
