import { formatRange } from "./preview.ts";
import type { DevicePlan, MemoryPlan, MemoryVerdict } from "./types.ts";

/** What the engine of the profile's image says, MiB without the driver's context; or why it wasn't asked. */
export type EngineOpinion = { readonly gpuMiB: number | null; readonly hostMiB: number } | { readonly notAsked: string };

/** Memory in use that was measured. */
export interface MeasuredMemory {
  readonly memoryMiB: number;
  /** VRAM of a profile with a GPU, never anything else; of a CPU profile the container's memory, page cache included. */
  readonly of: "vram" | "container";
  /** Path in the project of the file that says so. */
  readonly source: string;
  /** Who states it, a key of the expectations' sources; null where a result file holds it. */
  readonly statedBy: string | null;
}

/** One profile in the memory table. */
export interface PlanRow {
  readonly profile: string;
  readonly model: string;
  readonly image: string;
  /** Build that the plan is for: a number as `b8149`, or a commit. */
  readonly build: string;
  readonly plan: MemoryPlan;
  readonly engine: EngineOpinion;
  /** Memory in use that was measured; null where nobody measured it. */
  readonly measured: MeasuredMemory | null;
  /** How it ended where it never ran, e.g. `out-of-memory`; null where nobody saw it fail. */
  readonly failure: string | null;
  /** The same flags planned for the build that the measurement or failure is from; null where that is the same build or none is known. */
  readonly then: { readonly expectedMiB: number; readonly verdict: MemoryVerdict } | null;
  /** Decode speeds that were measured, tok/s; empty where nobody measured them. */
  readonly measuredTokensPerSec: readonly number[];
}

const HEADINGS = [
  "profile",
  "VRAM MiB",
  "RAM MiB",
  "engine MiB",
  "measured MiB",
  "then MiB",
  "tok/s",
  "measured tok/s",
  "verdict",
  "cheapest fix",
];

/** The table for people: one line per profile, columns aligned, then the notes that say what figures leave out. */
export function formatPlanTable(rows: readonly PlanRow[]): string {
  const cells = [HEADINGS, ...rows.map(toCells)];
  const widths = HEADINGS.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return [...lines, "", ...LEGEND, ...notesOf(rows)].join("\n");
}

const LEGEND = [
  "VRAM, RAM: planned, lower to upper bound; weights, KV cache and recurrent state are exact, compute, driver and caches are bounds.",
  "engine: what the image's own llama-server would reserve, GPU + host, without the driver's context and without caches.",
  "measured: VRAM in use on the GPU by nvidia-smi; of a profile without a GPU, its container's memory with page cache (marked RAM).",
  "then: VRAM and verdict as planned for the build that the measurement or failure is from, where that is not the profile's.",
];

function toCells({ profile, plan, engine, measured, failure, then, measuredTokensPerSec }: PlanRow): string[] {
  const planned = plan.kind === "planned" ? plan : null;
  const devices = planned?.devices ?? [];
  const gpus = devices.filter(({ device }) => device !== "host");
  return [
    profile,
    gpus.length === 0 ? "-" : gpus.map(describe).join(" + "),
    devices
      .filter(({ device }) => device === "host")
      .map(describe)
      .join("") || "-",
    "notAsked" in engine ? "-" : `${engine.gpuMiB ?? 0} + ${engine.hostMiB}`,
    measured === null ? (failure ?? "-") : `${measured.memoryMiB.toFixed(0)}${measured.of === "container" ? " RAM" : ""}`,
    then === null ? "-" : `${then.expectedMiB.toFixed(0)} ${then.verdict}`,
    planned === null ? "-" : planned.speed.tokensPerSec.toFixed(0),
    measuredTokensPerSec.length === 0
      ? "-"
      : [...new Set([Math.min(...measuredTokensPerSec), Math.max(...measuredTokensPerSec)])].join(" to "),
    planned?.verdict ?? "unknown",
    planned?.fix?.summary ?? "",
  ];
}

const describe = (device: DevicePlan): string => formatRange(device);

/** Each note once, with the profiles that it is about. */
function notesOf(rows: readonly PlanRow[]): string[] {
  const notes = new Map<string, string[]>();
  for (const { profile, plan, engine } of rows) {
    const own = plan.kind === "unknown" ? [plan.reason] : plan.notes;
    for (const note of [...own, ...("notAsked" in engine ? [`engine not asked: ${engine.notAsked}`] : [])]) {
      notes.set(note, [...(notes.get(note) ?? []), profile]);
    }
  }
  return [...notes].map(([note, profiles]) => `${profiles.join(", ")}: ${note}`);
}
