import type { ProfileChange } from "../bench/variants.ts";
import { fitOptions, placedByHand } from "../config/profile-rules.ts";
import { readMemoryFlags } from "../memory/flags.ts";
import { readModelShape } from "../memory/model-shape.ts";
import { planBare, type MemoryInput } from "../memory/plan.ts";
import type { MemoryVerdict } from "../memory/types.ts";
import { hashOf } from "../release.ts";

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

/** What every candidate starts from. */
export interface TuneStart {
  /** What the base profile takes to run on the image that is tuned for; nothing on its own. */
  readonly change: ProfileChange;
  /** Whether the image's build has `--fit`. */
  readonly knowsFit: boolean;
}

/** One configuration that may be tried, as a change of the base profile, with what is planned for it. */
export interface Candidate extends ProfileChange {
  readonly label: string;
  readonly ubatch: number;
  readonly slots: number;
  readonly cacheType: string;
  /** Layers whose experts are on the host, or of a dense model the layers on the GPU; null: `--fit` or the base profile decides, or there is no GPU. */
  readonly placed: number | null;
  readonly verdict: MemoryVerdict;
  readonly gpuMiB: { readonly low: number; readonly expected: number; readonly high: number };
  /** Decode speed by the roofline, tok/s. */
  readonly plannedTokensPerSec: number;
}

/** The candidates that the planner lets through, the fastest by plan first, and how many it did not. */
export interface TuneSpace {
  /** The base profile as it is; null where the planner refuses it. */
  readonly base: Candidate | null;
  /** Without the base. */
  readonly candidates: readonly Candidate[];
  /** Configurations that were planned. */
  readonly planned: number;
  /** Of each combination of the other axes, whether no placement at all fits. */
  readonly refused: readonly string[];
}

/**
 * Candidates around a base profile, whose flags `input` holds. Its context stays: a smaller one would serve less, not faster.
 * @throws {RangeError} if the model's architecture or the base's flags are not modelled
 */
export function planSpace(input: MemoryInput, axes: TuneAxes, start: TuneStart): TuneSpace {
  const shape = readModelShape(input.header);
  const flags = readMemoryFlags(input.flags);
  if ("unknown" in shape) throw new RangeError(`tune: ${shape.unknown}`);
  if ("unknown" in flags) throw new RangeError(`tune: ${flags.unknown}`);
  const { nLayer, nExpert } = shape.shape;
  const placements = input.budget.gpus.length === 0 ? [cpuPlacement] : nExpert > 0 ? range(0, nLayer).map(moePlacement) : dense(nLayer + 1);
  const base = baseCandidate(input, start);
  const isBase = ({ set, drop }: Candidate): boolean =>
    base !== null && hashOf(changed(input.flags, { set, drop })) === hashOf(changed(input.flags, base));
  const candidates: Candidate[] = [];
  const refused: string[] = [];
  let planned = 0;
  for (const ubatch of axes.ubatch)
    for (const slots of axes.slots)
      for (const cacheType of axes.cacheTypes) {
        const common = commonFlags({ ubatch, slots, cacheType }, flags.flags.batch);
        const judge = (placement: Placement): Candidate | null => {
          planned += 1;
          return candidateOf(
            input,
            { ubatch, slots, cacheType },
            { set: { ...start.change.set, ...common }, drop: start.change.drop },
            forBuild(placement, start.knowsFit),
          );
        };
        const byHand = firstThatFits(placements, judge);
        const byFit = axes.fit && start.knowsFit ? judge(fitPlacement) : null;
        const found = [byHand, byFit].filter((one) => one !== null && one.verdict !== "refused") as Candidate[];
        if (found.length === 0) refused.push(describeCommon({ ubatch, slots, cacheType }));
        candidates.push(...found.filter((one) => !isBase(one)));
      }
  return { base, candidates: inOrder(candidates, base?.cacheType), planned, refused };
}

/** The base profile as a candidate, so that the search says what its proposal gains. */
function baseCandidate(input: MemoryInput, { change }: TuneStart): Candidate | null {
  const { LLAMA_ARG_UBATCH: ubatch, LLAMA_ARG_N_PARALLEL: slots, LLAMA_ARG_CACHE_TYPE_K: cacheType = "" } = input.flags;
  const placement = { set: {}, drop: [], placed: null, label: "the base profile" };
  const base = candidateOf(input, { ubatch: Number(ubatch), slots: Number(slots), cacheType }, change, placement);
  return base === null || base.verdict === "refused" ? null : base;
}

interface Placement extends ProfileChange {
  readonly placed: number | null;
  readonly label: string;
}

/** A placement for a build: one without `--fit` can't be told to leave it off. */
const forBuild = (placement: Placement, knowsFit: boolean): Placement =>
  knowsFit ? placement : { ...placement, set: without(placement.set, "LLAMA_ARG_FIT"), drop: [...placement.drop, "LLAMA_ARG_FIT"] };

const moePlacement = (layers: number): Placement => ({
  set: { LLAMA_ARG_N_GPU_LAYERS: "999", LLAMA_ARG_N_CPU_MOE: String(layers), LLAMA_ARG_FIT: "off" },
  drop: [...fitOptions, "LLAMA_ARG_CPU_MOE"],
  placed: layers,
  label: `n-cpu-moe ${layers}`,
});
const densePlacement = (layers: number): Placement => ({
  set: { LLAMA_ARG_N_GPU_LAYERS: String(layers), LLAMA_ARG_FIT: "off" },
  drop: fitOptions,
  placed: layers,
  label: `${layers} layers on the GPU`,
});
const dense = (most: number): Placement[] => range(0, most).reverse().map(densePlacement);
/** Where there is no GPU, nothing is placed. */
const cpuPlacement: Placement = {
  set: { LLAMA_ARG_N_GPU_LAYERS: "0", LLAMA_ARG_FIT: "off" },
  drop: fitOptions,
  placed: null,
  label: "on the CPU",
};
const fitPlacement: Placement = {
  set: { LLAMA_ARG_N_GPU_LAYERS: "auto", LLAMA_ARG_FIT: "on" },
  drop: placedByHand,
  placed: null,
  label: "--fit",
};

/** A candidate with one layer less on the GPU, for one that ran out of memory; null where none is left there, or the placement is not the search's own. */
export function retreatOf(input: MemoryInput, { ubatch, slots, cacheType, set, drop, placed }: Candidate): Candidate | null {
  const shape = readModelShape(input.header);
  if ("unknown" in shape || placed === null) return null;
  const { nLayer, nExpert } = shape.shape;
  if (nExpert > 0 ? placed >= nLayer : placed <= 0) return null;
  const next = nExpert > 0 ? moePlacement(placed + 1) : densePlacement(placed - 1);
  return candidateOf(input, { ubatch, slots, cacheType }, { set, drop }, forBuild(next, set["LLAMA_ARG_FIT"] !== undefined));
}

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

/** Flags after a change. */
export const changed = (flags: Flags, { set, drop }: ProfileChange): Flags => ({ ...without(flags, ...drop), ...set });

const without = (flags: Flags, ...keys: readonly string[]): Flags =>
  Object.fromEntries(Object.entries(flags).filter(([key]) => !keys.includes(key)));

function candidateOf(input: MemoryInput, common: Common, change: ProfileChange, placement: Placement): Candidate | null {
  const set = { ...without(change.set, ...placement.drop), ...placement.set };
  const own = placement.drop.filter((key) => input.flags[key] !== undefined);
  const drop = [...new Set([...change.drop, ...own])].filter((key) => set[key] === undefined);
  const plan = planBare({ ...input, flags: changed(input.flags, { set, drop }) });
  if (plan.kind === "unknown") return null;
  const gpus = plan.devices.filter(({ device }) => device !== "host");
  const sum = (pick: (device: (typeof gpus)[number]) => number): number => gpus.reduce((total, device) => total + pick(device), 0);
  return {
    ...common,
    set,
    drop,
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

/**
 * Fastest by plan first; of equals the one with more slots, then the larger ubatch, which reads prompts faster, then the one whose cache is of the base's
 * type.
 */
export function inOrder(candidates: readonly Candidate[], baseType: string | undefined): Candidate[] {
  const isOther = ({ cacheType }: Candidate): number => (cacheType === baseType ? 0 : 1);
  return [...candidates].sort((a, b) => {
    const bySpeed = b.plannedTokensPerSec - a.plannedTokensPerSec;
    if (Math.abs(bySpeed) > 1e-9) return bySpeed;
    return b.slots - a.slots || b.ubatch - a.ubatch || isOther(a) - isOther(b) || (a.label < b.label ? -1 : 1);
  });
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);
