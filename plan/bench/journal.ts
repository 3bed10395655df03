import { z } from "zod";
import { changedInputs, type BenchInputs } from "./inputs.ts";
import { benchOutcomeSchema } from "./record.ts";

const entrySchema = z.discriminatedUnion("kind", [
  /** A run begins: what it was asked for, which a later run must ask for too to go on with it. */
  z.strictObject({ kind: z.literal("run"), request: z.string(), profiles: z.array(z.string()), at: z.string() }),
  z.strictObject({ kind: z.literal("begin"), profile: z.string(), stack: z.string(), at: z.string() }),
  z.strictObject({
    kind: z.literal("end"),
    profile: z.string(),
    record: z.string(),
    /** Hashes of what it was measured from, by name; none in a journal from before they were kept. */
    inputs: z.record(z.string(), z.string()).default({}),
    outcome: benchOutcomeSchema,
    wallSec: z.number(),
    measuredSec: z.number(),
    at: z.string(),
  }),
  /** A stack that an interrupted bench had left, or that was kept, is removed. */
  z.strictObject({ kind: z.literal("removed"), stack: z.string(), at: z.string() }),
  z.strictObject({ kind: z.literal("finished"), at: z.string() }),
]);
export type JournalEntry = z.infer<typeof entrySchema>;
export type EndEntry = Extract<JournalEntry, { kind: "end" }>;

/** What a journal says of the run that it is of. */
export interface JournalState {
  /** Null where no run began. */
  readonly request: string | null;
  readonly isFinished: boolean;
  /** The last bench of each profile that was done. */
  readonly done: readonly EndEntry[];
  /** Profile and stack that a killed run was in; what it left has to go first. Null: none. */
  readonly interrupted: { readonly profile: string; readonly stack: string } | null;
}

/** A journal's line, with its end. */
export const journalLine = (entry: JournalEntry): string => `${JSON.stringify(entry)}\n`;

/**
 * A run's state from its journal, of which only the last run counts. A line that was torn by a kill is as if it had not been written; it can only be
 * the last one.
 * @throws {Error} if a line before the last does not read.
 */
export function readJournal(text: string): JournalState {
  const lines = text.split("\n").filter((line) => line !== "");
  const entries = lines.flatMap((line, index): JournalEntry[] => {
    const parsed = entrySchema.safeParse(parseJson(line));
    if (parsed.success) return [parsed.data];
    if (index === lines.length - 1 && !text.endsWith("\n")) return [];
    throw new Error(`journal: line ${index + 1} does not read; remove the file to begin anew: ${line.slice(0, 80)}`);
  });
  const from = entries.findLastIndex(({ kind }) => kind === "run");
  const run = entries[from];
  if (run?.kind !== "run") return { request: null, isFinished: true, done: [], interrupted: null };
  const own = entries.slice(from + 1);
  const ends = own.filter((entry) => entry.kind === "end");
  const last = own.findLast(({ kind }) => kind === "begin" || kind === "end" || kind === "removed");
  return {
    request: run.request,
    isFinished: own.some(({ kind }) => kind === "finished"),
    done: [...new Map(ends.map((entry) => [entry.profile, entry])).values()],
    interrupted: last?.kind === "begin" ? { profile: last.profile, stack: last.stack } : null,
  };
}

/** Of what an interrupted run has done, what is asked for and made of the same still, and what has changed of the rest of what is asked for. */
export function whatHolds(
  done: readonly EndEntry[],
  asked: ReadonlyMap<string, BenchInputs>,
): { holds: EndEntry[]; changed: { profile: string; names: string[] }[] } {
  const compared = done.flatMap((entry) => {
    const now = asked.get(entry.profile);
    return now === undefined ? [] : [{ entry, names: changedInputs(entry.inputs, now) }];
  });
  return {
    holds: compared.filter(({ names }) => names.length === 0).map(({ entry }) => entry),
    changed: compared.filter(({ names }) => names.length > 0).map(({ entry: { profile }, names }) => ({ profile, names })),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // then no entry fits
  }
}
