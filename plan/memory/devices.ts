import type { GgufHeader } from "../gguf/types.ts";
import { planCacheBytes, planContext } from "./cache.ts";
import { planComputeTerms, planDeviceCompute, planHostCompute } from "./compute.ts";
import type { ComputeTable } from "./compute-table.ts";
import type { MemoryFlags } from "./flags.ts";
import type { ModelShape } from "./model-shape.ts";
import { type ExpertRule, type Place, type Placement, planPlacement } from "./placement.ts";
import { exactly, type GpuBudget, MIB, type MemoryPart } from "./types.ts";

/** One model with the flags that it runs with. */
export interface LoadedModel {
  readonly header: GgufHeader;
  readonly shape: ModelShape;
  readonly flags: MemoryFlags;
  /** Shown with each part, empty for the main model. */
  readonly label: string;
}

/** Parts of one model by place, and how it was laid out. */
export interface ModelParts {
  readonly parts: ReadonlyMap<Place, readonly MemoryPart[]>;
  readonly placement: Placement;
}

const WEIGHTS = "tensor sizes of the header";
const KV = "cells × widths × bytes of the cache types";
const RECURRENT = "convolution tail and state per recurrent layer and slot";

/** What one model needs on each device: weights, KV cache, recurrent state and compute. The driver's context and extras come on top. */
export function planModelParts(
  model: LoadedModel,
  gpus: readonly GpuBudget[],
  experts: ExpertRule,
  table: ComputeTable | null,
): ModelParts {
  const { header, shape, flags, label } = model;
  const placement = planPlacement(header, shape, flags, gpus, experts);
  const context = planContext(shape, flags);
  const caches = planCacheBytes(shape, flags, placement.layers, { from: 0, to: shape.nLayer });
  const terms = planComputeTerms(shape, flags, context, placement, table);
  const places: Place[] = [...gpus.map((_, index) => index), "host"];
  const parts = new Map<Place, MemoryPart[]>();
  for (const place of places) {
    const part = (kind: MemoryPart["kind"], bytes: number, source: string): MemoryPart => ({
      kind,
      label,
      source,
      ...exactly(bytes / MIB),
    });
    const list = [part("weights", placement.weightBytes.get(place) ?? 0, WEIGHTS)];
    const kv = caches.kv.get(place) ?? 0;
    const recurrent = caches.recurrent.get(place) ?? 0;
    if (kv > 0) list.push(part("kv", kv, KV));
    if (recurrent > 0) list.push(part("recurrentState", recurrent, RECURRENT));
    const compute =
      place === "host"
        ? planHostCompute(shape, flags, context, terms, placement.layers.includes("host"))
        : planDeviceCompute(shape, flags, context, placement, terms, table);
    list.push({ kind: "compute", label, ...compute });
    parts.set(place, list);
  }
  if (flags.mtp && shape.nLayerAll > shape.nLayer) addMtp(model, placement, parts);
  return { parts, placement };
}

/** MTP has a context of its own over the layers for further tokens: their KV cache, and a compute buffer of at most the model's own. */
function addMtp({ shape, flags }: LoadedModel, placement: Placement, parts: Map<Place, MemoryPart[]>): void {
  const caches = planCacheBytes(shape, flags, placement.layers, { from: shape.nLayer, to: shape.nLayerAll });
  for (const [place, list] of parts) {
    const kv = caches.kv.get(place) ?? 0;
    if (kv > 0) list.push({ kind: "kv", label: "MTP", source: KV, ...exactly(kv / MIB) });
    const own = list.find(({ kind }) => kind === "compute");
    if (own === undefined || place !== placement.output) continue;
    list.push({ ...own, label: "MTP", source: "at most the model's own compute buffer", lowMiB: 0, expectedMiB: own.expectedMiB / 2 });
  }
}
