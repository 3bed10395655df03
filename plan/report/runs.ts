import { mean, sampleStandardDeviation } from "simple-statistics";
import { containerPeakOf, vramPeakOf } from "../benchmark/memory.ts";
import type { BenchmarkResult } from "../benchmark/result.ts";
import { startLevels } from "../benchmark/sampling.ts";
import { studentQuantile } from "../gates/statistics.ts";
import type { SpeedMetricName, StartLevel } from "../gates/thresholds.ts";
import type { StatedNumber } from "./statement.ts";

/** Decode workloads in the order in which they are shown; others of a result follow. */
export const scenarioOrder = ["short", "medium", "long", "multi-turn"];

/** A speed with its 95 % confidence interval over starts; bounds are null where fewer than two starts were measured. */
export interface Speed extends StatedNumber {
  readonly low: number | null;
  readonly high: number | null;
  readonly starts: number;
}

/** One measurement of one profile, from a result file or as handed over without one. */
export interface Run {
  readonly profile: string;
  readonly origin: "measured" | "handed over";
  /** Path in the project of the file that holds the numbers. */
  readonly file: string;
  /** ISO time; UTC where it ends with Z. */
  readonly at: string;
  /** Null where it is not on record. */
  readonly build: string | null;
  readonly device: string;
  readonly modelSha256: string | null;
  /** Runs with equal keys may be compared: same host, model file and way of asking. */
  readonly key: string;
  readonly hostKey: string;
  readonly hostName: string;
  readonly scenarioSet: string;
  /** Decode speeds by scenario, tok/s; empty where the source states none. */
  readonly speeds: Readonly<Record<string, Speed>>;
  /** Most VRAM in use, MiB; null where nobody measured it. */
  readonly vram: StatedNumber | null;
  /** Memory of the container, page cache included; null where it is not on record. */
  readonly containerMiB: number | null;
  /** What to know about the numbers, for a reader. */
  readonly note: string | null;
}

/** Mean and 95 % interval of values given as logarithms. */
export function speedOf(logs: readonly number[]): Speed {
  const centre = mean([...logs]);
  if (logs.length < 2) return { value: Math.exp(centre), low: null, high: null, starts: logs.length };
  const half = (studentQuantile(0.975, logs.length - 1) * sampleStandardDeviation([...logs])) / Math.sqrt(logs.length);
  return { value: Math.exp(centre), low: Math.exp(centre - half), high: Math.exp(centre + half), starts: logs.length };
}

/** Values of one metric, one per start that ran the scenario, as logarithms. */
export function levelsOf(result: BenchmarkResult, scenario: string, metric: SpeedMetricName, level: StartLevel): number[] {
  const starts = result.starts.filter(({ requests }) => requests.some((request) => request.scenario === scenario));
  return startLevels(starts, { scenario, metric }, level);
}

/** Scenarios that a result has requests of, the known ones first. One that only the first start ran (it fills the window) is left out. */
export function scenariosOf({ starts }: BenchmarkResult): string[] {
  const inEach = starts.map(({ requests }) => new Set(requests.map(({ scenario }) => scenario)));
  const [first] = inEach;
  const all = [...(first ?? [])].filter((name) => name !== "window" && inEach.every((names) => names.has(name)));
  const rank = (name: string): number => (scenarioOrder.includes(name) ? scenarioOrder.indexOf(name) : scenarioOrder.length);
  return all.sort((a, b) => rank(a) - rank(b));
}

/** Key of what may be compared: the same host, model, scenario set and protocol. */
export const comparisonKey = ({ host, subject, scenarioSet, protocolHash }: BenchmarkResult): string =>
  [host.fingerprint, subject.modelSha256, scenarioSet, protocolHash].join("/");

/** A result file as a run. */
export function runOfResult(file: string, result: BenchmarkResult, level: StartLevel): Run {
  const vramMiB = vramPeakOf(result);
  return {
    profile: result.subject.profile,
    origin: "measured",
    file,
    at: result.startedAt,
    build: result.build,
    device: result.device,
    modelSha256: result.subject.modelSha256,
    key: comparisonKey(result),
    hostKey: result.host.fingerprint,
    hostName: `${result.host.name}: ${result.device}, ${result.host.cpus} CPUs, ${Math.round(result.host.memoryMiB / 1024)} GiB`,
    scenarioSet: result.scenarioSet,
    speeds: Object.fromEntries(scenariosOf(result).map((name) => [name, speedOf(levelsOf(result, name, "decode", level))])),
    vram: vramMiB === null ? null : { value: vramMiB },
    containerMiB: containerPeakOf(result),
    note: null,
  };
}

/** Geometric mean over scenarios, tok/s; null where a run has no speeds. */
export function overallSpeed({ speeds }: Pick<Run, "speeds">): number | null {
  const values = Object.values(speeds).map(({ value }) => Math.log(value));
  return values.length === 0 ? null : Math.exp(mean(values));
}

/** The newest run of each profile on each host, hosts and profiles in order of name. */
export function newestRuns(runs: readonly Run[]): Run[] {
  const newest = new Map<string, Run>();
  for (const run of runs) {
    const key = `${run.hostKey}\n${run.scenarioSet}\n${run.profile}`;
    const known = newest.get(key);
    if (known === undefined || known.at < run.at) newest.set(key, run);
  }
  return [...newest.values()].sort((a, b) => (a.hostName === b.hostName ? compare(a.profile, b.profile) : compare(a.hostName, b.hostName)));
}

/** Order of texts by their code units, the same on every machine. */
export const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
