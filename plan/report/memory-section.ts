import type { EngineOpinion, PlanRow } from "../memory/table.ts";
import type { DevicePlan } from "../memory/types.ts";
import { cell, mib, none, type Cell, type Section } from "./document.ts";
import type { MemoryChart } from "./chart.ts";

/** Path in the project of a profile. */
const profilePath = (profile: string): string => `configs/llama-cpp-${profile}.env`;

const gpuOf = ({ plan }: PlanRow): DevicePlan | undefined =>
  plan.kind === "planned" ? plan.devices.find(({ device }) => device !== "host") : undefined;
const gpuEngine = (engine: EngineOpinion): number | null => ("notAsked" in engine ? null : engine.gpuMiB);

/** VRAM of every profile: planned, the engine's own answer, measured. */
export function memorySection(rows: readonly PlanRow[], vramMiB: number): Section {
  const onGpu = rows.filter((row) => gpuOf(row) !== undefined);
  const fitting = onGpu.filter(({ plan }) => plan.kind === "planned" && plan.verdict === "fits").length;
  return {
    id: "memory",
    title: "Memory",
    paragraphs: [
      `Planned from the model's header and the flags, for a card of ${mib(vramMiB)} MiB and the build that the profile names; the bar spans lower and upper bound, its line is the expected figure. Measured figures may be of an older build, whose compute buffers differ: the column “planned then” is the same plan for that build.`,
    ],
    figures:
      onGpu.length === 0
        ? []
        : [
            {
              id: "memory-vram",
              title: "VRAM: planned, engine, measured",
              summary: `${fitting} of ${onGpu.length} profiles are planned to fit into ${mib(vramMiB)} MiB.`,
              chart: memoryChart(onGpu, vramMiB),
            },
          ],
    tables: [
      {
        caption: "Memory by profile, MiB",
        columns: [
          { label: "profile" },
          { label: "VRAM planned", isNumber: true },
          { label: "planned then", isNumber: true },
          { label: "engine", isNumber: true },
          { label: "measured", isNumber: true },
          { label: "RAM planned", isNumber: true },
          { label: "verdict" },
          { label: "cheapest fix" },
        ],
        rows: rows.map(memoryRow),
      },
    ],
  };
}

function memoryChart(rows: readonly PlanRow[], budget: number): MemoryChart {
  return {
    kind: "memory",
    axis: "VRAM, MiB",
    budget,
    rows: rows.flatMap((row) => {
      const gpu = gpuOf(row);
      if (gpu === undefined) return [];
      const { lowMiB, expectedMiB, highMiB } = gpu;
      return [
        {
          name: row.profile,
          low: lowMiB,
          expected: expectedMiB,
          high: highMiB,
          then: row.then?.verdict === "refused" ? null : (row.then?.expectedMiB ?? null),
          engine: gpuEngine(row.engine),
          measured: row.measured?.memoryMiB ?? null,
        },
      ];
    }),
  };
}

const range = ({ lowMiB, highMiB }: DevicePlan): string =>
  mib(lowMiB) === mib(highMiB) ? mib(lowMiB) : `${mib(lowMiB)} to ${mib(highMiB)}`;

function memoryRow(row: PlanRow): Cell[] {
  const { profile, plan, engine, measured, failure, then } = row;
  const planned = plan.kind === "planned" ? plan : null;
  const host = planned?.devices.find(({ device }) => device === "host");
  const gpu = gpuOf(row);
  const href = profilePath(profile);
  const verdict = planned?.verdict ?? "unknown";
  return [
    cell(profile, { href }),
    gpu === undefined ? none() : cell(range(gpu), { href }),
    then === null
      ? none()
      : cell(`${mib(then.expectedMiB)} ${then.verdict}`, { href, ...(then.verdict === "refused" ? { tone: "bad" as const } : {}) }),
    "notAsked" in engine ? none() : cell(`${mib(engine.gpuMiB ?? 0)} + ${mib(engine.hostMiB)} host`, { href }),
    measured === null
      ? failure === null
        ? none()
        : cell(failure, { tone: "bad" })
      : cell(mib(measured.memoryMiB), { href: measured.source }),
    host === undefined ? none() : cell(range(host), { href }),
    cell(verdict, { tone: verdict === "fits" ? "good" : verdict === "tight" || verdict === "unknown" ? "warn" : "bad" }),
    planned?.fix ? cell(planned.fix.summary) : none(),
  ];
}
