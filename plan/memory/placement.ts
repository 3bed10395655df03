import type { GgufHeader, GgufTensor } from "../gguf/types.ts";
import type { MemoryFlags } from "./flags.ts";
import type { ModelShape } from "./model-shape.ts";
import type { MemoryBudget } from "./types.ts";

/** Index of a GPU, or the host. */
export type Place = number | "host";

/** Where each layer and each tensor of a model lies. */
export interface Placement {
  /** One place per layer, layers for further tokens included; a layer's KV cache and state lie with it. */
  readonly layers: readonly Place[];
  readonly output: Place;
  /** Bytes of weights by place; `host` first, then each GPU. */
  readonly weightBytes: ReadonlyMap<Place, number>;
  /** Tensors on the host that a GPU may want copied for large batches: everything but the token embedding. */
  readonly hostTensors: readonly GgufTensor[];
}

/** Experts that stay on the host although their layer is on a GPU: the first N layers (`--n-cpu-moe`) or the last ones from a layer on (`--fit`). */
export interface ExpertRule {
  readonly firstLayers: number;
  /** `--fit`'s choice; null if it kept none back. */
  readonly fromLayer: number | null;
  /** In that first layer `--fit` may leave part of the experts on the GPU: roles that still go to the host. */
  readonly splitRoles: RegExp | null;
}

const EXPERTS = /^ffn_(up|down|gate_up|gate)_(ch|)exps/;

/** Input tensors: read row by row on the host, never offloaded. @see `LLM_TENSOR_LAYER_INPUT` in src/llama-arch.cpp at 0c1e57098 */
const INPUT = /^(token_embd|token_types|position_embd|token_embd_norm|per_layer_token_embd)\./;

/**
 * Where everything lies: token embedding on the host, layer i on a GPU if i >= layers + 1 - n-gpu-layers, the output with the layer after the
 * last, expert tensors on the host by the rule. A tied output is a second copy of the embedding on the output's GPU. Layers for further
 * tokens are loaded only with MTP.
 * @see `load_tensors` and `create_tensor` of llama.cpp at 0c1e57098, 2026-10-01
 */
export function planPlacement(
  header: GgufHeader,
  shape: ModelShape,
  flags: MemoryFlags,
  gpus: MemoryBudget["gpus"],
  experts: ExpertRule,
): Placement {
  const place = layerPlaces(shape, flags, gpus);
  const layers = Array.from({ length: shape.nLayerAll }, (_, il) => place(il));
  const output = place(shape.nLayerAll);
  const weightBytes = new Map<Place, number>([["host", 0], ...gpus.map((_, index): [Place, number] => [index, 0])]);
  const hostTensors: GgufTensor[] = [];
  const put = (where: Place, tensor: GgufTensor): void => {
    weightBytes.set(where, (weightBytes.get(where) ?? 0) + tensor.bytes);
    if (where === "host") hostTensors.push(tensor);
  };
  const hasOutput = header.tensors.some(({ name }) => name === "output.weight");
  for (const tensor of header.tensors) {
    const { layer, name } = tensor;
    if (layer === null && INPUT.test(name)) {
      weightBytes.set("host", (weightBytes.get("host") ?? 0) + tensor.bytes);
      if (name === "token_embd.weight" && !hasOutput) {
        if (output === "host") hostTensors.push(tensor);
        else put(output, tensor);
      }
    } else if (layer === null) {
      put(name === "rope_freqs.weight" ? (layers[0] ?? "host") : output, tensor);
    } else if (layer < shape.nLayer || flags.mtp) {
      put(isHostExpert(tensor, experts) ? "host" : (layers[layer] ?? "host"), tensor);
    }
  }
  return { layers, output, weightBytes, hostTensors };
}

function isHostExpert({ layer, role }: GgufTensor, { firstLayers, fromLayer, splitRoles }: ExpertRule): boolean {
  if (layer === null) return false;
  if (splitRoles !== null && layer === fromLayer) return splitRoles.test(role);
  return EXPERTS.test(role) && (layer < firstLayers || (fromLayer !== null && layer >= fromLayer));
}

/** True for tensors that hold one matrix per expert. */
export const isExpertTensor = ({ role }: GgufTensor): boolean => EXPERTS.test(role);

function layerPlaces(shape: ModelShape, flags: MemoryFlags, gpus: MemoryBudget["gpus"]): (il: number) => Place {
  if (gpus.length === 0) return () => "host";
  const wanted = flags.nGpuLayers ?? shape.nLayerAll + 1;
  const first = Math.max(shape.nLayerAll + 1 - wanted, 0);
  const count = Math.min(wanted, shape.nLayerAll + 1);
  if (gpus.length === 1 || flags.splitMode === "none") {
    const only = gpus.length === 1 ? 0 : Math.min(flags.mainGpu, gpus.length - 1);
    return (il) => (il < first || il - first >= count ? "host" : only);
  }
  const shares = gpus.map(
    (gpu, index) => flags.tensorSplit?.[index] ?? (flags.tensorSplit === null ? gpu.totalMiB - (gpu.reservedMiB ?? 0) : 0),
  );
  const sum = shares.reduce((total, share) => total + share, 0);
  let running = 0;
  const ends = shares.map((share) => (running += share) / sum);
  return (il) => {
    if (il < first || il - first >= count) return "host";
    const index = ends.findIndex((end) => end > (il - first) / count);
    return index === -1 ? gpus.length - 1 : index;
  };
}
