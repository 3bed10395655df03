import type { ExpertRule } from "./placement.ts";
import type { MemoryFlags } from "./flags.ts";
import type { ModelShape } from "./model-shape.ts";

/** One placement that `--fit` may choose. */
export interface FitCandidate {
  readonly ctxSize: number;
  readonly nGpuLayers: number;
  readonly experts: ExpertRule;
}

/** Measures a candidate as the engine does: weights, cache and compute on the GPU, MiB, without the driver's context. */
export type FitMeasure = (candidate: FitCandidate) => number;

const ON_GPU: ExpertRule = { firstLayers: 0, fromLayer: null, splitRoles: null };

/** What of the first layer that doesn't fit whole still goes to the host, most first. @see `get_overflow_pattern` in common/fit.cpp at 0c1e57098 */
const SPLITS = {
  attentionAndUp: /^ffn_(gate|gate_up|down)/,
  attentionUpAndGate: /^ffn_down/,
  attention: /^ffn_(gate|up|gate_up|down)/,
};

/** Why `--fit` leaves everything as it is, or null where it may change it. Flags that were set by hand bind it. */
export function fitIsBound(flags: MemoryFlags): string | null {
  if (!flags.fit) return "--fit is off";
  if (flags.nGpuLayers !== null) return "--n-gpu-layers is set";
  if (flags.nCpuMoe !== null) return "--n-cpu-moe is set";
  return null;
}

/**
 * What `--fit on` chooses for one GPU with `targetMiB` to fill: first a shorter context if none was asked for, then as many layers as fit; of a
 * mixture of experts all layers with the experts of the first ones, one of them in part.
 * @see `common_params_fit_impl` in common/fit.cpp of llama.cpp at 0c1e57098, 2026-10-01; the same steps since December 2025
 */
export function planFit(shape: ModelShape, flags: MemoryFlags, targetMiB: number, measure: FitMeasure): FitCandidate {
  const nLayer = flags.mtp ? shape.nLayerAll : shape.nLayer;
  const full: FitCandidate = { ctxSize: flags.ctxSize === 0 ? shape.ctxTrain : flags.ctxSize, nGpuLayers: nLayer + 1, experts: ON_GPU };
  if (measure(full) <= targetMiB) return full;
  const start = flags.ctxSize === 0 ? shrinkContext(full, flags, targetMiB, measure) : full;
  if (measure(start) <= targetMiB) return start;
  if (shape.nExpert === 0) return fillDense(start, nLayer, targetMiB, measure);
  return fillExperts(start, nLayer, targetMiB, measure);
}

function shrinkContext(full: FitCandidate, flags: MemoryFlags, targetMiB: number, measure: FitMeasure): FitCandidate {
  const streams = flags.kvUnified ? 1 : flags.nParallel;
  const least = Math.min(full.ctxSize, flags.fitCtx * streams);
  const smallest = { ...full, ctxSize: least };
  const [most, low] = [measure(full), measure(smallest)];
  if (low >= targetMiB || most === low) return smallest;
  const between = least + ((full.ctxSize - least) * (targetMiB - low)) / (most - low);
  const step = 256 * streams;
  return { ...full, ctxSize: Math.max(least, Math.floor(between / step) * step) };
}

function fillDense(start: FitCandidate, nLayer: number, targetMiB: number, measure: FitMeasure): FitCandidate {
  const count = largest(nLayer + 1, (nGpuLayers) => measure({ ...start, nGpuLayers }) <= targetMiB);
  return { ...start, nGpuLayers: count };
}

function fillExperts(start: FitCandidate, nLayer: number, targetMiB: number, measure: FitMeasure): FitCandidate {
  // the engine counts the output as the one full layer, so that experts stay on the host from the layer after the first on
  const withDense = (nGpuLayers: number): FitCandidate => {
    const fromLayer = nLayer + 1 - nGpuLayers + 1;
    return { ...start, nGpuLayers, experts: { ...ON_GPU, fromLayer } };
  };
  const withFull = (fromLayer: number, splitRoles: RegExp | null = null): FitCandidate => ({
    ...start,
    experts: { ...ON_GPU, fromLayer, splitRoles },
  });
  const fits = (candidate: FitCandidate): boolean => measure(candidate) <= targetMiB;
  if (!fits(withFull(1))) return withDense(largest(nLayer + 1, (count) => fits(withDense(count))));
  const whole = largest(nLayer, (fromLayer) => fits(withFull(fromLayer)));
  if (fits(withFull(whole, SPLITS.attentionAndUp))) {
    const more = withFull(whole, SPLITS.attentionUpAndGate);
    return fits(more) ? more : withFull(whole, SPLITS.attentionAndUp);
  }
  const attention = withFull(whole, SPLITS.attention);
  return fits(attention) ? attention : withFull(whole);
}

/** The largest count from 0 to `most` that passes; the test is monotone. */
function largest(most: number, passes: (count: number) => boolean): number {
  let low = 0;
  let high = most;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (passes(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
