import type { GgufCursor } from "./cursor.ts";
import { GGML_TYPES, planTensorBytes } from "./tensor-types.ts";
import { GgufError, type GgufTensor } from "./types.ts";

const MAX_TENSORS = 100_000;
const MAX_NAME_BYTES = 256;
const MAX_DIMENSIONS = 4;

/** A tensor and where its bytes lie, counted from the start of the file's data section. */
export interface PlacedTensor extends GgufTensor {
  readonly offset: number;
}

/**
 * Reads `count` tensor descriptions.
 * @throws {GgufError} on a name given twice, more than 4 dimensions, a dimension of 0, a product of 2^53 or more, or a type that ggml doesn't have.
 */
export function readTensors(cursor: GgufCursor, count: number): PlacedTensor[] {
  if (count > MAX_TENSORS)
    throw new GgufError(`tensor count: got ${count}, allowed are at most ${MAX_TENSORS}; the header is broken or hostile`);
  const names = new Set<string>();
  const tensors: PlacedTensor[] = [];
  for (let index = 0; index < count; index += 1) {
    const tensor = readTensor(cursor, index);
    if (names.has(tensor.name)) throw new GgufError(`tensor ${JSON.stringify(tensor.name)}: given twice`);
    names.add(tensor.name);
    tensors.push(tensor);
  }
  return tensors;
}

function readTensor(cursor: GgufCursor, index: number): PlacedTensor {
  const name = cursor.string(`tensor ${index} name`, MAX_NAME_BYTES);
  const where = `tensor ${JSON.stringify(name)}`;
  const dimensions = cursor.u32(`${where} dimension count`);
  if (dimensions < 1 || dimensions > MAX_DIMENSIONS)
    throw new GgufError(`${where}: got ${dimensions} dimensions, allowed are 1 to ${MAX_DIMENSIONS}`);
  const shape = Array.from({ length: dimensions }, (_, axis) => cursor.count(`${where} dimension ${axis}`, Number.MAX_SAFE_INTEGER));
  if (shape.includes(0)) throw new GgufError(`${where}: got shape ${shape.join(" × ")}, allowed are dimensions of at least 1`);
  const typeNumber = cursor.u32(`${where} type`);
  const ggml = GGML_TYPES[typeNumber];
  if (ggml === undefined)
    throw new GgufError(
      `${where}: got ggml type ${typeNumber}, which this project doesn't know; a newer one needs an entry in plan/gguf/tensor-types.ts`,
    );
  const offset = cursor.count(`${where} offset`, Number.MAX_SAFE_INTEGER);
  try {
    return { name, ...splitTensorName(name), shape, type: ggml.name, bytes: planTensorBytes(ggml, shape), offset };
  } catch (cause) {
    if (cause instanceof RangeError) throw new GgufError(`${where}: ${cause.message}`, { cause });
    throw cause;
  }
}

/** `blk.7.ffn_up.weight` is layer 7, role `ffn_up.weight`; any other name is all role. */
export function splitTensorName(name: string): { layer: number | null; role: string } {
  const match = /^blk\.(\d{1,4})\.(.+)$/.exec(name);
  return match?.[1] === undefined || match[2] === undefined ? { layer: null, role: name } : { layer: Number(match[1]), role: match[2] };
}

/**
 * Bytes that the data section must have: the end of the last tensor.
 * @throws {GgufError} where a tensor is off the alignment, overlaps another or leaves a gap: llama.cpp wants them packed in order.
 */
export function checkTensorLayout(tensors: readonly PlacedTensor[], alignment: number): number {
  let end = 0;
  let expected = 0;
  for (const { name, offset, bytes } of tensors) {
    if (offset !== expected) {
      const fault = offset < expected ? "overlaps the tensor before it" : "leaves a gap behind the tensor before it";
      throw new GgufError(`tensor ${JSON.stringify(name)}: got offset ${offset}, which ${fault}; expected is ${expected}`);
    }
    end = offset + bytes;
    expected = Math.ceil(end / alignment) * alignment;
    if (!Number.isSafeInteger(expected))
      throw new GgufError(`tensor ${JSON.stringify(name)}: ends at byte ${end}, allowed are offsets below 2^53`);
  }
  return end;
}
