import { decideSpeed } from "../../plan/gates/speed-gate.ts";
import type { SpeedDesign } from "../../plan/gates/speed-gate.ts";
import type { Verdict } from "../../plan/gates/verdict.ts";

/** What is simulated: starts that scatter normally in ln speed. The candidate may scatter more than the baseline did. */
export interface SimulatedPoint {
  readonly dropPercent: number;
  readonly startSpreadPercent: number;
  readonly candidateSpreadPercent?: number;
  readonly baselineStarts: number;
  readonly metrics: number;
  /** By how much measurements at different times truly differ beyond their starts' spread; the design may know of it or not. */
  readonly sessionSpreadPercent?: number;
  /** Measurements that the baseline's starts come from, in equal shares; `@default` 1. */
  readonly baselineSessions?: number;
  /** The baseline is a stated number that is truly off by this much (one standard deviation), in place of starts. */
  readonly statedSpreadPercent?: number;
}

/** Rates over all runs, and the mean number of candidate starts that were needed. */
export interface SimulatedRates {
  readonly passed: number;
  readonly failed: number;
  readonly inconclusive: number;
  readonly meanStarts: number;
}

/** Seeded normal deviates (mulberry32 and Box-Muller), the same on every machine. */
function deviates(seed: number): () => number {
  let state = seed;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

function runOnce(
  point: SimulatedPoint,
  design: SpeedDesign,
  marginPercent: number,
  normal: () => number,
): { verdict: Verdict; starts: number } {
  const spread = point.startSpreadPercent / 100;
  const candidateSpread = (point.candidateSpreadPercent ?? point.startSpreadPercent) / 100;
  const sessionSpread = (point.sessionSpreadPercent ?? 0) / 100;
  const baselineSessions = point.baselineSessions ?? 1;
  // what a session does to the host it does to every metric of it
  const ofSessions = Array.from({ length: baselineSessions }, () => (sessionSpread === 0 ? 0 : sessionSpread * normal()));
  const shift = Math.log1p(-point.dropPercent / 100) + (sessionSpread === 0 ? 0 : sessionSpread * normal());
  const { statedSpreadPercent } = point;
  const metrics = Array.from({ length: point.metrics }, (_, index) => ({
    name: `metric ${index}`,
    unit: "tok/s",
    better: "higher" as const,
    marginPercent,
    candidate: [] as number[],
    ...(statedSpreadPercent === undefined
      ? {
          baseline: Array.from(
            { length: point.baselineStarts },
            (_none, at) => (ofSessions[at % baselineSessions] ?? 0) + spread * normal(),
          ),
          baselineSessions,
        }
      : { stated: (statedSpreadPercent / 100) * normal(), statedSpreadPercent }),
  }));
  for (let wanted: number | null = design.looks[0] ?? 1; ;) {
    for (const metric of metrics) while (metric.candidate.length < wanted) metric.candidate.push(shift + candidateSpread * normal());
    const decision = decideSpeed(metrics, design);
    if (decision.startsWanted === null) return { verdict: decision.verdict, starts: wanted };
    wanted = decision.startsWanted;
  }
}

/** Plays a gate `runs` times as the program does, look by look with the real decision, and counts what it says. */
export function simulate(point: SimulatedPoint, design: SpeedDesign, marginPercent: number, runs: number, seed: number): SimulatedRates {
  const normal = deviates(seed);
  const counts: Record<Verdict, number> = { passed: 0, failed: 0, inconclusive: 0, error: 0 };
  let starts = 0;
  for (let run = 0; run < runs; run++) {
    const outcome = runOnce(point, design, marginPercent, normal);
    counts[outcome.verdict] += 1;
    starts += outcome.starts;
  }
  const { passed, failed, inconclusive } = counts;
  return { passed: passed / runs, failed: failed / runs, inconclusive: inconclusive / runs, meanStarts: starts / runs };
}

/** Smallest number of starts with which a single look (Student, no early stop) has the errors wanted; undefined if over 60. */
export function fixedDesignStarts(
  design: SpeedDesign,
  marginPercent: number,
  point: Omit<SimulatedPoint, "dropPercent">,
  runs: number,
  seed: number,
): number | undefined {
  for (let starts = 2; starts <= 60; starts++) {
    const single = { ...design, looks: [starts] };
    const none = simulate({ ...point, dropPercent: 0 }, single, marginPercent, runs, seed);
    if (none.passed < 0.95) continue;
    if (simulate({ ...point, dropPercent: 2 * marginPercent }, single, marginPercent, runs, seed + 1).failed >= 0.99) return starts;
  }
  return undefined;
}
