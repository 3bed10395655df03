import type { GateResult } from "../gates/verdict.ts";
import type { BenchOutcome, BenchPhase } from "./record.ts";

/** What a bench of one profile left to judge by. */
export interface BenchTraces {
  /** Name in `benchmarks/` of the result file; null: there is none. */
  readonly result: string | null;
  readonly gates: readonly GateResult[];
  /** Parts of the bench whose resources failed. */
  readonly failedPhases: readonly BenchPhase[];
  /** Pulumi's error messages; empty where `up` went through. */
  readonly errors: readonly string[];
  /** Whether the kernel ended a server's container for its memory. */
  readonly isOomKilled: boolean;
  /** The end of the server's log. */
  readonly serverLog: string;
}

/**
 * What engines and drivers say when a device or the host has no memory left; cuBLAS calls it its resource allocation.
 * @see ggml-cuda.cu, llama-model.cpp and llama-kv-cache.cpp of llama.cpp at 0c1e57098, and tests/fixtures/llama-server
 */
const outOfMemory =
  /out of memory|the resource allocation failed|cudaMalloc failed|failed to allocate|unable to allocate|OutOfDeviceMemory|bad_alloc|for its memory/i;
/** What the gates say of an output that is not as it has to be. */
const unreadable = /expected "|in line: |not JSON|does not read|not a positive finite number|Invalid input/;

/**
 * How the bench of a profile ended. A result file counts as measured, whatever the gates say of it; where the update failed after it, the cause is in the
 * reason and the bench is incomplete: a release that could not be promoted is none to serve with, however fast. A cause that can be seen comes before the
 * words of the command that failed because of it.
 */
export function decideOutcome({ result, gates, failedPhases, errors, isOomKilled, serverLog }: BenchTraces): {
  outcome: BenchOutcome;
  reason: string;
} {
  const failedGate = gates.find(({ verdict }) => verdict === "error");
  const said = [failedGate === undefined ? "" : `${failedGate.gate}: ${failedGate.reason}`, ...errors.map(firstLines)].filter(
    (text) => text !== "",
  );
  const reason = said[0] ?? "";
  if (result !== null)
    return {
      outcome: errors.length === 0 ? "measured" : "incomplete",
      reason: reason === "" ? "measured" : `measured; then ${reason}`,
    };
  if (failedPhases.includes("image")) return { outcome: "failed-build", reason };
  const memoryLine = [...said, ...serverLog.split("\n")].find((line) => outOfMemory.test(line));
  if (isOomKilled) return { outcome: "out-of-memory", reason: `the kernel ended the server for its memory limit; ${reason}` };
  if (memoryLine !== undefined) return { outcome: "out-of-memory", reason: memoryLine.trim() };
  if (said.some((text) => unreadable.test(text))) return { outcome: "unreadable", reason };
  return { outcome: "failed", reason: reason === "" ? "no result file was written" : reason };
}

const mostReasonLines = 6;
const firstLines = (text: string): string =>
  text
    .trim()
    .split("\n")
    .slice(-mostReasonLines)
    .map((line) => line.trim())
    .join(" | ");

/** The part of a bench that a resource belongs to, from its URN: `…::command:local:Command::benchmark-1a2b` is the benchmark. */
export function phaseOfUrn(urn: string): BenchPhase {
  const name = urn.split("::").at(-1) ?? "";
  const type = urn.split("::").at(-2) ?? "";
  if (type.endsWith(":Image") || type.endsWith(":RemoteImage") || /^llama-image.*-build$/.test(name)) return "image";
  const phases: readonly BenchPhase[] = ["perplexity", "benchmark", "answers", "promote", "models"];
  return phases.find((phase) => name === phase || name.startsWith(`${phase}-`)) ?? "rest";
}

/** Phases that do the work one benches for; the others are the matrix' own. */
export const workPhases: ReadonlySet<BenchPhase> = new Set(["image", "models", "perplexity", "benchmark", "answers"]);

/** When an operation on a resource was seen to begin and to end, ms. */
export interface Span {
  readonly phase: BenchPhase;
  readonly from: number;
  readonly to: number;
}

/**
 * Seconds of each phase within `from`…`to`. Where operations of several phases overlap, the time counts once, for the phase that began last; what none of
 * them covers is `rest`.
 */
export function phaseSeconds(spans: readonly Span[], from: number, to: number): { phase: BenchPhase; sec: number }[] {
  const edges = [...new Set([from, to, ...spans.flatMap((span) => [span.from, span.to])])]
    .filter((edge) => edge >= from && edge <= to)
    .sort((a, b) => a - b);
  const seconds = new Map<BenchPhase, number>();
  edges.slice(1).forEach((end, index) => {
    const begin = edges[index] ?? end;
    const running = spans.filter((span) => span.from <= begin && span.to >= end && span.phase !== "rest").sort((a, b) => b.from - a.from);
    const phase = running[0]?.phase ?? "rest";
    seconds.set(phase, (seconds.get(phase) ?? 0) + (end - begin) / 1000);
  });
  return [...seconds].map(([phase, sec]) => ({ phase, sec }));
}

/** Seconds that are left of a run: per open profile what it took before where that is known, else the mean of those that took any; null where nothing is known. */
export function secondsLeft(open: readonly string[], took: ReadonlyMap<string, number>, elapsedSec: number): number | null {
  const known = [...took.values()].filter((sec) => sec > 0);
  if (known.length === 0) return null;
  const mean = known.reduce((sum, sec) => sum + sec, 0) / known.length;
  const [current, ...later] = open.map((profile) => took.get(profile) ?? mean);
  return current === undefined ? 0 : Math.max(0, current - elapsedSec) + later.reduce((sum, sec) => sum + sec, 0);
}

/** Seconds for people: `48 s`, `3 min 20 s`, `2 h 05 min`. */
export function describeSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
}
