import type { GgufHeader } from "../gguf/types.ts";
import { planContext } from "./cache.ts";
import type { MemoryFlags } from "./flags.ts";
import type { ModelShape } from "./model-shape.ts";
import { exactly, MIB, type MemoryPart } from "./types.ts";

/** The vision projector of a profile: its header, or only that there is one. */
export type Projector = { readonly header: GgufHeader } | { readonly unknownSize: string };

/**
 * Host memory beside the model: the prompt cache (grows up to its limit), context checkpoints (models with a recurrent state or a sliding
 * window, per slot), and the logits of each slot.
 * @see `--cache-ram`, `--ctx-checkpoints` and `output_reserve` of llama.cpp at 0c1e57098
 */
export function planHostExtras(shape: ModelShape, flags: MemoryFlags): MemoryPart[] {
  const outputs = (flags.nParallel * (1 + flags.specTokens) * shape.nVocab * 4) / MIB;
  const checkpoint = checkpointBytes(shape, flags) / MIB;
  const checkpoints = checkpoint * flags.ctxCheckpoints * flags.nParallel;
  const cache = flags.cacheRamMiB;
  return [
    { kind: "extras", label: "logits of the slots", source: "slots × vocabulary × 4 bytes", ...exactly(outputs) },
    ...(checkpoints > 0
      ? [upTo(checkpoints, "context checkpoints", `up to ${flags.ctxCheckpoints} per slot, ${checkpoint.toFixed(1)} MiB each`)]
      : []),
    ...(cache === 0
      ? []
      : [
          upTo(
            cache ?? 0,
            "prompt cache",
            cache === null ? "LLAMA_ARG_CACHE_RAM is -1: without limit, not counted" : "LLAMA_ARG_CACHE_RAM; filled as prompts come",
          ),
        ]),
  ];
}

/** What a vision projector adds where it runs: its file, and about 270 MiB to encode an image. @see measurement of build 11669 with a Qwen3.5 projector */
export function planProjector(projector: Projector): MemoryPart[] {
  if ("unknownSize" in projector) return [];
  const weights = projector.header.fileBytes / MIB;
  return [
    { kind: "weights", label: "vision projector", source: projector.header.source, ...exactly(weights) },
    { kind: "compute", label: "vision projector", source: "about 270 MiB for one image", lowMiB: 135, expectedMiB: 270, highMiB: 540 },
  ];
}

function checkpointBytes(shape: ModelShape, flags: MemoryFlags): number {
  const recurrent = shape.layers.filter(({ isRecurrent }) => isRecurrent).length * shape.recurrentBytes;
  if (shape.swaWindow === 0) return recurrent;
  const { swaCells } = planContext(shape, flags);
  const perToken = shape.layers
    .filter(({ isSwa }) => isSwa)
    .reduce((sum, layer) => sum + layer.kWidth * flags.cacheBytesK + layer.vWidth * flags.cacheBytesV, 0);
  return recurrent + Math.min(swaCells, shape.swaWindow + flags.ubatch) * perToken;
}

const upTo = (mib: number, label: string, source: string): MemoryPart => ({
  kind: "extras",
  label,
  source,
  lowMiB: 0,
  expectedMiB: 0,
  highMiB: mib,
});
