import type { ContextShape } from "./cache.ts";
import type { ComputePoint, ComputeTable } from "./compute-table.ts";
import type { MemoryFlags } from "./flags.ts";
import type { ModelShape } from "./model-shape.ts";
import { isExpertTensor, type Placement } from "./placement.ts";
import { MIB, type MemoryRange } from "./types.ts";

/** The terms that a compute buffer is made of, bytes. */
export interface ComputeTerms {
  readonly logits: number;
  /** 2 × the largest expert tensor on the host: copied to the GPU while a large batch runs. */
  readonly expertCopies: number;
  /** Other weights on the host that may be copied at once, where layers or the output are on the host. */
  readonly weightCopies: number;
  /** Attention masks of all kinds of layers. */
  readonly mask: number;
  /** Attention scores, where flash attention is off. */
  readonly scores: number;
  /** KV cache of the widest layer, moved and converted where its types have no kernel on the device. */
  readonly kvCopies: number;
  /** Upper bound of a ubatch's activations. */
  readonly activations: number;
}

/**
 * The terms for one device. `activations` is a bound, not an estimate: every intermediate of the widest layer at once, twice.
 * @see the graphs of src/models/*.cpp and ggml_gallocr of llama.cpp at 0c1e57098; held to build 11669 by the oracle test
 */
export function planComputeTerms(
  shape: ModelShape,
  flags: MemoryFlags,
  context: ContextShape,
  placement: Placement,
  table: ComputeTable | null,
): ComputeTerms {
  const ubatch = planBatchTokens(shape, flags);
  const rows = table?.outputRows === "slots" ? Math.min(ubatch, flags.nParallel * (1 + flags.specTokens)) : ubatch;
  const experts = placement.hostTensors.filter(isExpertTensor);
  const largest = Math.max(0, ...experts.map(({ bytes }) => bytes));
  const perToken = 4 * widestActivation(shape);
  const cells = context.cells + (shape.swaWindow > 0 ? context.swaCells : 0);
  return {
    logits: rows * shape.nVocab * 4,
    expertCopies: flags.opOffload ? 2 * largest : 0,
    weightCopies: flags.opOffload ? hostCopies(placement) : 0,
    mask: ubatch * cells * (flags.flashAttn ? 2 : 4),
    scores: flags.flashAttn ? 0 : 3 * ubatch * context.cells * shape.nHead * 4,
    kvCopies: flags.hasMixedKv ? 2 * widestLayerCache(shape, flags, context) : 0,
    activations: ubatch * perToken,
  };
}

/** Tokens that one pass of the graph takes at most: the ubatch, or the context where that is smaller. */
export function planBatchTokens({ ctxTrain }: ModelShape, { ubatch, ctxSize }: MemoryFlags): number {
  return Math.min(ubatch, ctxSize === 0 ? ctxTrain : ctxSize);
}

/** Elements that one token can have live in the widest layer. */
function widestActivation({ nEmbd, nHead, headDim, nFf, nExpert, nExpertUsed, recurrentWidth }: ModelShape): number {
  const feedForward = nExpert > 0 ? 3 * nExpertUsed * (nEmbd + nFf) + 4 * nExpert : 3 * nFf;
  return 8 * nEmbd + 4 * nHead * headDim + feedForward + 6 * recurrentWidth;
}

function widestLayerCache({ layers }: ModelShape, { cacheBytesK, cacheBytesV }: MemoryFlags, { cells, streams }: ContextShape): number {
  return cells * streams * Math.max(...layers.map(({ kWidth, vWidth }) => kWidth * cacheBytesK + vWidth * cacheBytesV));
}

function hostCopies({ hostTensors }: Placement): number {
  const others = hostTensors.filter((tensor) => !isExpertTensor(tensor)).map(({ bytes }) => bytes);
  const [first = 0, second = 0, third = 0] = others.sort((a, b) => b - a);
  return first + second + third;
}

/** Sum of terms: nothing that the engine reserves is larger. Only GPU-side. */
export function boundCompute(terms: ComputeTerms): number {
  return (
    terms.logits + terms.expertCopies + terms.weightCopies + 2 * terms.mask + terms.scores + terms.kvCopies + terms.activations + 32 * MIB
  );
}

/**
 * Compute memory of the GPU that runs the layers, MiB. From measured points of this model shape where they bracket the case; else between
 * the largest single term and the sum of all, with the table's fitted peak as the expected figure where it knows the shape.
 */
export function planDeviceCompute(
  shape: ModelShape,
  flags: MemoryFlags,
  context: ContextShape,
  placement: Placement,
  terms: ComputeTerms,
  table: ComputeTable | null,
): MemoryRange & { source: string } {
  const high = boundOf(shape, planBatchTokens(shape, flags), terms, table) / MIB;
  const low =
    Math.max(placement.output === "host" ? 0 : terms.logits, planBatchTokens(shape, flags) < 32 ? 0 : terms.expertCopies / 2) / MIB;
  if (table === null)
    return {
      lowMiB: low,
      expectedMiB: (low + high) / 2,
      highMiB: high,
      source: "bounds only: no compute table for this build and backend",
    };
  const bracket = bracketByPoints(shape, flags, context, terms, table);
  const lowMiB = Math.max(low, bracket.low);
  const highMiB = Math.max(lowMiB, Math.min(high, bracket.high));
  const expected = bracket.exact ?? peakOf(shape, planBatchTokens(shape, flags), terms, table) ?? (lowMiB + highMiB) / 2;
  const expectedMiB = Math.min(highMiB, Math.max(lowMiB, expected));
  const basis = bracket.exact !== null ? "measured point" : Number.isFinite(bracket.high) ? "between measured points" : "formula";
  return { lowMiB, expectedMiB, highMiB, source: `${basis}, table ${table.build} ${table.backend} (${table.error})` };
}

interface Bracket {
  readonly low: number;
  readonly high: number;
  readonly exact: number | null;
}

/** Compute grows with each condition, so that points below this case bound it from below and points above it from above. */
function bracketByPoints(shape: ModelShape, flags: MemoryFlags, context: ContextShape, terms: ComputeTerms, table: ComputeTable): Bracket {
  const copies = terms.expertCopies / MIB;
  const { relative, absoluteMiB } = table.pointError;
  const margin = (value: number): number => Math.max(value * relative, absoluteMiB);
  let bracket: Bracket = { low: 0, high: Number.POSITIVE_INFINITY, exact: null };
  if (terms.weightCopies > 0 || !flags.flashAttn || flags.hasMixedKv) return bracket;
  for (const entry of table.points) {
    if (!isSameShape(entry, shape) || entry.isQuantizedKv !== flags.cacheBytesK < 2) continue;
    const differences = [
      flags.ubatch - entry.ubatch,
      context.cells - entry.cells,
      flags.nParallel - entry.slots,
      Math.abs(copies - entry.expertCopiesMiB) < 1 ? 0 : copies - entry.expertCopiesMiB,
    ];
    const value = entry.computeMiB;
    if (differences.every((difference) => difference >= 0)) bracket = { ...bracket, low: Math.max(bracket.low, value - margin(value)) };
    if (differences.every((difference) => difference <= 0)) bracket = { ...bracket, high: Math.min(bracket.high, value + margin(value)) };
    if (differences.every((difference) => difference === 0)) bracket = { ...bracket, exact: value };
  }
  return bracket;
}

const isSameShape = (entry: ComputePoint, shape: ModelShape): boolean =>
  entry.architecture === shape.architecture &&
  entry.nEmbd === shape.nEmbd &&
  entry.nVocab === shape.nVocab &&
  entry.nLayer === shape.nLayer;

const isFitted = (shape: ModelShape, table: ComputeTable): boolean =>
  table.peaksFor.some(({ architecture, nEmbd }) => architecture === shape.architecture && nEmbd === shape.nEmbd);

/** The table's own bound for a shape that it was fitted to, else the general one. Where weights or scores are live too, only the general one holds. */
function boundOf(shape: ModelShape, ubatch: number, terms: ComputeTerms, table: ComputeTable | null): number {
  const general = boundCompute(terms);
  const perToken = table?.boundKibPerToken ?? null;
  if (table === null || perToken === null || !isFitted(shape, table) || terms.weightCopies > 0 || terms.scores > 0 || terms.kvCopies > 0)
    return general;
  return Math.min(general, terms.logits + terms.expertCopies + terms.mask + perToken * 1024 * ubatch);
}

function peakOf(shape: ModelShape, ubatch: number, terms: ComputeTerms, table: ComputeTable): number | null {
  if (!isFitted(shape, table)) return null;
  const hasHostExperts = terms.expertCopies > 0;
  const candidates = table.peaks
    .filter((entry) => ubatch >= (entry.minUbatch ?? 1) && ubatch <= (entry.maxUbatch ?? Number.POSITIVE_INFINITY))
    .filter((entry) => entry.hasHostExperts === undefined || entry.hasHostExperts === hasHostExperts)
    .map(
      (entry) =>
        entry.logits * terms.logits + entry.expertCopies * terms.expertCopies + entry.mask * terms.mask + entry.kibPerToken * 1024 * ubatch,
    );
  return candidates.length === 0 ? null : Math.max(...candidates) / MIB;
}

/**
 * Compute memory of the host, MiB: masks and embeddings of a ubatch where all layers are on a GPU, else up to the bound of the layers
 * that run here.
 */
export function planHostCompute(
  shape: ModelShape,
  flags: MemoryFlags,
  context: ContextShape,
  terms: ComputeTerms,
  hasHostLayers: boolean,
): MemoryRange & { source: string } {
  const tokens = planBatchTokens(shape, flags);
  const inputs = (terms.mask + tokens * (4 * 4 * shape.nEmbd)) / MIB;
  const runsLayers = hasHostLayers || !flags.kvOffload || !flags.flashAttn || flags.hasMixedKv;
  const high = runsLayers ? (boundCompute(terms) + terms.scores - terms.expertCopies - terms.weightCopies) / MIB : 2 * inputs + 16;
  return {
    lowMiB: 0,
    expectedMiB: hasHostLayers ? high / 2 : inputs,
    highMiB: Math.max(high, inputs),
    source: runsLayers
      ? "bounds: layers or attention may run on the host"
      : `mask of ${context.cells} cells and inputs of a ubatch, held to build 11669`,
  };
}
