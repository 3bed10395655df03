/** Bytes in a MiB; every figure of the planner in MiB is a 2^20. */
export const MIB = 1024 * 1024;

/** What one part of the memory is. `context` is the GPU driver's own (CUDA context), outside llama.cpp's accounting. */
export type PartKind = "weights" | "kv" | "recurrentState" | "compute" | "context" | "extras";

/** A figure that is known only within bounds, MiB. `expectedMiB` is the best single guess; exact parts have three equal numbers. */
export interface MemoryRange {
  readonly lowMiB: number;
  readonly expectedMiB: number;
  readonly highMiB: number;
}

/** One part of a device's memory and where the figure comes from. */
export interface MemoryPart extends MemoryRange {
  readonly kind: PartKind;
  /** Which model or purpose, where a kind appears more than once: `draft model`, `prompt cache`. */
  readonly label: string;
  readonly source: string;
}

/** `fits`: the upper bound is within the budget; `tight`: only the upper bound is over it; `refused`: the lower bound is over it. */
export type MemoryVerdict = "fits" | "tight" | "refused";

/** What one device will hold. `budgetMiB` is null where none was given; the verdict is `fits` then. */
export interface DevicePlan extends MemoryRange {
  /** `gpu0`, `gpu1`, … or `host`. */
  readonly device: string;
  readonly budgetMiB: number | null;
  readonly verdict: MemoryVerdict;
  readonly parts: readonly MemoryPart[];
}

/** A change of flags under which the same plan fits, computed by planning again. */
export interface MemoryFix {
  /** Flags to set, by name. */
  readonly set: Readonly<Record<string, string>>;
  /** Verdict with those flags; `tight` only where nothing in reach fits. */
  readonly verdict: MemoryVerdict;
  readonly summary: string;
}

/** What `--fit on` will have chosen: layers on the GPU, and of those the ones whose experts stay on the host. */
export interface FitChoice {
  readonly ctxSize: number;
  readonly nGpuLayers: number;
  /** Layers whose expert tensors stay on the host, from this layer number to the last one; null if none do. */
  readonly cpuExpertsFrom: number | null;
  readonly changed: boolean;
}

/** Decode speed by the roofline; a ranking aid, not a promise. */
export interface SpeedPlan {
  readonly tokensPerSec: number;
  readonly cpuGBPerToken: number;
  readonly gpuGBPerToken: number;
  readonly source: string;
}

/** The answer for one configuration. `unknown`: this architecture or flag isn't modelled, and nothing is guessed. */
export type MemoryPlan =
  | {
      readonly kind: "planned";
      readonly verdict: MemoryVerdict;
      readonly devices: readonly DevicePlan[];
      readonly fit: FitChoice | null;
      readonly speed: SpeedPlan;
      readonly fix: MemoryFix | null;
      /** What the figures leave out or assume, for a person to read. */
      readonly notes: readonly string[];
    }
  | { readonly kind: "unknown"; readonly reason: string };

/** Memory of one GPU. `reservedMiB` is what other processes (a display, another server) hold of it. */
export interface GpuBudget {
  readonly totalMiB: number;
  /** @default 0 */
  readonly reservedMiB?: number;
}

/** What the models may use. No GPU: everything is on the host. `hostMiB` absent: the host isn't judged. */
export interface MemoryBudget {
  readonly gpus: readonly GpuBudget[];
  readonly hostMiB?: number;
}

/** Three equal bounds. */
export const exactly = (mib: number): MemoryRange => ({ lowMiB: mib, expectedMiB: mib, highMiB: mib });

/** Sum of ranges, bound by bound. */
export function sumRanges(ranges: readonly MemoryRange[]): MemoryRange {
  return ranges.reduce(
    (sum, range) => ({
      lowMiB: sum.lowMiB + range.lowMiB,
      expectedMiB: sum.expectedMiB + range.expectedMiB,
      highMiB: sum.highMiB + range.highMiB,
    }),
    exactly(0),
  );
}
