import { z } from "zod";
import { gateResultSchema } from "../gates/verdict.ts";

/**
 * How the bench of one profile ended. `measured`: there is a result file, whatever the verdicts say; `incomplete`: there is one, but the update failed after
 * it, so something was not measured, or the release could not take a request; `refused`: the planner, or a flag that the build
 * doesn't know, before anything started; `out-of-memory`: at load or at a request; `failed-build`: an image; `unreadable`: a profile or an output that does
 * not read; `failed`: anything else, with Pulumi's own words.
 */
export const benchOutcomeSchema = z.enum(["measured", "incomplete", "refused", "out-of-memory", "failed-build", "unreadable", "failed"]);
export type BenchOutcome = z.infer<typeof benchOutcomeSchema>;

/** Part of a bench, as its progress shows it; `rest` is whatever Pulumi does between and around the others. */
export const benchPhaseSchema = z.enum(["image", "models", "perplexity", "benchmark", "answers", "promote", "destroy", "rest"]);
export type BenchPhase = z.infer<typeof benchPhaseSchema>;

const device = z.strictObject({
  device: z.string(),
  lowMiB: z.number(),
  expectedMiB: z.number(),
  highMiB: z.number(),
  budgetMiB: z.number().nullable(),
});

/** `benchmarks/bench-<profile>-<YYYYMMDD-HHMMSS>.json`: what came of one profile, beside the result file that its benchmark wrote. */
export const benchRecordSchema = z.strictObject({
  version: z.literal(1),
  profile: z.string().min(1),
  /** Profile that this one was made from, and the keys that differ or went; null and none where it is one of configs/. */
  basedOn: z.string().nullable(),
  set: z.record(z.string(), z.string()),
  drop: z.array(z.string()).default([]),
  /** Of configs/models.yaml, as the profile said then; null where the profile could not be read. */
  model: z.string().nullable().default(null),
  stack: z.string(),
  startedAt: z.string(),
  wallSec: z.number().nonnegative(),
  outcome: benchOutcomeSchema,
  reason: z.string(),
  phases: z.array(z.strictObject({ phase: benchPhaseSchema, sec: z.number().nonnegative() })),
  /** Name in `benchmarks/` of the result file; null where nothing was measured. */
  result: z.string().nullable(),
  gates: z.array(gateResultSchema),
  /** What perplexity was measured on. */
  corpus: z.strictObject({ name: z.string(), contextTokens: z.number().int(), chunks: z.number().int() }),
  /** What was planned; empty where it could not be. */
  memory: z.array(device),
});
export type BenchRecord = z.infer<typeof benchRecordSchema>;

/** Prefix of the records' names in `benchmarks/`. */
export const recordPrefix = "bench-";

/** File name of a record, after the UTC second that the bench of the profile began in. */
export function recordFileName({ profile, startedAt }: Pick<BenchRecord, "profile" | "startedAt">): string {
  return `${recordPrefix}${profile}-${startedAt.slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-")}.json`;
}
