import { z } from "zod";

const percent = z.number().positive().lt(100);

export const speedMetricNameSchema = z.enum(["decode", "prompt", "firstToken"]);
/** `decode` and `prompt` are tokens per second, higher is better; `firstToken` is milliseconds to the first token, lower is better. */
export type SpeedMetricName = z.infer<typeof speedMetricNameSchema>;

export const startLevelSchema = z.enum(["mean", "best"]);
export type StartLevel = z.infer<typeof startLevelSchema>;

const gatedMetricSchema = z.strictObject({
  scenario: z.string().min(1),
  metric: speedMetricNameSchema,
  /** Largest accepted worsening against the baseline; `@default` the gate's `marginPercent`. */
  marginPercent: percent.optional(),
  /** Worst accepted value where there is no baseline: at least this many tokens per second, at most this many milliseconds. */
  floor: z.number().positive().optional(),
});
export type GatedMetric = z.infer<typeof gatedMetricSchema>;

/**
 * What the benchmark gate decides by. The reasons for the defaults are in docs/gates.md.
 * `looks` are the numbers of server starts after which it may decide; the last one is the budget.
 */
export const benchmarkThresholdsSchema = z.strictObject({
  metrics: z.array(gatedMetricSchema).min(1),
  marginPercent: percent.default(5),
  alpha: z.number().gt(0).lt(0.5).default(0.05),
  looks: z
    .array(z.number().int().min(2).max(64))
    .min(1)
    .max(10)
    .refine((looks) => looks.every((look, index) => index === 0 || look > (looks[index - 1] ?? 0)), "expected rising numbers of starts")
    .default([3, 5, 8, 12, 20]),
  /** What stands for a start: the mean of its requests, or on a host whose CPUs others use too, its best one: neighbours only ever slow. */
  startLevel: startLevelSchema.default("mean"),
  /** Spread of the starts above which nothing is decided. */
  maxVariationPercent: percent.default(5),
  /** Load average per CPU above which a start is taken beside too much other work to fail a release on; the server itself makes about 1 on a CPU host. */
  maxLoadPerCpu: z.number().positive().default(2),
  /** Spread between measurements made at different times on this host beyond what one run's starts show. */
  sessionSpreadPercent: z.number().min(0).lt(100).default(0.5),
  /** Where committed speeds without samples are all there is: largest accepted worsening, and how far such a number may be off by itself. */
  stated: z.strictObject({ marginPercent: percent.default(10), spreadPercent: percent.default(2) }).prefault({}),
  /** Largest accepted disagreement between the client's decode speed and the server's own, median over requests. */
  timingsTolerancePercent: percent.default(2),
});
export type BenchmarkThresholds = z.infer<typeof benchmarkThresholdsSchema>;

/** What the perplexity gate decides by. @see docs/gates.md for the reasons. */
export const perplexityThresholdsSchema = z.strictObject({
  /** Largest accepted rise of perplexity over the reference of the very same model file: build, cache types, flags. */
  marginPercent: percent.default(1),
  /** Largest accepted rise where the reference is of another file of the family: another quant. */
  quantMarginPercent: percent.default(3),
  alpha: z.number().gt(0).lt(0.5).default(0.05),
  /** Highest accepted perplexity where there is no reference; without one the verdict is `inconclusive` then. */
  ceiling: z.number().gt(1).optional(),
});
export type PerplexityThresholds = z.infer<typeof perplexityThresholdsSchema>;

/** What the answers gate decides by. @see docs/gates.md for the reasons. */
export const answersThresholdsSchema = z.strictObject({
  /** Least accepted share of leading tokens equal to the reference's, mean over prompts. */
  minEqualTokensPercent: z.number().min(0).max(100).default(50),
  /** Least accepted share of equal tokens on positions reached with the same text before them. */
  minTopTokenAgreementPercent: z.number().min(0).max(100).default(90),
  /** Largest accepted Kullback-Leibler divergence from a reference of the very same model file, mean over compared positions, in nats. */
  maxDivergenceNats: z.number().positive().default(0.02),
  /** The same where the reference is of another file of the family, another quant, or it is not known of which. */
  quantMaxDivergenceNats: z.number().positive().default(0.1),
});
export type AnswersThresholds = z.infer<typeof answersThresholdsSchema>;
