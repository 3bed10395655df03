import { GgufCursor } from "./cursor.ts";
import { type GgufMetadata, readMetadata } from "./metadata.ts";
import { checkTensorLayout, readTensors } from "./tensors.ts";
import { GgufError, type GgufHeader, type GgufTensor, type GgufValue } from "./types.ts";

const MAGIC = 0x46554747; // "GGUF", little-endian
const DEFAULT_ALIGNMENT = 32;

/** What is parsed: the first bytes of a file, how long the whole file is, and where it came from. */
export interface GgufPrefix {
  readonly prefix: Uint8Array;
  readonly fileBytes: number;
  readonly source: string;
}

/**
 * The header of a GGUF file (version 2 or 3, little-endian) from its first bytes. Time is linear in the header, memory in the number of
 * keys and tensors; arrays of strings are passed over.
 *
 * A reader of our own, not `@huggingface/gguf` (0.4.6), which stays the cross-check in the tests. On hostile or truncated files that one, as tried:
 * pads the last chunk with zeros and reads on into them, so that a file cut inside its header parses as if it were whole; cuts a string silently
 * where the loaded chunk ends; lets a later duplicate key win; stores keys in a plain object, so that `__proto__` replaces its prototype; checks no
 * tensor against the file; and needs 3 s and 400 MB to refuse 24 bytes that claim ten million tensors.
 * @throws {GgufError} on anything broken, naming the field.
 * @throws {GgufNeedsMore} where more of the file must be given first.
 */
export function parseGgufHeader({ prefix, fileBytes, source }: GgufPrefix): GgufHeader {
  const cursor = new GgufCursor(prefix, fileBytes);
  readMagic(cursor);
  const tensorCount = cursor.count("tensor count", Number.MAX_SAFE_INTEGER);
  const metadata = readMetadata(cursor, cursor.count("metadata count", Number.MAX_SAFE_INTEGER));
  const placed = readTensors(cursor, tensorCount);
  const alignment = numberOf(metadata, "general.alignment") ?? DEFAULT_ALIGNMENT;
  if (!Number.isInteger(alignment) || alignment < 1 || alignment > 1 << 20 || (alignment & (alignment - 1)) !== 0) {
    throw new GgufError(`metadata "general.alignment": got ${alignment}, allowed are powers of two up to 2^20`);
  }
  const dataStart = Math.ceil(cursor.offset / alignment) * alignment;
  const dataBytes = checkTensorLayout(placed, alignment);
  return {
    ...describeModel(metadata),
    source,
    fileBytes,
    requiredFileBytes: placed.length === 0 ? cursor.offset : dataStart + dataBytes,
    tensors: placed.map(({ name, layer, role, shape, type, bytes }): GgufTensor => ({ name, layer, role, shape, type, bytes })),
  };
}

function readMagic(cursor: GgufCursor): void {
  const magic = cursor.u32("magic");
  if (magic !== MAGIC) {
    throw new GgufError(
      `magic: got 0x${magic.toString(16).padStart(8, "0")}, expected "GGUF"; this is no GGUF file (an HTML error page saved under its name?)`,
    );
  }
  const version = cursor.u32("version");
  if (version !== 2 && version !== 3) throw new GgufError(`version: got ${version}, allowed are 2 and 3, little-endian`);
}

function describeModel(metadata: GgufMetadata): Pick<GgufHeader, "architecture" | "vocabSize" | "split" | "metadata"> {
  const architecture = metadata.values.get("general.architecture");
  if (typeof architecture !== "string" || architecture === "") {
    throw new GgufError(`metadata "general.architecture": got ${JSON.stringify(architecture ?? null)}, expected the architecture's name`);
  }
  const kept: [string, GgufValue][] = [];
  for (const [key, value] of metadata.values) {
    if (key.startsWith(`${architecture}.`)) kept.push([key.slice(architecture.length + 1), value]);
    else if (key === "general.name" || key === "general.file_type") kept.push([key, value]);
  }
  return {
    architecture,
    vocabSize: metadata.arrayLengths.get("tokenizer.ggml.tokens") ?? numberOf(metadata, `${architecture}.vocab_size`) ?? 0,
    split: describeSplit(metadata),
    metadata: Object.fromEntries(kept),
  };
}

function describeSplit(metadata: GgufMetadata): GgufHeader["split"] {
  const count = numberOf(metadata, "split.count") ?? 0;
  if (count < 2) return null;
  return { no: numberOf(metadata, "split.no") ?? 0, count, tensors: numberOf(metadata, "split.tensors.count") ?? 0 };
}

function numberOf(metadata: GgufMetadata, key: string): number | undefined {
  const value = metadata.values.get(key);
  if (value === undefined) return undefined;
  if (typeof value !== "number") throw new GgufError(`metadata ${JSON.stringify(key)}: got ${JSON.stringify(value)}, expected a number`);
  return value;
}
