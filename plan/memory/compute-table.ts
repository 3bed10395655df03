import { z } from "zod";

const mib = z.number().nonnegative();

const range = z.strictObject({ lowMiB: mib, expectedMiB: mib, highMiB: mib, source: z.string().min(1) });

/**
 * One candidate for the largest moment of the compute buffer, for models of one shape: the sum of the terms that are live then. The
 * expected figure is the largest candidate that applies.
 */
const peak = z.strictObject({
  minUbatch: z.int().positive().optional(),
  maxUbatch: z.int().positive().optional(),
  /** Applies only with (true) or without (false) expert tensors on the host; absent: both. */
  hasHostExperts: z.boolean().optional(),
  /** Times the logits: output rows × vocabulary × 4 bytes. */
  logits: z.number().nonnegative(),
  /** Times the expert copies: 2 × the largest expert tensor on the host. */
  expertCopies: z.number().nonnegative(),
  /** Times the attention mask: ubatch × cells × 2 bytes. */
  mask: z.number().nonnegative(),
  kibPerToken: z.number().nonnegative(),
});

/** A compute buffer that was measured: with this model shape, under these conditions, the device held so much. */
const point = z.strictObject({
  architecture: z.string(),
  nEmbd: z.int().positive(),
  nVocab: z.int().positive(),
  nLayer: z.int().positive(),
  ubatch: z.int().positive(),
  /** Cells of one stream of the KV cache. */
  cells: z.int().positive(),
  slots: z.int().positive(),
  isQuantizedKv: z.boolean(),
  /** 2 × the largest expert tensor on the host, MiB; 0 with all experts on the GPU. */
  expertCopiesMiB: mib,
  computeMiB: mib,
});

/**
 * Compute memory of one build on one backend. It is the one term that isn't exact by formula: it depends on the engine's graph
 * allocator and changes between builds. `npm run plan -- --calibrate` writes such a file by asking the engine.
 */
export const computeTableSchema = z.strictObject({
  $schema: z.string().optional(),
  tableVersion: z.literal(1),
  /** llama.cpp build: a number as `b11669`, or a commit. */
  build: z.string().regex(/^(b\d{1,6}|[0-9a-f]{7,40})$/),
  backend: z.enum(["cuda", "vulkan", "cpu"]),
  /** Where the figures come from: command, machine, date. */
  source: z.string().min(1),
  /** How far off they may be, in words. */
  error: z.string().min(1),
  /** Rows of logits that the server reserves: one per slot (times drafted tokens + 1), or one per token of a ubatch (older builds). */
  outputRows: z.enum(["slots", "ubatch"]),
  context: range,
  /** GPU memory that `--fit` doesn't see as free although the budget counts it: firmware, display, other processes. */
  fitReserve: range,
  /** Shapes that the peaks were fitted to; other shapes get the bounds alone. */
  peaksFor: z.array(z.strictObject({ architecture: z.string(), nEmbd: z.int().positive() })),
  peaks: z.array(peak),
  /** Activations of those shapes never exceed this, KiB per token of a ubatch. */
  boundKibPerToken: z.number().nonnegative().nullable(),
  points: z.array(point),
  /** Widest relative error of a point on the same backend, and the absolute one; a point's interval is widened by the larger. */
  pointError: z.strictObject({ relative: z.number().min(0).max(1), absoluteMiB: mib }),
});

export type ComputeTable = z.infer<typeof computeTableSchema>;
export type ComputePoint = ComputeTable["points"][number];

/** A compute table from parsed JSON. @throws {z.ZodError} with every issue at once. */
export function parseComputeTable(input: unknown): ComputeTable {
  return computeTableSchema.parse(input);
}

/**
 * The table of a build and backend, or undefined. A build is named by its number or its commit; commits match on their shorter length, from 7 digits on.
 * No table of a neighbouring build stands in: the term changes between builds.
 */
export function findComputeTable(
  tables: readonly ComputeTable[],
  build: string,
  backend: ComputeTable["backend"],
): ComputeTable | undefined {
  return tables.find((table) => table.backend === backend && isSameBuild(table.build, build));
}

function isSameBuild(a: string, b: string): boolean {
  if (a.startsWith("b") && /^b\d+$/.test(a)) return a === b;
  const length = Math.min(a.length, b.length);
  return length >= 7 && a.slice(0, length) === b.slice(0, length);
}
