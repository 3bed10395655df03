import type { GgufHeader } from "../gguf/types.ts";
import type { ComputeTable } from "./compute-table.ts";
import { type LoadedModel, type ModelParts, planModelParts } from "./devices.ts";
import { planHostExtras, planProjector, type Projector } from "./extras.ts";
import { type FitCandidate, fitIsBound, planFit } from "./fit.ts";
import { draftModelFlags, type MemoryFlags, readMemoryFlags } from "./flags.ts";
import { readModelShape } from "./model-shape.ts";
import type { ExpertRule, Place } from "./placement.ts";
import { planSpeed, SEED_HOST_SPEED, type SpeedModel } from "./speed.ts";
import {
  type DevicePlan,
  exactly,
  type FitChoice,
  type MemoryBudget,
  type MemoryPart,
  type MemoryPlan,
  type MemoryRange,
  type MemoryVerdict,
  sumRanges,
} from "./types.ts";

/** What is planned. `table` is null where the build and backend have none: the interval is wide then. */
export interface MemoryInput {
  readonly header: GgufHeader;
  /** `LLAMA_ARG_*` as the server reads them; what is absent has llama-server's default. */
  readonly flags: Readonly<Record<string, string>>;
  readonly budget: MemoryBudget;
  readonly table: ComputeTable | null;
  /** Draft model of speculative decoding. */
  readonly draft?: GgufHeader;
  readonly projector?: Projector;
  /** @default {@link SEED_HOST_SPEED} */
  readonly speed?: SpeedModel;
}

type Planned = Extract<MemoryPlan, { kind: "planned" }>;
/** A plan before the search for a fix, which plans many times. */
export type BarePlan = Omit<Planned, "fix"> | Extract<MemoryPlan, { kind: "unknown" }>;

/**
 * Memory of one configuration per device, without a look at any file or device. Exact: weights, KV cache, recurrent state. Bounded: compute
 * (by the build's table), the driver's context, extras that grow. `unknown` where architecture or flags aren't modelled.
 */
export function planBare(input: MemoryInput): BarePlan {
  const main = loadModel(input.header, input.flags, "");
  if ("unknown" in main) return { kind: "unknown", reason: main.unknown };
  const draft = input.draft === undefined ? null : loadModel(input.draft, draftModelFlags(input.flags), "draft model");
  if (draft !== null && "unknown" in draft) return { kind: "unknown", reason: `draft model: ${draft.unknown}` };
  const fit = chooseFit(main, draft, input);
  if (fit !== null && "unknown" in fit) return { kind: "unknown", reason: fit.unknown };
  const layouts = fit === null ? { expected: layOut(main, draft, input, null) } : fit.layouts;
  const devices = judge(layouts, main, input, fit?.isLimited ?? false);
  return {
    kind: "planned",
    verdict: worst(
      devices.map(({ verdict }) => verdict),
      input,
    ),
    devices,
    fit: fit === null ? null : describeFit(fit.expected, fit.isLimited),
    speed: planSpeed(input.header, main.shape, layouts.expected.placement, input.speed ?? SEED_HOST_SPEED),
    notes: describeLimits(main, input),
  };
}

function loadModel(header: GgufHeader, env: Readonly<Record<string, string>>, label: string): LoadedModel | { unknown: string } {
  const shape = readModelShape(header);
  if ("unknown" in shape) return shape;
  const flags = readMemoryFlags(env);
  return "unknown" in flags ? flags : { header, shape: shape.shape, flags: flags.flags, label };
}

const byFlags = ({ nCpuMoe }: MemoryFlags): ExpertRule => ({ firstLayers: nCpuMoe ?? 0, fromLayer: null, splitRoles: null });

/** Everything on every device under one placement. */
function layOut(
  main: LoadedModel,
  draft: LoadedModel | null,
  { budget, table, projector }: MemoryInput,
  choice: FitCandidate | null,
): ModelParts {
  const flags = choice === null ? main.flags : { ...main.flags, ctxSize: choice.ctxSize, nGpuLayers: choice.nGpuLayers };
  const own = planModelParts({ ...main, flags }, budget.gpus, choice?.experts ?? byFlags(flags), table);
  const parts = new Map<Place, MemoryPart[]>([...own.parts].map(([place, list]) => [place, [...list]]));
  const add = (place: Place, more: readonly MemoryPart[]): void => void parts.get(place)?.push(...more);
  if (draft !== null) {
    const draftFlags = { ...draft.flags, ctxSize: flags.ctxSize };
    for (const [place, list] of planModelParts({ ...draft, flags: draftFlags }, budget.gpus, byFlags(draftFlags), table).parts)
      add(place, list);
  }
  if (projector !== undefined) add(main.flags.mmprojOffload && budget.gpus.length > 0 ? 0 : "host", planProjector(projector));
  if (table !== null) {
    const { source, ...range } = table.context;
    budget.gpus.forEach((_, index) => add(index, [{ kind: "context", label: "", source, ...range }]));
  }
  add("host", planHostExtras(main.shape, flags));
  return { parts, placement: own.placement };
}

interface Layouts {
  readonly expected: ModelParts;
  readonly low?: ModelParts;
  readonly high?: ModelParts;
}

interface FitResult {
  readonly expected: FitCandidate;
  /** True if the engine had to change something, so that it ends at its own target. */
  readonly isLimited: boolean;
  readonly layouts: Layouts;
}

/** Where `--fit` decides, what it decides for the least, the likely and the most free memory; null where it doesn't. */
function chooseFit(main: LoadedModel, draft: LoadedModel | null, input: MemoryInput): FitResult | { unknown: string } | null {
  const [gpu, second] = input.budget.gpus;
  if (gpu === undefined || fitIsBound(main.flags) !== null) return null;
  const unseen = input.table === null ? exactly(0) : sumRanges([input.table.context, input.table.fitReserve]);
  const choose = (unseenMiB: number, bound: keyof MemoryRange): { candidate: FitCandidate; layout: ModelParts } => {
    const target = gpu.totalMiB - (gpu.reservedMiB ?? 0) - unseenMiB - main.flags.fitTargetMiB;
    const measure = (candidate: FitCandidate): number =>
      (layOut(main, draft, input, candidate).parts.get(0) ?? [])
        .filter(({ kind }) => kind !== "context")
        .reduce((sum, part) => sum + part[bound], 0);
    const candidate = planFit(main.shape, main.flags, target, measure);
    return { candidate, layout: layOut(main, draft, input, candidate) };
  };
  const expected = choose(unseen.expectedMiB, "expectedMiB");
  const low = choose(unseen.highMiB, "highMiB");
  const isLimited =
    low.candidate.nGpuLayers <= main.shape.nLayer ||
    low.candidate.experts.fromLayer !== null ||
    low.candidate.ctxSize < expected.candidate.ctxSize;
  if (isLimited && second !== undefined)
    return {
      unknown: "--fit would have to spread this model over several GPUs, which this planner does not model; set the placement by hand",
    };
  const high = choose(unseen.lowMiB, "lowMiB");
  return { expected: expected.candidate, isLimited, layouts: { expected: expected.layout, low: low.layout, high: high.layout } };
}

/** Device plans: the expected layout's parts, with bounds from the layouts for less and more free memory. */
function judge({ expected, low, high }: Layouts, main: LoadedModel, { budget, table }: MemoryInput, isLimited: boolean): DevicePlan[] {
  return [...budget.gpus.map((_, index): Place => index), "host" as const].map((place) => {
    const parts = (expected.parts.get(place) ?? []).map((part, index): MemoryPart => {
      const others = [low, high].flatMap((layout) => layout?.parts.get(place)?.[index] ?? []);
      const all = [part, ...others.filter(({ kind }) => kind === part.kind)];
      return { ...part, lowMiB: Math.min(...all.map(({ lowMiB }) => lowMiB)), highMiB: Math.max(...all.map(({ highMiB }) => highMiB)) };
    });
    const gpu = place === "host" ? undefined : budget.gpus[place];
    const budgetMiB = gpu === undefined ? (budget.hostMiB ?? null) : gpu.totalMiB - (gpu.reservedMiB ?? 0);
    let range = sumRanges(parts);
    if (gpu !== undefined && isLimited && budgetMiB !== null) {
      // the engine stops at its own target; only what it doesn't count (the driver's growth) can come on top
      const growth = table === null ? 0 : table.context.highMiB - table.context.lowMiB;
      const targetMiB = budgetMiB - main.flags.fitTargetMiB + growth;
      // a card on which not even the least meets the target takes that least
      const highMiB = Math.max(range.lowMiB, Math.min(range.highMiB, targetMiB));
      range = { lowMiB: range.lowMiB, expectedMiB: Math.min(range.expectedMiB, highMiB), highMiB };
    }
    return { device: place === "host" ? "host" : `gpu${place}`, budgetMiB, verdict: verdictOf(range, budgetMiB), parts, ...range };
  });
}

function verdictOf(range: MemoryRange, budgetMiB: number | null): MemoryVerdict {
  if (budgetMiB === null || range.highMiB <= budgetMiB) return "fits";
  return range.lowMiB > budgetMiB ? "refused" : "tight";
}

function worst(verdicts: readonly MemoryVerdict[], { projector }: MemoryInput): MemoryVerdict {
  if (verdicts.includes("refused")) return "refused";
  const isOpen = projector !== undefined && "unknownSize" in projector;
  return isOpen || verdicts.includes("tight") ? "tight" : "fits";
}

function describeFit({ ctxSize, nGpuLayers, experts }: FitCandidate, changed: boolean): FitChoice {
  return { ctxSize, nGpuLayers, cpuExpertsFrom: experts.fromLayer, changed };
}

function describeLimits(main: LoadedModel, { table, projector }: MemoryInput): string[] {
  return [
    ...(table === null
      ? [
          "no compute table for this build and backend: compute is bounded, the driver's context is not counted; fill one with npm run plan -- --calibrate",
        ]
      : []),
    ...(projector !== undefined && "unknownSize" in projector ? [`vision projector: ${projector.unknownSize}; it comes on top`] : []),
    ...(main.flags.cacheRamMiB === null ? ["the prompt cache has no limit (LLAMA_ARG_CACHE_RAM=-1) and is not counted"] : []),
    ...(main.shape.nLayerAll > main.shape.nLayer && !main.flags.mtp
      ? ["the file has layers for further tokens (MTP); they aren't loaded without LLAMA_ARG_SPEC_TYPE=draft-mtp"]
      : []),
    ...(main.flags.mtp && main.shape.nLayerAll === main.shape.nLayer
      ? ["LLAMA_ARG_SPEC_TYPE asks for MTP, but the file has no layers for it; the server will refuse to start"]
      : []),
  ];
}
