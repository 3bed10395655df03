import { readFileSync } from "node:fs";
import { join } from "node:path";
import type Docker from "dockerode";
import type { EndEntry } from "../../plan/bench/journal.ts";
import { decideOutcome, phaseSeconds, workPhases, type Span } from "../../plan/bench/outcome.ts";
import { recordFileName, type BenchRecord } from "../../plan/bench/record.ts";
import { asPulumiConfig, benchStack, stackSettings, type StackSettings } from "../../plan/bench/settings.ts";
import type { Variant } from "../../plan/bench/variants.ts";
import { ConfigError } from "../../plan/config/errors.ts";
import { parseProfile } from "../../plan/config/profile.ts";
import { parseStackConfig, type StackConfig } from "../../plan/config/stack-config.ts";
import { planStack, type StackPlan } from "../../plan/stack.ts";
import type { ReadText } from "../../plan/stack-files.ts";
import { writeWhole } from "../files.ts";
import { describeError } from "../program.ts";
import { JournalFile } from "./journal-file.ts";
import { endOrphans } from "./orphans.ts";
import { BenchProgress } from "./progress.ts";
import { BenchStack, type PulumiPlace } from "./stack-run.ts";
import { gatesOf, removeLeftovers, resultOf, serverTraces } from "./traces.ts";
import { prepareWorkDir, writeStackFile } from "./work-dir.ts";

/** A matrix: what is benched, with whose settings, and where. */
export interface BenchRequest {
  readonly projectDir: string;
  readonly variants: readonly Variant[];
  /** Settings that all stacks share. */
  readonly settings: StackSettings;
  /** Folder on the Docker host with the models. */
  readonly modelsPath: string;
  /** Identifies the request in the journal. */
  readonly key: string;
  readonly isKept: boolean;
  readonly isFresh: boolean;
  readonly docker: Docker;
  readonly pulumi: Omit<PulumiPlace, "workDir">;
  /** How long profiles took before, seconds. */
  readonly expected: ReadonlyMap<string, number>;
}

/** What came of a matrix. */
export interface BenchSummary {
  readonly done: readonly EndEntry[];
  /** Profiles that an earlier, interrupted run had finished. */
  readonly resumed: number;
  /** Of this run: from its first moment to its last, and the part of it in which something was built, fetched or measured. */
  readonly wallSec: number;
  readonly measuredSec: number;
}

/** Benches every variant in order; none stops the others. What an interrupted run of the same request finished is not repeated. */
export async function runBench(request: BenchRequest, signal: AbortSignal): Promise<BenchSummary> {
  const startMs = performance.now();
  const workDir = join(request.projectDir, ".tools", "bench", "work");
  await using journal = await JournalFile.open(join(request.projectDir, ".tools", "bench", "journal.jsonl"));
  using progress = new BenchProgress(
    request.variants.map(({ id }) => id),
    request.expected,
  );
  const { state } = journal;
  const isResumed = !request.isFresh && !state.isFinished && state.request === request.key;
  if (state.interrupted !== null && (await endOrphans(workDir)) > 0) progress.line("ended what the killed run had left running");
  await prepareWorkDir(request.projectDir, workDir, request.variants);
  const place = { ...request.pulumi, workDir };
  if (state.interrupted !== null) {
    progress.line(`removing what the interrupted bench of ${state.interrupted.profile} left`);
    await removeStack(state.interrupted.stack, place, request.docker, true);
  }
  if (!isResumed) {
    await journal.reset();
    await journal.append({ kind: "run", request: request.key, profiles: request.variants.map(({ id }) => id), at: now() });
  }
  const before = isResumed ? state.done : [];
  if (before.length > 0) progress.line(`going on with an interrupted run: ${before.length} of ${request.variants.length} are done`);
  const done: EndEntry[] = [];
  for (const variant of request.variants.filter(({ id }) => !before.some(({ profile }) => profile === id))) {
    signal.throwIfAborted();
    await journal.append({ kind: "begin", profile: variant.id, stack: benchStack(variant.id), at: now() });
    const { record, file } = await benchOne(variant, request, place, progress, signal);
    const measuredSec = record.phases.filter(({ phase }) => workPhases.has(phase)).reduce((sum, { sec }) => sum + sec, 0);
    const end: EndEntry = {
      kind: "end",
      profile: variant.id,
      record: file,
      outcome: record.outcome,
      wallSec: record.wallSec,
      measuredSec,
      at: now(),
    };
    await journal.append(end);
    done.push(end);
  }
  await journal.append({ kind: "finished", at: now() });
  const measuredSec = done.reduce((sum, entry) => sum + entry.measuredSec, 0);
  return { done: [...before, ...done], resumed: before.length, wallSec: (performance.now() - startMs) / 1000, measuredSec };
}

const now = (): string => new Date().toISOString();

/** What the bench of one profile found, before it is a record. */
type Findings = Pick<BenchRecord, "outcome" | "reason" | "result" | "gates" | "memory" | "corpus"> & { readonly spans: readonly Span[] };

async function benchOne(
  variant: Variant,
  request: BenchRequest,
  place: PulumiPlace,
  progress: BenchProgress,
  signal: AbortSignal,
): Promise<{ record: BenchRecord; file: string }> {
  const startedAt = now();
  const startMs = performance.now();
  progress.begin(variant.id);
  const { spans, ...findings } = await find(variant, request, place, progress, signal);
  const endMs = performance.now();
  const { id, basedOn, set } = variant;
  const record: BenchRecord = {
    version: 1,
    profile: id,
    basedOn: id === basedOn ? null : basedOn,
    set: { ...set },
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
  const nothing = { result: null, gates: [], memory: [], corpus: { name: "none", contextTokens: 0, chunks: 0 }, spans: [] };
  try {
    const config = parseStackConfig(stack, asPulumiConfig(settings));
    const { corpus, contextTokens, chunks } = config.gates.perplexity;
    const planned = plan(stack, config, place.workDir);
    const common = { ...nothing, corpus: { name: corpus, contextTokens, chunks } };
    if ("outcome" in planned) return { ...common, ...planned };
    const memory = memoryOf(planned.plan);
    await writeStackFile(place.workDir, stack, settings);
    return { ...common, memory, ...(await measure(stack, variant.id, request, place, progress, signal)) };
  } catch (error) {
    signal.throwIfAborted();
    return { ...nothing, outcome: error instanceof ConfigError ? "unreadable" : "failed", reason: describeError(error) };
  }
}

/** The stack's plan, or why it gets none: `unreadable` where the profile's file is missing or does not parse, `refused` where what it says can't run. */
function plan(stack: string, config: StackConfig, workDir: string): { plan: StackPlan } | Pick<Findings, "outcome" | "reason"> {
  const read: ReadText = (path) => {
    try {
      return readFileSync(join(workDir, path), "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
      throw error;
    }
  };
  const id = config.profile;
  const file = `configs/llama-cpp-${id}.env`;
  parseProfile(read(file) ?? "", { id, file });
  try {
    return { plan: planStack(stack, config, read) };
  } catch (error) {
    if (error instanceof ConfigError) return { outcome: "refused", reason: error.message };
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
  const bench = await BenchStack.open(stack, place);
  const watch = {
    phase: (phase: BenchRecord["phases"][number]["phase"]) => progress.phase(phase),
    said: (line: string) => progress.line(line),
  };
  const traces = await bench.up(watch, signal);
  const gates = gatesOf(await bench.deployment());
  const result = resultOf(join(projectDir, "benchmarks"), profile, gates);
  const server = await serverTraces(docker, stack);
  if (!isKept) {
    progress.phase("destroy");
    await removeStack(stack, place, docker, false);
  }
  return { ...decideOutcome({ result, gates, ...traces, ...server }), result, gates, spans: traces.spans };
}

/** Removes a bench stack and everything it made. */
async function removeStack(stack: string, place: PulumiPlace, docker: Docker, isInterrupted: boolean): Promise<void> {
  const bench = await BenchStack.open(stack, place);
  await bench.remove(isInterrupted);
  await removeLeftovers(docker, stack);
}
