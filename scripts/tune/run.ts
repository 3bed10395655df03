import { deriveProfile } from "../../plan/bench/variants.ts";
import { readModelShape } from "../../plan/memory/model-shape.ts";
import { describeChange } from "../../plan/tune/base.ts";
import { describeGain, describeJudgement, describePlanned, describeUbatch } from "../../plan/tune/findings.ts";
import { proposeProfile } from "../../plan/tune/proposal.ts";
import { bestOf, nextStep, type SearchLimits, type Trial } from "../../plan/tune/search.ts";
import { inOrder, planSpace, retreatOf, type Candidate, type TuneAxes, type TuneSpace } from "../../plan/tune/space.ts";
import { log } from "../program.ts";
import type { Judge } from "./judges.ts";
import type { TuneInput } from "./read.ts";

/** How a search went and what it proposes. */
export interface TuneResult {
  readonly base: string;
  readonly build: string;
  readonly isSimulated: boolean;
  readonly space: Pick<TuneSpace, "planned" | "refused"> & { readonly candidates: number };
  readonly trials: readonly Trial[];
  readonly stopped: string;
  readonly findings: readonly string[];
  /** Null where nothing was measured. */
  readonly best: Trial | null;
  /** Text of the proposed profile's file; null where nothing was measured. */
  readonly profile: string | null;
}

/**
 * Searches: the planner filters, the judge decides, within the limits. What is proposed, the project takes.
 * @throws {Error} if it would refuse the proposal
 */
export async function tune(
  input: TuneInput,
  axes: TuneAxes,
  limits: SearchLimits,
  judge: Judge,
  ask: { readonly vramMiB: number; readonly date: string },
  signal: AbortSignal,
): Promise<TuneResult> {
  const { base, baseText, memory, build, start } = input;
  const planned = planSpace(memory, axes, start);
  const space = { ...planned, candidates: planned.candidates.filter((candidate) => isTaken(candidate, input)) };
  say(input, space);
  const { trials, stopped } = await search(space, input, limits, judge, signal);
  await judge.finish();
  const best = bestOf(trials);
  const shape = readModelShape(memory.header);
  const isMoe = "shape" in shape && shape.shape.nExpert > 0;
  const like = best?.candidate ?? space.candidates[0];
  const gain = best === null ? [] : describeGain(best, trials, space.base);
  const findings = [...gain, ...(like === undefined ? [] : describeUbatch(space, like, isMoe))];
  const counts = { planned: space.planned, refused: space.refused, candidates: space.candidates.length };
  const common = { base: base.id, build, isSimulated: judge.isSimulated, space: counts, trials, stopped, findings, best };
  if (best?.judgement.kind !== "measured") return { ...common, profile: null };
  const { tokensPerSec, source } = best.judgement;
  const profile = proposeProfile(baseText, best.candidate, tokensPerSec, {
    base: base.id,
    model: base.model,
    vramMiB: memory.budget.gpus.length === 0 ? null : ask.vramMiB,
    source,
    isSimulated: judge.isSimulated,
    date: ask.date,
    trials,
    findings,
  });
  const problem = input.problemOf(profile);
  if (problem !== undefined) throw new Error(`tune: the proposal would be refused: ${problem}`);
  return { ...common, profile };
}

function say({ base, build, memory, start }: TuneInput, { planned, candidates, base: own }: TuneSpace): void {
  const { set, drop } = start.change;
  if (Object.keys(set).length + drop.length > 0) log(`tune: ${base.id} with ${describeChange(start.change)}`);
  if (memory.budget.gpus.length === 0) log(`tune: build ${build} has no GPU backend: everything is on the CPU, and --vram does not count`);
  log(`tune: ${planned} configurations planned for build ${build}, ${candidates.length} fit`);
  if (own === null) log(`tune: the planner refuses the base profile ${base.id} itself, so it is not tried`);
}

/** Whether the project would take a candidate's profile; one that it would not is left out, and why is said. */
function isTaken(candidate: Candidate, { baseText, problemOf }: TuneInput): boolean {
  const problem = problemOf(deriveProfile(baseText, candidate));
  if (problem !== undefined) log(`tune: left out ${candidate.label}: ${problem}`);
  return problem === undefined;
}

async function search(
  { base, candidates: found }: TuneSpace,
  input: TuneInput,
  limits: SearchLimits,
  judge: Judge,
  signal: AbortSignal,
): Promise<{ trials: Trial[]; stopped: string }> {
  const trials: Trial[] = [];
  let candidates = [...(base === null ? [] : [base]), ...found];
  for (;;) {
    signal.throwIfAborted();
    const step = nextStep(candidates, trials, limits);
    if (step.kind === "stop") return { trials, stopped: step.why };
    const { candidate } = step;
    log(`tune: trying ${describePlanned(candidate)}`);
    const judgement = await judge.judge(candidate, signal);
    log(`tune: ${describeJudgement(judgement)}`);
    trials.push({ candidate, judgement });
    const retreat = judgement.kind === "failed" && judgement.isOutOfMemory ? retreatOf(input.memory, candidate) : null;
    if (retreat !== null && isTaken(retreat, input)) candidates = inOrder([...candidates, retreat], base?.cacheType);
  }
}
