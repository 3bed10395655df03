import { type ComputeTable, findComputeTable } from "./compute-table.ts";
import { planMemory } from "./fix.ts";
import type { MemoryInput } from "./plan.ts";
import type { DevicePlan, MemoryPlan, MemoryRange, MemoryVerdict } from "./types.ts";

/** What a preview plans: the profile's flags and files, the host's memory, and which build runs on which backend. */
export interface PreviewInput extends Omit<MemoryInput, "table"> {
  /** Build number (`b8149`) or commit of the image. */
  readonly build: string;
  readonly backend: ComputeTable["backend"];
  readonly tables: readonly ComputeTable[];
}

/** The plan of one release with lines for a person. `unknown` neither stops nor passes by itself: it is said. */
export interface PreviewPlan {
  readonly verdict: MemoryVerdict | "unknown";
  readonly lines: readonly string[];
  readonly plan: MemoryPlan;
}

/** Memory of a release before anything starts, with the table of its build. A `refused` one is to be stopped unless the stack says otherwise, `tight` warned of. */
export function planForPreview({ build, backend, tables, ...input }: PreviewInput): PreviewPlan {
  const table = findComputeTable(tables, build, backend) ?? null;
  const plan = planMemory({ ...input, table });
  if (plan.kind === "unknown") return { verdict: "unknown", plan, lines: [`memory: not planned: ${plan.reason}`] };
  return { verdict: plan.verdict, plan, lines: describePlan(plan) };
}

/** A plan as lines: one per device with its parts, then the verdict, the fix and what is left open. */
export function describePlan(plan: Extract<MemoryPlan, { kind: "planned" }>): string[] {
  const fit = plan.fit?.changed === true ? [`memory: --fit on will choose ${describeFit(plan.fit)}`] : [];
  const verdict = {
    fits: "memory: fits",
    tight: "memory: tight: the upper bound is over the budget, it may run out on the first long prompt",
    refused: "memory: refused: even the lower bound is over the budget",
  }[plan.verdict];
  return [
    ...plan.devices.flatMap(describeDevice),
    ...fit,
    plan.fix === null ? verdict : `${verdict}; cheapest change: ${plan.fix.summary}`,
    `memory: planned decode speed ${plan.speed.tokensPerSec.toFixed(0)} tok/s (${plan.speed.source})`,
    ...plan.notes.map((note) => `memory: ${note}`),
  ];
}

function describeDevice({ device, budgetMiB, verdict, parts, ...range }: DevicePlan): string[] {
  const budget = budgetMiB === null ? "" : ` of ${budgetMiB} MiB`;
  return [
    `memory: ${device} ${formatRange(range)} MiB${budget}: ${verdict}`,
    ...parts
      .filter(({ highMiB }) => highMiB >= 0.5)
      .map(
        ({ kind, label, source, ...bounds }) =>
          `memory:   ${kind}${label === "" ? "" : ` (${label})`} ${formatRange(bounds)} MiB: ${source}`,
      ),
  ];
}

function describeFit({ ctxSize, nGpuLayers, cpuExpertsFrom }: NonNullable<Extract<MemoryPlan, { kind: "planned" }>["fit"]>): string {
  const experts = cpuExpertsFrom === null ? "" : `, experts on the host from layer ${cpuExpertsFrom} on`;
  return `context ${ctxSize}, ${nGpuLayers} layers on the GPU${experts}`;
}

/** `low to high`, or one number where both round to it. */
export function formatRange({ lowMiB, highMiB }: Pick<MemoryRange, "lowMiB" | "highMiB">): string {
  const [low, high] = [Math.round(lowMiB), Math.round(highMiB)];
  return low === high ? `${low}` : `${low} to ${high}`;
}
