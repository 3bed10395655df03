import { join } from "node:path";
import type { EndEntry } from "../../plan/bench/journal.ts";
import { workPhases } from "../../plan/bench/outcome.ts";
import { benchStack } from "../../plan/bench/settings.ts";
import { JournalFile } from "./journal-file.ts";
import { endOrphans } from "./orphans.ts";
import { benchOne, removeStack, standDown } from "./profile-run.ts";
import { BenchProgress } from "./progress.ts";
import type { BenchRequest } from "./request.ts";
import { findPulumi } from "./stack-run.ts";
import { prepareWorkDir } from "./work-dir.ts";

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
  await using journal = await JournalFile.open(join(request.projectDir, ".tools", "bench", `${request.journal}.jsonl`));
  using progress = new BenchProgress(
    request.variants.map(({ id }) => id),
    request.expected,
  );
  const { state } = journal;
  const isResumed = !request.isFresh && !state.isFinished && state.request === request.key;
  if (state.interrupted !== null && (await endOrphans(workDir)) > 0) progress.line("ended what the killed run had left running");
  await prepareWorkDir(request.projectDir, workDir, request.variants);
  const place = { ...request.pulumi, command: await findPulumi(), workDir };
  if (state.interrupted !== null) {
    progress.line(`removing what the interrupted bench of ${state.interrupted.profile} left`);
    await removeStack(state.interrupted.stack, place, request.docker);
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
    const { record, file } = await benchOne(variant, request, place, progress, signal).catch(async (error: unknown) => {
      progress.line("stopped: ending what it is at, and its server");
      await standDown(benchStack(variant.id), place, request.docker);
      throw error;
    });
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
