import { inputsOf, type BenchInputs } from "../../plan/bench/inputs.ts";
import { whatHolds, type EndEntry } from "../../plan/bench/journal.ts";
import { workPhases } from "../../plan/bench/outcome.ts";
import type { BenchRecord } from "../../plan/bench/record.ts";
import { benchStack } from "../../plan/bench/settings.ts";
import { removeInterrupted } from "./interrupted.ts";
import { JournalFile, journalOf } from "./journal-file.ts";
import { benchOne, standDown } from "./profile-run.ts";
import { BenchProgress } from "./progress.ts";
import { readTextIn } from "./read-text.ts";
import type { BenchRequest } from "./request.ts";
import { findPulumi } from "./stack-run.ts";
import { prepareWorkDir, workDirOf } from "./work-dir.ts";

/** What came of a matrix. */
export interface BenchSummary {
  readonly done: readonly EndEntry[];
  /** Profiles that an earlier, interrupted run had finished. */
  readonly resumed: number;
  /** Of this run: from its first moment to its last, and the part of it in which something was built, fetched or measured. */
  readonly wallSec: number;
  readonly measuredSec: number;
}

/**
 * Benches every variant in order; none stops the others. What an interrupted run of the same request finished is not repeated, unless what it was measured
 * from has changed since.
 */
export async function runBench(request: BenchRequest, signal: AbortSignal): Promise<BenchSummary> {
  const startMs = performance.now();
  const { variants } = request;
  using progress = new BenchProgress(
    variants.map(({ id }) => id),
    request.expected,
  );
  await removeInterrupted(request, (line) => progress.line(line));
  const workDir = workDirOf(request.projectDir);
  await using journal = await JournalFile.open(journalOf(request.projectDir, request.journal));
  await prepareWorkDir(request.projectDir, workDir, variants);
  const place = { ...request.pulumi, command: await findPulumi(), workDir };
  const inputs = new Map(variants.map(({ id }) => [id, inputsOf(id, readTextIn(workDir))]));
  const { state } = journal;
  const isResumed = !request.isFresh && !state.isFinished && state.request === request.key;
  if (!isResumed) {
    await journal.reset();
    await journal.append({ kind: "run", request: request.key, profiles: variants.map(({ id }) => id), at: now() });
  }
  const { holds: before, changed } = whatHolds(isResumed ? state.done : [], inputs);
  for (const { profile, names } of changed) progress.line(`${profile} is measured again: ${names.join(", ")} changed since`);
  if (before.length > 0) progress.line(`going on with an interrupted run: ${before.length} of ${variants.length} are done`);
  const done: EndEntry[] = [];
  for (const variant of variants.filter(({ id }) => !before.some(({ profile }) => profile === id))) {
    signal.throwIfAborted();
    await journal.append({ kind: "begin", profile: variant.id, stack: benchStack(variant.id), at: now() });
    const { record, file } = await benchOne(variant, request, place, progress, signal).catch(async (error: unknown) => {
      progress.line("stopped: ending what it is at, and its server");
      await standDown(benchStack(variant.id), place, request.docker);
      throw error;
    });
    const end = endOf(record, file, inputs.get(variant.id) ?? {});
    await journal.append(end);
    done.push(end);
  }
  if (!request.goesOn) await journal.append({ kind: "finished", at: now() });
  const all = [...before, ...done];
  return {
    done: variants.flatMap(({ id }) => all.filter(({ profile }) => profile === id)),
    resumed: before.length,
    wallSec: (performance.now() - startMs) / 1000,
    measuredSec: done.reduce((sum, entry) => sum + entry.measuredSec, 0),
  };
}

/** Ends a run that went on from request to request. */
export async function finishRun({ projectDir, journal: name }: Pick<BenchRequest, "projectDir" | "journal">): Promise<void> {
  await using journal = await JournalFile.open(journalOf(projectDir, name));
  await journal.append({ kind: "finished", at: now() });
}

const endOf = (record: BenchRecord, file: string, inputs: BenchInputs): EndEntry => ({
  kind: "end",
  profile: record.profile,
  record: file,
  inputs: { ...inputs },
  outcome: record.outcome,
  wallSec: record.wallSec,
  measuredSec: record.phases.filter(({ phase }) => workPhases.has(phase)).reduce((sum, { sec }) => sum + sec, 0),
  at: now(),
});

const now = (): string => new Date().toISOString();
