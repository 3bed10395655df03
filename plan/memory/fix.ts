import { readMemoryFlags } from "./flags.ts";
import { readModelShape } from "./model-shape.ts";
import { type BarePlan, type MemoryInput, planBare } from "./plan.ts";
import type { MemoryFix, MemoryPlan, MemoryVerdict } from "./types.ts";

type Change = Readonly<Record<string, string>>;

const LEAST_UBATCH = 128;
const LEAST_CONTEXT = 4096;

/** The plan of one configuration, with the cheapest change that makes it fit where it doesn't. */
export function planMemory(input: MemoryInput): MemoryPlan {
  const plan = planBare(input);
  if (plan.kind === "unknown") return plan;
  return { ...plan, fix: plan.verdict === "fits" ? null : planFix(input, plan.verdict) };
}

/**
 * The first change that makes the plan fit: a smaller ubatch, fewer slots, a shorter context, more experts (or, without experts, layers) on the
 * host; then a ubatch of 512 together with each of the latter. Of each kind the smallest step that works. Every candidate is planned anew. Where
 * nothing fits, the first that is at least no longer refused; null if there is none.
 */
export function planFix(input: MemoryInput, verdict: MemoryVerdict): MemoryFix | null {
  const series = changeSeries(input);
  const combined = series.slice(1).map((changes) => changes.map((change) => ({ LLAMA_ARG_UBATCH: "512", ...change })));
  for (const wanted of verdict === "refused" ? (["fits", "tight"] as const) : (["fits"] as const)) {
    for (const changes of [...series, ...combined]) {
      const change = changes.find((candidate) => isGoodEnough(planBare({ ...input, flags: { ...input.flags, ...candidate } }), wanted));
      if (change !== undefined) return describeChange(input.flags, change, wanted);
    }
  }
  return null;
}

function isGoodEnough(plan: BarePlan, wanted: MemoryVerdict): boolean {
  return plan.kind === "planned" && (plan.verdict === wanted || plan.verdict === "fits");
}

/** Changes by kind, each from the smallest step on. */
function changeSeries(input: MemoryInput): Change[][] {
  const reading = readMemoryFlags(input.flags);
  const shape = readModelShape(input.header);
  if ("unknown" in reading || "unknown" in shape) return [];
  const { flags } = reading;
  const { nLayer, nExpert, ctxTrain } = shape.shape;
  const halves = (from: number, least: number): number[] => {
    const steps: number[] = [];
    for (let value = Math.floor(from / 2); value >= least; value = Math.floor(value / 2)) steps.push(value);
    return steps;
  };
  const countDown = (from: number): number[] => Array.from({ length: Math.max(0, from) }, (_, index) => from - index);
  const isFree = flags.fit && flags.nGpuLayers === null && flags.nCpuMoe === null;
  const layersNow = Math.min(flags.nGpuLayers ?? nLayer + 1, nLayer + 1);
  const expertsNow = Math.min(flags.nCpuMoe ?? 0, nLayer);
  const placement =
    nExpert > 0
      ? countDown(nLayer - expertsNow)
          .reverse()
          .map((more) => ({ LLAMA_ARG_N_CPU_MOE: String(expertsNow + more) }))
      : countDown(layersNow).map((layers) => ({ LLAMA_ARG_N_GPU_LAYERS: String(layers - 1) }));
  return [
    halves(flags.ubatch, LEAST_UBATCH).map((ubatch) => ({ LLAMA_ARG_UBATCH: String(ubatch) })),
    countDown(flags.nParallel - 1).map((slots) => ({
      LLAMA_ARG_N_PARALLEL: String(slots),
      LLAMA_ARG_KV_UNIFIED: flags.kvUnified ? "on" : "off",
    })),
    halves(flags.ctxSize === 0 ? ctxTrain : flags.ctxSize, LEAST_CONTEXT).map((ctx) => ({ LLAMA_ARG_CTX_SIZE: String(ctx) })),
    isFree ? [] : placement,
  ];
}

function describeChange(before: Readonly<Record<string, string>>, set: Change, verdict: MemoryVerdict): MemoryFix {
  const steps = Object.entries(set)
    .filter(([name, value]) => before[name] !== value)
    .map(([name, value]) => `${name}=${value} (now ${before[name] ?? "default"})`);
  return { set, verdict, summary: `${steps.join(" and ")}: ${verdict}` };
}
