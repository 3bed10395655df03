import { describePlanned, describeUbatch } from "../../plan/tune/findings.ts";
import { proposeProfile } from "../../plan/tune/proposal.ts";
import { bestOf, nextStep, type SearchLimits, type Trial } from "../../plan/tune/search.ts";
import { planSpace, type TuneAxes, type TuneSpace } from "../../plan/tune/space.ts";
import { readModelShape } from "../../plan/memory/model-shape.ts";
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

/** Searches: the planner filters, the judge decides, within the limits. */
export async function tune(
  { base, baseText, memory, build }: TuneInput,
  axes: TuneAxes,
  limits: SearchLimits,
  judge: Judge,
  ask: { readonly vramMiB: number; readonly date: string },
  signal: AbortSignal,
): Promise<TuneResult> {
  const space = planSpace(memory, axes);
  if (memory.budget.gpus.length === 0) log(`tune: build ${build} has no GPU backend: everything is on the CPU, and --vram does not count`);
  log(`tune: ${space.planned} configurations planned for build ${build}, ${space.candidates.length} fit`);
  const trials: Trial[] = [];
  let stopped: string | undefined;
  while (stopped === undefined) {
    signal.throwIfAborted();
    const step = nextStep(space.candidates, trials, limits);
    if (step.kind === "stop") stopped = step.why;
    else {
      log(`tune: trying ${describePlanned(step.candidate)}`);
      const judgement = await judge.judge(step.candidate, signal);
      log(`tune: ${judgement.kind === "measured" ? `${judgement.tokensPerSec.toFixed(1)} tok/s` : `failed: ${judgement.reason}`}`);
      trials.push({ candidate: step.candidate, judgement });
    }
  }
  const best = bestOf(trials);
  const shape = readModelShape(memory.header);
  const isMoe = "shape" in shape && shape.shape.nExpert > 0;
  const like = best?.candidate ?? space.candidates[0];
  const findings = like === undefined ? [] : describeUbatch(space, like, isMoe);
  const common = { base: base.id, build, isSimulated: judge.isSimulated, trials, stopped, findings, best };
  const counts = { planned: space.planned, refused: space.refused, candidates: space.candidates.length };
  if (best?.judgement.kind !== "measured") return { ...common, space: counts, profile: null };
  const { tokensPerSec, source } = best.judgement;
  const evidence = {
    base: base.id,
    model: base.model,
    vramMiB: memory.budget.gpus.length === 0 ? null : ask.vramMiB,
    source,
    isSimulated: judge.isSimulated,
    date: ask.date,
    trials,
    findings,
  };
  return { ...common, space: counts, profile: proposeProfile(baseText, best.candidate, tokensPerSec, evidence) };
}
