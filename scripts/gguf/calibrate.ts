import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeDigestModel } from "../../plan/gguf/write.ts";
import type { GgufHeader } from "../../plan/gguf/types.ts";
import { planContext } from "../../plan/memory/cache.ts";
import { type ComputePoint, type ComputeTable, parseComputeTable } from "../../plan/memory/compute-table.ts";
import { readMemoryFlags } from "../../plan/memory/flags.ts";
import { readModelShape } from "../../plan/memory/model-shape.ts";
import { isExpertTensor, planPlacement } from "../../plan/memory/placement.ts";
import { MIB } from "../../plan/memory/types.ts";
import { writeFormattedJson } from "../config/formatted.ts";
import { askEngine, type EngineAnswer, type EngineHost } from "./engine.ts";

/** What is calibrated: the build in an image on a backend, for some models. */
export interface Calibration {
  readonly host: EngineHost;
  /** Build number (`b11669`) or commit. */
  readonly build: string;
  readonly backend: ComputeTable["backend"];
  readonly headers: readonly GgufHeader[];
  /** Terms that the engine doesn't print (driver's context, reserve) and fitted peaks are taken from here. */
  readonly base: Pick<ComputeTable, "context" | "fitReserve" | "peaksFor" | "peaks" | "boundKibPerToken">;
  readonly source: string;
  /** @default {@link DEFAULT_GRID} */
  readonly grid?: CalibrationGrid;
}

/** Conditions that are measured, all combinations. Compute grows with each, so that a case between two points is bounded by them. */
export interface CalibrationGrid {
  readonly ubatches: readonly number[];
  readonly contexts: readonly number[];
  readonly slots: readonly number[];
  readonly cacheTypes: readonly string[];
}

/** What the committed profiles use, and a step around it. */
export const DEFAULT_GRID: CalibrationGrid = {
  ubatches: [256, 512, 1024, 2048, 4096],
  contexts: [8192, 32768, 65536, 131072],
  slots: [4],
  cacheTypes: ["f16", "q8_0"],
};

interface Condition {
  readonly header: GgufHeader;
  readonly model: string;
  readonly flags: Readonly<Record<string, string>>;
}

/**
 * A compute table from the engine's own answers: `llama-server` with `--fit on` says what it would reserve, without loading a weight or needing the file.
 * @throws {Error} if the engine answers fewer than half of the questions, with its message.
 */
export async function calibrateCompute(calibration: Calibration): Promise<ComputeTable> {
  const { host, headers, grid = DEFAULT_GRID, base, build, backend, source } = calibration;
  const models = headers.map((header, index) => ({ name: `model${index}`, ...encodeDigestModel(header) }));
  const conditions = headers.flatMap((header, index) => planConditions(header, `model${index}`, grid));
  const questions = conditions.map(({ model, flags }) => ({ tool: "server" as const, model, args: toArguments(flags) }));
  const answers = await askEngine(host, models, questions);
  const points = conditions.flatMap((condition, index) => toPoint(condition, answers[index]) ?? []);
  if (points.length * 2 < conditions.length) {
    const failure = answers.find((answer) => "error" in answer);
    throw new Error(
      `calibration: got ${points.length} of ${conditions.length} answers from ${host.image}; ${failure === undefined ? "no device in them" : failure.error}`,
    );
  }
  return parseComputeTable({
    tableVersion: 1,
    build,
    backend,
    source: `${source}; ${points.length} points from llama-server's memory plan (--fit on), none loaded`,
    error: "points as the engine reserves, rounded down to 1 MiB; between them bounds",
    outputRows: "slots",
    ...base,
    points,
    pointError: { relative: 0, absoluteMiB: 1 },
  } satisfies ComputeTable);
}

/** Writes a table to `configs/compute-tables/<build>-<backend>.json` under `folder`; answers with the path. */
export async function writeComputeTable(table: ComputeTable, folder: string): Promise<string> {
  const build = table.build.startsWith("b") ? table.build : table.build.slice(0, 9);
  const path = join(folder, "configs", "compute-tables", `${build}-${table.backend}.json`);
  await writeFormattedJson(path, table);
  return path;
}

/** A committed compute table. @throws {Error} naming the file, if it doesn't match the schema. */
export async function readComputeTable(path: string): Promise<ComputeTable> {
  try {
    return parseComputeTable(JSON.parse(await readFile(path, "utf8")));
  } catch (cause) {
    throw new Error(`${path}: not a compute table`, { cause });
  }
}

function planConditions(header: GgufHeader, model: string, grid: CalibrationGrid): Condition[] {
  const hasExperts = header.tensors.some(isExpertTensor);
  return grid.cacheTypes.flatMap((type) =>
    grid.slots.flatMap((slots) =>
      grid.contexts.flatMap((ctx) =>
        grid.ubatches.flatMap((ubatch) =>
          (hasExperts ? ["0", "999"] : ["0"]).map((cpuMoe) => ({
            header,
            model,
            flags: {
              LLAMA_ARG_CTX_SIZE: String(ctx),
              LLAMA_ARG_BATCH: String(Math.max(2048, ubatch)),
              LLAMA_ARG_UBATCH: String(ubatch),
              LLAMA_ARG_N_PARALLEL: String(slots),
              LLAMA_ARG_KV_UNIFIED: "on",
              LLAMA_ARG_CACHE_TYPE_K: type,
              LLAMA_ARG_CACHE_TYPE_V: type,
              LLAMA_ARG_FLASH_ATTN: "on",
              LLAMA_ARG_N_GPU_LAYERS: "999",
              LLAMA_ARG_N_CPU_MOE: cpuMoe,
            },
          })),
        ),
      ),
    ),
  );
}

/** Flag names of the variables above; both are llama.cpp's own. */
const NAMES: Readonly<Record<string, string>> = {
  LLAMA_ARG_CTX_SIZE: "-c",
  LLAMA_ARG_BATCH: "-b",
  LLAMA_ARG_UBATCH: "-ub",
  LLAMA_ARG_N_PARALLEL: "-np",
  LLAMA_ARG_CACHE_TYPE_K: "-ctk",
  LLAMA_ARG_CACHE_TYPE_V: "-ctv",
  LLAMA_ARG_FLASH_ATTN: "-fa",
  LLAMA_ARG_N_GPU_LAYERS: "-ngl",
  LLAMA_ARG_N_CPU_MOE: "-ncmoe",
};

/** Command line of the memory flags among a profile's; flags that don't decide about memory are left out, switches that are off by default too. */
export function toArguments(flags: Readonly<Record<string, string>>): string[] {
  const named = Object.entries(NAMES).flatMap(([variable, name]) => (flags[variable] === undefined ? [] : [name, flags[variable]]));
  const unified = flags["LLAMA_ARG_KV_UNIFIED"];
  return [...named, ...(unified === undefined ? [] : [unified === "on" ? "-kvu" : "-no-kvu"])];
}

function toPoint({ header, flags }: Condition, answer: EngineAnswer | undefined): ComputePoint | null {
  const shape = readModelShape(header);
  const reading = readMemoryFlags(flags);
  if (answer === undefined || "error" in answer || "unknown" in shape || "unknown" in reading) return null;
  const device = answer.devices.find((entry) => entry.device !== "host");
  if (device === undefined) return null;
  const { architecture, nEmbd, nVocab, nLayer } = shape.shape;
  const experts = { firstLayers: reading.flags.nCpuMoe ?? 0, fromLayer: null, splitRoles: null };
  const placement = planPlacement(header, shape.shape, reading.flags, [{ totalMiB: 1 }], experts);
  const copies = Math.max(0, ...placement.hostTensors.filter(isExpertTensor).map(({ bytes }) => 2 * bytes));
  return {
    ...{ architecture, nEmbd, nVocab, nLayer },
    ubatch: reading.flags.ubatch,
    cells: planContext(shape.shape, reading.flags).cells,
    slots: reading.flags.nParallel,
    isQuantizedKv: reading.flags.cacheBytesK < 2,
    expertCopiesMiB: copies / MIB,
    computeMiB: device.computeMiB,
  };
}
