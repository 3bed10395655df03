import { z } from "zod";
import { findGgmlType, planTensorBytes } from "./tensor-types.ts";
import type { GgufHeader, GgufTensor, GgufValue } from "./types.ts";

const size = z.int().nonnegative();
const value = z.union([z.number(), z.boolean(), z.string().max(4096), z.array(z.union([z.number(), z.boolean()])).max(4096)]);

const tensorGroup = z.strictObject({
  role: z.string().min(1).max(256),
  type: z
    .string()
    .refine((name) => findGgmlType(name) !== undefined, { error: "unknown ggml type; expected one of plan/gguf/tensor-types.ts" }),
  shape: z.array(z.int().positive()).min(1).max(4),
  /** `0-4,7,10`; absent for a tensor outside the layers. */
  layers: z
    .string()
    .regex(/^\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*$/, { error: "expected layer numbers such as 0-4,7,10" })
    .optional(),
});

/**
 * A committed header: what the planner needs of one GGUF file, some kilobytes instead of megabytes. Tensors that differ only in their layer
 * are one entry; their sizes follow from type and shape.
 */
export const headerDigestSchema = z.strictObject({
  $schema: z.string().optional(),
  digestVersion: z.literal(1),
  source: z.string().min(1),
  architecture: z.string().min(1),
  fileBytes: size,
  requiredFileBytes: size,
  vocabSize: size,
  metadata: z.record(z.string(), value),
  tensors: z.array(tensorGroup).max(100_000),
});

export type HeaderDigest = z.infer<typeof headerDigestSchema>;
type TensorGroup = HeaderDigest["tensors"][number];

/** The digest to commit for a header. Split models are joined before. Tensor order across roles is not kept: no plan depends on it. */
export function planHeaderDigest(header: GgufHeader): HeaderDigest {
  const groups = new Map<string, { group: Omit<TensorGroup, "layers">; layers: number[] }>();
  for (const { layer, role, type, shape } of header.tensors) {
    const key = JSON.stringify([layer === null, role, type, shape]);
    const entry = groups.get(key) ?? { group: { role, type, shape: [...shape] }, layers: [] };
    if (layer !== null) entry.layers.push(layer);
    groups.set(key, entry);
  }
  const tensors = [...groups.values()].map(({ group, layers }) =>
    layers.length === 0 ? group : { ...group, layers: writeRanges(layers) },
  );
  const { source, architecture, fileBytes, requiredFileBytes, vocabSize } = header;
  const metadata = Object.fromEntries(
    Object.entries(header.metadata).map(([key, entry]): [string, z.infer<typeof value>] => [key, isList(entry) ? [...entry] : entry]),
  );
  return { digestVersion: 1, source, architecture, fileBytes, requiredFileBytes, vocabSize, metadata, tensors };
}

/**
 * The header that a digest stands for.
 * @throws {z.ZodError} with every issue at once, if the digest doesn't match the schema.
 */
export function parseHeaderDigest(input: unknown): GgufHeader {
  const { tensors, source, architecture, fileBytes, requiredFileBytes, vocabSize, metadata } = headerDigestSchema.parse(input);
  return { source, architecture, fileBytes, requiredFileBytes, vocabSize, metadata, split: null, tensors: tensors.flatMap(expandGroup) };
}

function expandGroup({ role, type, shape, layers }: TensorGroup): GgufTensor[] {
  const ggml = findGgmlType(type);
  if (ggml === undefined) throw new RangeError(`got ggml type ${type}, expected one of plan/gguf/tensor-types.ts`);
  const bytes = planTensorBytes(ggml, shape);
  if (layers === undefined) return [{ name: role, layer: null, role, shape, type, bytes }];
  return readRanges(layers).map((layer) => ({ name: `blk.${layer}.${role}`, layer, role, shape, type, bytes }));
}

function isList(entry: GgufValue): entry is readonly (number | boolean)[] {
  return typeof entry === "object";
}

/** `[0, 1, 2, 5]` as `0-2,5`. */
function writeRanges(layers: readonly number[]): string {
  const sorted = [...layers].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let start = 0; start < sorted.length;) {
    let end = start;
    while (sorted[end + 1] === (sorted[end] ?? 0) + 1) end += 1;
    parts.push(start === end ? `${sorted[start]}` : `${sorted[start]}-${sorted[end]}`);
    start = end + 1;
  }
  return parts.join(",");
}

function readRanges(text: string): number[] {
  return text.split(",").flatMap((part) => {
    const [from = 0, to = from] = part.split("-").map(Number);
    return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
  });
}
