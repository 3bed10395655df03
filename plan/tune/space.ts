import { readMemoryFlags } from "../memory/flags.ts";
import { readModelShape } from "../memory/model-shape.ts";
import { planBare, type MemoryInput } from "../memory/plan.ts";
import type { MemoryVerdict } from "../memory/types.ts";

/** Flags of a profile by name. */
export type Flags = Readonly<Record<string, string>>;

/** What is searched: values of each axis. Placement follows from the planner. */
export interface TuneAxes {
  readonly ubatch: readonly number[];
  readonly slots: readonly number[];
  readonly cacheTypes: readonly string[];
  /** Whether `--fit on` is tried beside placement by hand; the engine then decides. */
  readonly fit: boolean;
}

/** One configuration that may be tried, with what is planned for it. */
export interface Candidate {
  readonly set: Flags;
  readonly label: string;
  readonly ubatch: number;
  readonly slots: number;
  readonly cacheType: string;
  /** Layers whose experts are on the host, or of a dense model the layers on the GPU; null: `--fit` decides, or there is no GPU. */
  readonly placed: number | null;
  readonly verdict: MemoryVerdict;
  readonly gpuMiB: { readonly low: number; readonly expected: number; readonly high: number };
  /** Decode speed by the roofline, tok/s. */
  readonly plannedTokensPerSec: number;
}

/** The candidates that the planner lets through, the fastest by plan first, and how many it did not. */
export interface TuneSpace {
  readonly candidates: readonly Candidate[];
  /** Configurations that were planned. */
  readonly planned: number;
  /** Of each combination of the other axes, whether no placement at all fits. */
  readonly refused: readonly string[];
}

/** A context of that many tokens per slot or in all stays as the base profile has it: a smaller one would serve less, not faster. */
export function planSpace(input: MemoryInput, axes: TuneAxes): TuneSpace {
  const shape = readModelShape(input.header);
  const flags = readMemoryFlags(input.flags);
  if ("unknown" in shape) throw new RangeError(`tune: ${shape.unknown}`);
  if ("unknown" in flags) throw new RangeError(`tune: ${flags.unknown}`);
  const { nLayer, nExpert } = shape.shape;
  const placements = input.budget.gpus.length === 0 ? [cpuPlacement] : nExpert > 0 ? range(0, nLayer).map(moePlacement) : dense(nLayer + 1);
  const candidates: Candidate[] = [];
  const refused: string[] = [];
  let planned = 0;
  for (const ubatch of axes.ubatch)
    for (const slots of axes.slots)
      for (const cacheType of axes.cacheTypes) {
        const common = commonFlags({ ubatch, slots, cacheType }, flags.flags.batch);
        const judge = (placement: Placement): Candidate | null => {
          planned += 1;
          return candidateOf(input, { ubatch, slots, cacheType }, common, placement);
        };
        const byHand = firstThatFits(placements, judge);
        const byFit = axes.fit ? judge(fitPlacement) : null;
        const found = [byHand, byFit].filter((one) => one !== null && one.verdict !== "refused") as Candidate[];
        if (found.length === 0) refused.push(describeCommon({ ubatch, slots, cacheType }));
        candidates.push(...found);
      }
  return { candidates: candidates.sort(byPlan), planned, refused };
}

interface Placement {
  readonly set: Flags;
  readonly placed: number | null;
  readonly label: string;
}

const moePlacement = (layers: number): Placement => ({
  set: { LLAMA_ARG_N_GPU_LAYERS: "999", LLAMA_ARG_N_CPU_MOE: String(layers), LLAMA_ARG_FIT: "off" },
  placed: layers,
  label: `n-cpu-moe ${layers}`,
});
const densePlacement = (layers: number): Placement => ({
  set: { LLAMA_ARG_N_GPU_LAYERS: String(layers), LLAMA_ARG_FIT: "off" },
  placed: layers,
  label: `${layers} layers on the GPU`,
});
const dense = (most: number): Placement[] => range(0, most).reverse().map(densePlacement);
/** Where there is no GPU, nothing is placed. */
const cpuPlacement: Placement = { set: { LLAMA_ARG_N_GPU_LAYERS: "0", LLAMA_ARG_FIT: "off" }, placed: null, label: "on the CPU" };
/** Placement flags that `--fit` would be bound by; a profile that has it on does not name them. */
export const fitExcludes: readonly string[] = ["LLAMA_ARG_N_CPU_MOE"];
const fitPlacement: Placement = { set: { LLAMA_ARG_N_GPU_LAYERS: "auto", LLAMA_ARG_FIT: "on" }, placed: null, label: "--fit" };

type Common = Pick<Candidate, "ubatch" | "slots" | "cacheType">;

const commonFlags = ({ ubatch, slots, cacheType }: Common, batch: number): Flags => ({
  LLAMA_ARG_UBATCH: String(ubatch),
  LLAMA_ARG_BATCH: String(Math.max(batch, ubatch)),
  LLAMA_ARG_N_PARALLEL: String(slots),
  LLAMA_ARG_CACHE_TYPE_K: cacheType,
  LLAMA_ARG_CACHE_TYPE_V: cacheType,
});

const describeCommon = ({ ubatch, slots, cacheType }: Common): string =>
  `ubatch ${ubatch}, ${slots} slot${slots === 1 ? "" : "s"}, cache ${cacheType}`;

/** Flags of the base with a candidate's in their place. */
export function withSet(base: Flags, set: Flags): Record<string, string> {
  const flags: Record<string, string> = { ...base, ...set };
  if (set["LLAMA_ARG_FIT"] === "on") for (const name of fitExcludes) Reflect.deleteProperty(flags, name);
  return flags;
}

function candidateOf(input: MemoryInput, common: Common, set: Flags, placement: Placement): Candidate | null {
  const all = { ...set, ...placement.set };
  const plan = planBare({ ...input, flags: withSet(input.flags, all) });
  if (plan.kind === "unknown") return null;
  const gpus = plan.devices.filter(({ device }) => device !== "host");
  const sum = (pick: (device: (typeof gpus)[number]) => number): number => gpus.reduce((total, device) => total + pick(device), 0);
  return {
    ...common,
    set: all,
    label: `${placement.label}, ${describeCommon(common)}`,
    placed: placement.placed,
    verdict: plan.verdict,
    gpuMiB: { low: sum((one) => one.lowMiB), expected: sum((one) => one.expectedMiB), high: sum((one) => one.highMiB) },
    plannedTokensPerSec: plan.speed.tokensPerSec,
  };
}

/** The first placement, from the one that puts most on the GPU, that fits; memory falls with each, so it is found by halving. */
function firstThatFits(placements: readonly Placement[], judge: (placement: Placement) => Candidate | null): Candidate | null {
  let [from, to] = [0, placements.length - 1];
  let found: Candidate | null = null;
  while (from <= to) {
    const middle = Math.floor((from + to) / 2);
    const placement = placements[middle];
    const candidate = placement === undefined ? null : judge(placement);
    if (candidate?.verdict === "fits") {
      found = candidate;
      to = middle - 1;
    } else from = middle + 1;
  }
  return found;
}

/** Fastest by plan first; of equals the one with more slots, then the larger ubatch, which reads prompts faster. */
function byPlan(a: Candidate, b: Candidate): number {
  const bySpeed = b.plannedTokensPerSec - a.plannedTokensPerSec;
  return Math.abs(bySpeed) > 1e-9 ? bySpeed : b.slots - a.slots || b.ubatch - a.ubatch || (a.label < b.label ? -1 : 1);
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);
