import { z } from "zod";

/** What a gate says. Only `passed` lets a release take traffic; `inconclusive` and `error` mean that nothing was shown either way. */
export const verdictSchema = z.enum(["passed", "failed", "inconclusive", "error"]);
export type Verdict = z.infer<typeof verdictSchema>;

export const gateNameSchema = z.enum(["benchmark", "perplexity", "answers"]);
export type GateName = z.infer<typeof gateNameSchema>;

/**
 * One measured quantity and what was decided on it. `differencePercent`, `intervalPercent` and `limitPercent` are relative to
 * `baseline`, signed as measured (-3.2: three per cent lower); they are null where there is no baseline; then `floor` (at least)
 * or `ceiling` (at most) decides, in the metric's unit.
 * `measured` is null where nothing could be measured.
 */
export const metricVerdictSchema = z.strictObject({
  name: z.string(),
  unit: z.string(),
  measured: z.number().nullable(),
  baseline: z.number().nullable(),
  differencePercent: z.number().nullable(),
  intervalPercent: z.tuple([z.number(), z.number()]).nullable(),
  limitPercent: z.number().nullable(),
  floor: z.number().nullable(),
  ceiling: z.number().nullable().default(null),
  verdict: verdictSchema,
  note: z.string().optional(),
});
export type MetricVerdict = z.infer<typeof metricVerdictSchema>;

/** Where the numbers compared against came from: an earlier promoted release, a committed file, the release that serves meanwhile, or nothing but floors. */
export const comparisonSchema = z.strictObject({
  source: z.enum(["stored", "committed", "serving", "floors"]),
  name: z.string(),
  recordedAt: z.string().nullable(),
  releaseId: z.string().nullable(),
});
export type Comparison = z.infer<typeof comparisonSchema>;

/**
 * What a gate program prints, as one JSON line: the verdict without its samples, which are in the file that `evidence` names
 * inside the evidence volume (null: could not be kept). A `dryRun` reports its verdict but does not decide.
 */
export const gateResultSchema = z.strictObject({
  version: z.literal(1),
  gate: gateNameSchema,
  verdict: verdictSchema,
  reason: z.string(),
  releaseId: z.string(),
  /** Container that was measured; not there where a gate measures in one of its own. */
  server: z.string().optional(),
  dryRun: z.boolean(),
  metrics: z.array(metricVerdictSchema),
  comparedWith: comparisonSchema.nullable(),
  samples: z.number().int().nonnegative(),
  startedAt: z.string(),
  wallSec: z.number().nonnegative(),
  evidence: z.string().nullable(),
});
export type GateResult = z.infer<typeof gateResultSchema>;

const bySeverity = ["failed", "error", "inconclusive", "passed"] as const;

/**
 * The verdict of several parts together: passed only if there is at least one part and all passed. A part that failed wins over
 * parts that could not tell. No parts at all is an `error`: nothing was checked.
 */
export function combineVerdicts(verdicts: readonly Verdict[]): Verdict {
  return bySeverity.find((verdict) => verdicts.includes(verdict)) ?? "error";
}

/** Exit code of a gate program: 0 passed (or a dry run that measured), 1 failed or error, 2 inconclusive. */
export function exitCodeOf(result: Pick<GateResult, "verdict" | "dryRun">): 0 | 1 | 2 {
  if (result.dryRun || result.verdict === "passed") return 0;
  return result.verdict === "inconclusive" ? 2 : 1;
}
