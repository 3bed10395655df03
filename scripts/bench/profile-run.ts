import { join } from "node:path";
import type Docker from "dockerode";
import { decideOutcome, phaseSeconds, type Span } from "../../plan/bench/outcome.ts";
import { recordFileName, type BenchPhase, type BenchRecord } from "../../plan/bench/record.ts";
import { asPulumiConfig, benchStack, stackSettings } from "../../plan/bench/settings.ts";
import type { Variant } from "../../plan/bench/variants.ts";
import { ConfigError } from "../../plan/config/errors.ts";
import { parseProfile } from "../../plan/config/profile.ts";
import { parseStackConfig, type StackConfig } from "../../plan/config/stack-config.ts";
import { planStack, type StackPlan } from "../../plan/stack.ts";
import { writeWhole } from "../files.ts";
import { describeError } from "../program.ts";
import { endOrphans } from "./orphans.ts";
import type { BenchProgress } from "./progress.ts";
import { readTextIn } from "./read-text.ts";
import type { BenchRequest } from "./request.ts";
import { BenchStack, type PulumiPlace } from "./stack-run.ts";
import { gatesOf, removeMade, resultOf, serverTraces, stopServers } from "./traces.ts";
import { writeStackFile } from "./work-dir.ts";

/** What the bench of one profile found, before it is a record. */
type Findings = Pick<BenchRecord, "outcome" | "reason" | "model" | "result" | "gates" | "memory" | "corpus"> & {
  readonly spans: readonly Span[];
};

/** Benches one profile and writes its record into `benchmarks/`. */
export async function benchOne(
  variant: Variant,
  request: BenchRequest,
  place: PulumiPlace,
  progress: BenchProgress,
  signal: AbortSignal,
): Promise<{ record: BenchRecord; file: string }> {
  const startedAt = new Date().toISOString();
  const startMs = performance.now();
  progress.begin(variant.id);
  const { spans, ...findings } = await find(variant, request, place, progress, signal);
  const endMs = performance.now();
  const { id, basedOn, set, drop } = variant;
  const record: BenchRecord = {
    version: 1,
    profile: id,
    basedOn: id === basedOn ? null : basedOn,
    set: { ...set },
    drop: [...drop],
    stack: benchStack(id),
    startedAt,
    wallSec: (endMs - startMs) / 1000,
    phases: phaseSeconds(spans, startMs, endMs),
    ...findings,
  };
  const file = recordFileName(record);
  await writeWhole(join(request.projectDir, "benchmarks", file), `${JSON.stringify(record, null, 1)}\n`);
  progress.end(
    id,
    record.wallSec,
    `${record.outcome}${record.outcome === "measured" ? `: benchmarks/${record.result ?? ""}` : `: ${record.reason}`}`,
  );
  return { record, file };
}

/** Plans the stack, and lets it measure itself if the plan allows. An error of the bench itself is an outcome of this profile, not of the others. */
async function find(
  variant: Variant,
  request: BenchRequest,
  place: PulumiPlace,
  progress: BenchProgress,
  signal: AbortSignal,
): Promise<Findings> {
  const stack = benchStack(variant.id);
  const settings = stackSettings(request.settings, variant.id, request.modelsPath);
  const nothing = { model: null, result: null, gates: [], memory: [], corpus: { name: "none", contextTokens: 0, chunks: 0 }, spans: [] };
  try {
    const config = parseStackConfig(stack, asPulumiConfig(settings));
    const { corpus, contextTokens, chunks } = config.gates.perplexity;
    const planned = plan(stack, config, place.workDir);
    const common = { ...nothing, corpus: { name: corpus, contextTokens, chunks } };
    if ("outcome" in planned) return { ...common, ...planned };
    const memory = memoryOf(planned.plan);
    await writeStackFile(place.workDir, stack, settings);
    return { ...common, model: planned.model, memory, ...(await measure(stack, variant.id, request, place, progress, signal)) };
  } catch (error) {
    signal.throwIfAborted();
    return { ...nothing, outcome: error instanceof ConfigError ? "unreadable" : "failed", reason: describeError(error) };
  }
}

/** The stack's plan, or why it gets none: `unreadable` where the profile's file is missing or does not parse, `refused` where what it says can't run. */
function plan(
  stack: string,
  config: StackConfig,
  workDir: string,
): Pick<Findings, "model"> & ({ plan: StackPlan } | Pick<Findings, "outcome" | "reason">) {
  const read = readTextIn(workDir);
  const id = config.profile;
  const file = `configs/llama-cpp-${id}.env`;
  const { model } = parseProfile(read(file) ?? "", { id, file });
  try {
    return { model, plan: planStack(stack, config, read) };
  } catch (error) {
    if (error instanceof ConfigError) return { model, outcome: "refused", reason: error.message };
    throw error;
  }
}

const memoryOf = ({ memory }: StackPlan): BenchRecord["memory"] =>
  memory.plan.kind === "unknown"
    ? []
    : memory.plan.devices.map(({ device, lowMiB, expectedMiB, highMiB, budgetMiB }) => ({
        device,
        lowMiB,
        expectedMiB,
        highMiB,
        budgetMiB,
      }));

async function measure(
  stack: string,
  profile: string,
  { projectDir, docker, isKept }: BenchRequest,
  place: PulumiPlace,
  progress: BenchProgress,
  signal: AbortSignal,
): Promise<Pick<Findings, "outcome" | "reason" | "result" | "gates" | "spans">> {
  const bench = await openNew(stack, docker, place, progress);
  const watch = {
    phase: (phase: BenchPhase) => progress.phase(phase),
    said: (line: string) => progress.line(line),
  };
  const { outputs, ...traces } = await bench.up(watch, signal);
  const gates = gatesOf(outputs);
  const result = resultOf(join(projectDir, "benchmarks"), profile, gates);
  const server = await serverTraces(docker, stack);
  const { outcome, reason } = decideOutcome({ result, gates, ...traces, ...server });
  progress.phase("destroy");
  const left = isKept ? null : await remove(bench, stack, docker, false).then(() => null, describeError);
  if (left !== null) await stopServers(docker, stack);
  const notGone = left === null ? "" : `; its stack could not be removed: ${left}; remove it with: npm run bench -- ${profile} --remove`;
  return { outcome, reason: `${reason}${notGone}`, result, gates, spans: traces.spans };
}

/** The stack, with nothing in it: what an earlier bench kept would be taken for measured now. */
async function openNew(stack: string, docker: Docker, place: PulumiPlace, progress: BenchProgress): Promise<BenchStack> {
  const found = await BenchStack.open(stack, place);
  if (found.isNew) return found;
  progress.line("its stack is there already, from an earlier bench: removing that first");
  await remove(found, stack, docker, true);
  return BenchStack.open(stack, place);
}

/**
 * Ends what an interrupted bench of a stack is still at: programs that Pulumi started outlive it, and a server would be on the device that a paused stack is
 * about to get back. What it made stays, stopped; the next run removes it.
 */
export async function standDown(stack: string, { workDir }: PulumiPlace, docker: Docker): Promise<void> {
  await endOrphans(workDir);
  await stopServers(docker, stack);
}

/** Removes a bench stack that an interrupted run left, or that was kept; says whether there was one. */
export async function removeStack(stack: string, place: PulumiPlace, docker: Docker): Promise<boolean> {
  const bench = await BenchStack.open(stack, place);
  await remove(bench, stack, docker, true);
  return !bench.isNew;
}

async function remove(bench: BenchStack, stack: string, docker: Docker, isInterrupted: boolean): Promise<void> {
  await removeMade(docker, stack);
  await bench.forget(isInterrupted);
}
