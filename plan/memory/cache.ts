import type { MemoryFlags } from "./flags.ts";
import type { ModelShape } from "./model-shape.ts";
import type { Place } from "./placement.ts";

const pad256 = (value: number): number => Math.ceil(value / 256) * 256;

/** Tokens that one stream of the KV cache holds, and how many streams there are: one if unified, else one per slot. */
export interface ContextShape {
  readonly cells: number;
  readonly streams: number;
  /** Cells of the layers with a sliding window; equal to `cells` where there are none. */
  readonly swaCells: number;
}

/**
 * Cells of the cache. Context is padded to 256, split over the slots unless unified, and each share padded to 256 again; a sliding window keeps
 * window (per slot, if unified) + ubatch, padded to 256.
 * @see llama_context::llama_context and llama_kv_cache_iswa of llama.cpp at 0c1e57098; measured on build 11669
 */
export function planContext(shape: ModelShape, flags: MemoryFlags): ContextShape {
  const ctx = pad256(flags.ctxSize === 0 ? shape.ctxTrain : flags.ctxSize);
  const cells = flags.kvUnified ? ctx : pad256(Math.floor(ctx / flags.nParallel));
  const window = shape.swaWindow * (flags.kvUnified ? flags.nParallel : 1) + flags.ubatch;
  const swaCells = flags.swaFull || shape.swaWindow === 0 ? cells : pad256(Math.min(cells, window));
  return { cells, streams: flags.kvUnified ? 1 : flags.nParallel, swaCells };
}

/** Bytes of KV cache and of recurrent state by place. */
export interface CacheBytes {
  readonly kv: ReadonlyMap<Place, number>;
  readonly recurrent: ReadonlyMap<Place, number>;
}

/**
 * KV cache: per attention layer `streams × cells × (k width × bytes of K + v width × bytes of V)`. Recurrent state: per recurrent layer and
 * slot the convolution tail and the state, F32, once more for each token that speculation may take back.
 * @param range layers that belong to the context: the model's own, or those for further tokens (MTP has a context of its own, without recurrent state)
 */
export function planCacheBytes(
  shape: ModelShape,
  flags: MemoryFlags,
  places: readonly Place[],
  range: { from: number; to: number },
): CacheBytes {
  const { cells, streams, swaCells } = planContext(shape, flags);
  const kv = new Map<Place, number>();
  const recurrent = new Map<Place, number>();
  const add = (to: Map<Place, number>, where: Place, bytes: number): void => void to.set(where, (to.get(where) ?? 0) + bytes);
  shape.layers.forEach((layer, il) => {
    if (il < range.from || il >= range.to) return;
    const where = flags.kvOffload ? (places[il] ?? "host") : "host";
    if (layer.isRecurrent) add(recurrent, where, shape.recurrentBytes * flags.nParallel * (1 + flags.rollbackStates));
    const perToken = layer.kWidth * flags.cacheBytesK + layer.vWidth * flags.cacheBytesV;
    add(kv, where, streams * (layer.isSwa ? swaCells : cells) * perToken);
  });
  return { kv, recurrent };
}
