import type { GgufHeader } from "../gguf/types.ts";
import type { ModelShape } from "./model-shape.ts";
import type { Place, Placement } from "./placement.ts";
import { isExpertTensor } from "./placement.ts";
import type { SpeedPlan } from "./types.ts";

/** Time of one decoded token: fixed, plus weights read on the host, plus weights read on the GPU. GB are 10^9 bytes, as bandwidths are quoted. */
export interface SpeedModel {
  readonly fixedMs: number;
  readonly hostMsPerGB: number;
  readonly gpuGBPerSec: number;
  readonly source: string;
}

/** The seed's host (16 GB card at 960 GB/s): within 3 % of its four measured rows C1, C4r, C5 and C7. Another host needs its own three numbers. */
export const SEED_HOST_SPEED: SpeedModel = {
  fixedMs: 6.3,
  hostMsPerGB: 18.4,
  gpuGBPerSec: 960,
  source: "roofline 6.3 ms + 18.4 ms/GB on the host + GB/960 on the GPU, fitted to the seed's rows of 2026-02-25",
};

/**
 * Planned decode speed: each token reads all dense weights and, of the experts, the share that is used. The KV cache and speculation are left
 * out. It ranks profiles on one host; it isn't a forecast for another.
 */
export function planSpeed(header: GgufHeader, shape: ModelShape, placement: Placement, model: SpeedModel): SpeedPlan {
  const onHost = new Set(placement.hostTensors.map(({ name }) => name));
  const share = shape.nExpert > 0 ? shape.nExpertUsed / shape.nExpert : 1;
  const hasOutput = header.tensors.some(({ name }) => name === "output.weight");
  let host = 0;
  let gpu = 0;
  for (const tensor of header.tensors) {
    if (tensor.layer !== null && tensor.layer >= shape.nLayer) continue;
    if (tensor.name === "token_embd.weight" && hasOutput) continue;
    const where: Place = onHost.has(tensor.name) || placement.output === "host" ? "host" : 0;
    const bytes = isExpertTensor(tensor) ? tensor.bytes * share : tensor.bytes;
    if (where === "host") host += bytes;
    else gpu += bytes;
  }
  const ms = model.fixedMs + (host / 1e9) * model.hostMsPerGB + (gpu / 1e9 / model.gpuGBPerSec) * 1000;
  return { tokensPerSec: 1000 / ms, cpuGBPerToken: host / 1e9, gpuGBPerToken: gpu / 1e9, source: model.source };
}
