import type Docker from "dockerode";
import type { z } from "zod";

import { describeNext, formatGateResult } from "../../plan/gates/format.ts";
import { gateInputVariable, parseGateInput } from "../../plan/gates/gate-input.ts";
import type { GateInput } from "../../plan/gates/gate-input.ts";
import { exitCodeOf } from "../../plan/gates/verdict.ts";
import type { GateName, GateResult } from "../../plan/gates/verdict.ts";
import { connectDocker } from "../docker/host.ts";
import { describeError, stopSignal } from "../program.ts";
import { describeEnd } from "../rollout/recover.ts";
import { Rollout } from "../rollout/rollout.ts";
import { checkRelease } from "./model-check.ts";
import { defaultGraceMs, exitAfter, withinGrace } from "./time-limit.ts";
import { VolumeStore } from "./volume-store.ts";

/** What a gate's measuring part decides; the program around it adds who, when, how long and where the evidence is. */
export type Outcome = Pick<GateResult, "verdict" | "reason" | "metrics" | "comparedWith" | "samples">;

/** What a measuring part may use. `evidence` is kept whatever happens, so it is filled as soon as there is something to keep. */
export interface GateContext {
  readonly docker: Docker;
  readonly store: VolumeStore;
  readonly startedAt: string;
  readonly signal: AbortSignal;
  readonly evidence: Record<string, unknown>;
  progress(line: string): void;
}

/** An error as one line. */
function messageOf(error: unknown): string {
  return describeError(error).replaceAll(/\s*\n\s*/g, " | ");
}

async function keepEvidence(store: VolumeStore, result: GateResult, evidence: Record<string, unknown>, input: GateInput): Promise<string> {
  const folder = `evidence/${result.releaseId}/${result.gate}`;
  return store.append(folder, result.startedAt, { version: 1, result, input, ...evidence });
}

/** A gate's result, and what serves after it where it ended a rollout. */
interface Decision {
  readonly result: GateResult;
  readonly serving: string | null;
}

/** What a gate runs of the candidate's image beside the server. */
const toolsOf: Readonly<Partial<Record<GateName, readonly string[]>>> = { perplexity: ["llama-perplexity"] };

/** What a gate is told, how it measures, and where it does so. */
interface Measurement<I extends GateInput> {
  readonly gate: GateName;
  readonly input: I;
  readonly measure: (input: I, context: GateContext) => Promise<Outcome>;
  readonly context: GateContext;
}

/** Measures where the rollout has made room for it. @throws {Error} with what stands against that, before anything is stopped where that can be known */
async function measureInRollout<I extends GateInput>(
  { gate, input, measure, context }: Measurement<I>,
  rollout: Rollout | undefined,
): Promise<Outcome> {
  if (rollout?.isUnchecked === true) {
    const { docker, signal } = context;
    await checkRelease(docker, input, { host: input.host, tools: toolsOf[gate] ?? [], signal });
  }
  await rollout?.makeRoom();
  return measure(input, context);
}

/** Seconds after which a gate that was stopped ends in any case: an engine that does not answer must not hold it for ever. Its guard goes on then. */
const longestEndSec = ({ rollout }: GateInput): number =>
  defaultGraceMs / 1000 + (rollout === null ? 0 : 2 * rollout.readyTimeoutSec + rollout.drainSec); // what served, or else what served before it

async function decide<I extends GateInput>(
  gate: GateName,
  input: I,
  measure: (input: I, context: GateContext) => Promise<Outcome>,
): Promise<Decision> {
  const limit = new AbortController();
  const signal = AbortSignal.any([stopSignal(), limit.signal]);
  const startedAt = new Date().toISOString();
  const startMs = performance.now();
  const evidence: Record<string, unknown> = {};
  const docker = connectDocker(input.host);
  await using store = await VolumeStore.open(docker, input.evidenceVolume, input.helperImage, `${input.stack}/${gate}`, input.host);
  const progress = (line: string): void => void process.stderr.write(`${gate}: ${line}\n`);
  const context = { docker, store, startedAt, signal, evidence, progress };
  let rollout: Rollout | undefined;
  let outcome: Outcome;
  try {
    if (input.rollout !== null) rollout = await Rollout.enter(docker, input.rollout, input, { signal, progress });
    // from here on: a wait for the device has a limit of its own, and says who holds it
    setTimeout(() => limit.abort(new Error(`deadline of ${input.deadlineSec} s passed`)), input.deadlineSec * 1000).unref();
    outcome = await withinGrace(signal, measureInRollout({ gate, input, measure, context }, rollout));
  } catch (error) {
    const reason = messageOf(signal.aborted ? signal.reason : error);
    outcome = { verdict: "error", reason, metrics: [], comparedWith: null, samples: 0 };
  }
  if (signal.aborted) exitAfter(longestEndSec(input));
  const wallSec = (performance.now() - startMs) / 1000;
  const { releaseId, dryRun } = input;
  const server = "container" in input && typeof input.container === "string" ? { server: input.container } : {};
  const result: GateResult = { version: 1, gate, releaseId, ...server, dryRun, startedAt, wallSec, evidence: null, ...outcome };
  const [serving, path] = await Promise.all([
    rollout === undefined ? null : endPart(rollout, result, progress),
    keepEvidence(store, result, evidence, input).catch((error: unknown) => {
      progress(`the evidence could not be kept: ${messageOf(error)}`);
      return null;
    }),
  ]);
  return { result: { ...result, evidence: path }, serving };
}

/** Hands the rollout over to the next program, or puts back what served before; what serves then, and what to do, a line each. */
async function endPart(rollout: Rollout, result: GateResult, progress: GateContext["progress"]): Promise<string | null> {
  if (result.verdict === "passed" || exitCodeOf(result) === 0) {
    rollout.handOver();
    return null;
  }
  progress(`${result.verdict}: ${result.reason}; going back to what served before`); // now: a recovery takes its time, and may be killed
  try {
    const ended = await rollout.fail(`${result.gate} gate ${result.verdict}: ${result.reason}`);
    if (ended === undefined) return "the rollout had been ended already";
    return ended.result === "degraded" ? describeEnd(ended) : `${describeEnd(ended)}\n${describeNext(result.verdict, ended.stack)}`;
  } catch (error) {
    return `what served before could not be put back: ${messageOf(error)}; run: npm run recover`;
  }
}

/** The closing lines on standard error: a screen for the reader where there are numbers, then one line that is complete by itself, and what serves. */
function report({ result, serving }: Decision, { evidenceVolume }: GateInput): void {
  const { gate, verdict, reason, evidence, metrics } = result;
  const where = evidence === null ? "no evidence could be kept" : `evidence: ${evidence} in volume ${evidenceVolume}`;
  if (verdict === "passed" || metrics.length > 0) process.stderr.write(`${formatGateResult(result)}\n`);
  if (verdict !== "passed") process.stderr.write(`${gate} gate ${verdict}: ${reason}; ${where}\n`);
  if (serving !== null) process.stderr.write(`${serving}\n`);
}

/**
 * Runs a gate program: input from the environment, progress and a readable screen on standard error, the `GateResult` as one JSON
 * line on standard output. Exit code: 0 passed or dry run, 1 failed or error, 2 inconclusive, 3 input that can't be read.
 */
export async function runGateProgram<S extends z.ZodType<GateInput>>(
  gate: GateName,
  schema: S,
  measure: (input: z.infer<S>, context: GateContext) => Promise<Outcome>,
): Promise<void> {
  let input: z.infer<S>;
  try {
    input = parseGateInput(schema, process.env[gateInputVariable]);
  } catch (error) {
    process.stderr.write(`${gate} gate error: ${messageOf(error)}\n`);
    process.exit(3);
  }
  try {
    const decision = await decide(gate, input, measure);
    report(decision, input);
    await new Promise((resolve) => process.stdout.write(`${JSON.stringify(decision.result)}\n`, resolve));
    process.exit(exitCodeOf(decision.result));
  } catch (error) {
    process.stderr.write(`${gate} gate error: ${messageOf(error)}\n`);
    process.exit(1);
  }
}
