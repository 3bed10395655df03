import type { Candidate } from "./space.ts";

/** What a judge found of one candidate. */
export type Judgement =
  | {
      readonly kind: "measured";
      readonly tokensPerSec: number;
      /** Null where it was not measured. */
      readonly perplexity: number | null;
      readonly sec: number;
      readonly source: string;
    }
  | { readonly kind: "failed"; readonly reason: string; readonly isOutOfMemory: boolean; readonly sec: number };

/** One candidate that was judged. */
export interface Trial {
  readonly candidate: Candidate;
  readonly judgement: Judgement;
}

/** How a search is bounded. */
export interface SearchLimits {
  readonly budgetSec: number;
  /** How far a planned speed may be off, per cent: what can't beat the best by that much is not tried. */
  readonly planErrorPercent: number;
}

/** The candidate to judge next, or why the search is over. */
export type NextStep = { readonly kind: "try"; readonly candidate: Candidate } | { readonly kind: "stop"; readonly why: string };

/**
 * Candidates in their order, the base profile and then by planned speed, each judged once, until none that is left could beat the best by its plan, or the
 * budget can't hold one more run of the length of the longest so far. A candidate that failed leaves the others to their turn: it ran out of memory, they
 * may not.
 */
export function nextStep(candidates: readonly Candidate[], trials: readonly Trial[], limits: SearchLimits): NextStep {
  const open = candidates.filter((candidate) => !trials.some((trial) => trial.candidate === candidate));
  const [next] = open;
  if (next === undefined) return { kind: "stop", why: "every candidate was judged" };
  const best = bestOf(trials);
  const scale = scaleOf(trials);
  const hope = next.plannedTokensPerSec * scale * (1 + limits.planErrorPercent / 100);
  const bestSpeed = best?.judgement.kind === "measured" ? best.judgement.tokensPerSec : 0;
  if (best !== null && hope <= bestSpeed)
    return { kind: "stop", why: `none of the ${open.length} left is planned to be faster than the best` };
  const spent = trials.reduce((sum, { judgement }) => sum + judgement.sec, 0);
  const longest = Math.max(0, ...trials.map(({ judgement }) => judgement.sec));
  if (trials.length > 0 && spent + longest > limits.budgetSec)
    return { kind: "stop", why: `the time budget: ${open.length} candidates were not tried` };
  return { kind: "try", candidate: next };
}

/** Measured over planned speed of the trials so far: the roofline ranks, a host has its own level. */
function scaleOf(trials: readonly Trial[]): number {
  const ratios = trials.flatMap(({ candidate, judgement }) =>
    judgement.kind === "measured" ? [judgement.tokensPerSec / candidate.plannedTokensPerSec] : [],
  );
  return ratios.length === 0 ? 1 : Math.max(...ratios);
}

/** Speeds within this of the fastest count as equal, per cent: what several starts of one configuration spread by. @see docs/gates.md */
const equalWithinPercent = 1;

/** The fastest trial; of those as fast, the one with more slots, then the larger ubatch. Null where none was measured. */
export function bestOf(trials: readonly Trial[]): Trial | null {
  const measured = trials.flatMap((trial) => (trial.judgement.kind === "measured" ? [{ trial, speed: trial.judgement.tokensPerSec }] : []));
  const most = Math.max(0, ...measured.map(({ speed }) => speed));
  const equals = measured.filter(({ speed }) => speed >= most * (1 - equalWithinPercent / 100));
  equals.sort(
    (a, b) => b.trial.candidate.slots - a.trial.candidate.slots || b.trial.candidate.ubatch - a.trial.candidate.ubatch || b.speed - a.speed,
  );
  return equals[0]?.trial ?? null;
}
