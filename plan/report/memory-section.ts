import type { EngineOpinion, MeasuredMemory, PlanRow } from "../memory/table.ts";
import type { DevicePlan } from "../memory/types.ts";
import { cell, mib, none, type Cell, type Section } from "./document.ts";
import type { MemoryChart } from "./chart.ts";
import { foreignSign, handOverSource } from "./statement.ts";

/** Path in the project of a profile. */
const profilePath = (profile: string): string => `configs/llama-cpp-${profile}.env`;

const gpuOf = ({ plan }: PlanRow): DevicePlan | undefined =>
  plan.kind === "planned" ? plan.devices.find(({ device }) => device !== "host") : undefined;
const gpuEngine = (engine: EngineOpinion): number | null => ("notAsked" in engine ? null : engine.gpuMiB);

/** VRAM of every profile: planned, the engine's own answer, measured. */
export function memorySection(rows: readonly PlanRow[], vramMiB: number): Section {
  const onGpu = rows.filter((row) => gpuOf(row) !== undefined);
  const fitting = onGpu.filter(({ plan }) => plan.kind === "planned" && plan.verdict === "fits").length;
  const hasEngine = rows.some(({ engine }) => !("notAsked" in engine));
  return {
    id: "memory",
    title: "Memory",
    paragraphs: [
      `Planned from the model's header and the flags, for a card of ${mib(vramMiB)} MiB and the build that the profile names; the bar spans lower and upper bound, its line is the expected figure. Measured VRAM is what nvidia-smi says is in use on the GPU, by whatever uses it; measured RAM, of a profile without a GPU, is its container's, page cache included. Measured figures may be of an older build, whose compute buffers differ: the column “planned then” is the same plan for that build.`,
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
        caption: `Memory by profile, MiB${foreignCaption(rows)}`,
        columns: [
          { label: "profile" },
          { label: "VRAM planned", isNumber: true },
          { label: "planned then", isNumber: true },
          ...(hasEngine ? [{ label: "engine", isNumber: true }] : []),
          { label: "VRAM measured", isNumber: true },
          { label: "RAM planned", isNumber: true },
          { label: "RAM measured", isNumber: true },
          { label: "verdict" },
          { label: "cheapest fix" },
        ],
        rows: rows.map((row) => memoryRow(row, hasEngine)),
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
          measured: row.measured?.of === "vram" ? { value: row.measured.memoryMiB, isMarked: isOfOther(row.measured) } : null,
        },
      ];
    }),
  };
}

const isOfOther = ({ statedBy }: MeasuredMemory): boolean => statedBy !== null && statedBy !== handOverSource;

const range = ({ lowMiB, highMiB }: DevicePlan): string =>
  mib(lowMiB) === mib(highMiB) ? mib(lowMiB) : `${mib(lowMiB)} to ${mib(highMiB)}`;

/** Whose the marked figures are; empty where there are none. */
function foreignCaption(rows: readonly PlanRow[]): string {
  const sources = rows.flatMap(({ measured }) => (measured !== null && isOfOther(measured) ? [measured.statedBy] : []));
  return sources.length === 0 ? "" : ` (${foreignSign} from the ${[...new Set(sources)].join(", ")}, not the hand-over)`;
}

function memoryRow(row: PlanRow, hasEngine: boolean): Cell[] {
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
    ...(hasEngine ? [engineCell(engine, href)] : []),
    measured === null && failure !== null ? cell(failure, { tone: "bad" }) : measuredCell(measured, "vram"),
    host === undefined ? none() : cell(range(host), { href }),
    measuredCell(measured, "container"),
    cell(verdict, { tone: verdict === "fits" ? "good" : verdict === "tight" || verdict === "unknown" ? "warn" : "bad" }),
    planned?.fix ? cell(planned.fix.summary) : none(),
  ];
}

const engineCell = (engine: EngineOpinion, href: string): Cell =>
  "notAsked" in engine ? none() : cell(`${mib(engine.gpuMiB ?? 0)} + ${mib(engine.hostMiB)} host`, { href });

function measuredCell(measured: MeasuredMemory | null, of: MeasuredMemory["of"]): Cell {
  if (measured?.of !== of) return none();
  return cell(`${mib(measured.memoryMiB)}${isOfOther(measured) ? ` ${foreignSign}` : ""}`, { href: measured.source });
}
