import type { BenchmarkResult, StartSample } from "./result.ts";

/** What prints the memory in use on every GPU that a container sees, MiB, one a line. */
export const vramCommand = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"];

/**
 * MiB in use on all GPUs together, from what {@link vramCommand} printed. Undefined where any line is no number (`[N/A]`), or there is none: the sum
 * of some would be taken for that of all.
 */
export function sumOfGpus(printed: string | undefined): number | undefined {
  const lines = (printed ?? "").trim().split(/\r?\n/);
  return lines.every((line) => /^\d+$/.test(line.trim())) ? lines.reduce((sum, line) => sum + Number(line), 0) : undefined;
}

/** A start's VRAM from a sample taken after the load and one after the last request; empty unless both were read. */
export function vramOf(idle: number | undefined, after: number | undefined): Pick<StartSample, "vramIdleMiB" | "vramPeakMiB"> {
  return idle === undefined || after === undefined ? {} : { vramIdleMiB: idle, vramPeakMiB: Math.max(idle, after) };
}

/** Most VRAM that was in use in any start, MiB; null where none has it. */
export const vramPeakOf = ({ starts }: BenchmarkResult): number | null => most(starts.map(({ vramPeakMiB }) => vramPeakMiB));

/** Most memory that the container had in any start, MiB; null where none has it. */
export const containerPeakOf = ({ starts }: BenchmarkResult): number | null => most(starts.map(({ memoryPeakMiB }) => memoryPeakMiB));

function most(values: readonly (number | null | undefined)[]): number | null {
  const known = values.flatMap((value) => value ?? []);
  return known.length === 0 ? null : Math.max(...known);
}
