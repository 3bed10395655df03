import { z } from "zod";

import { scenarioSetSchema } from "../benchmark/protocol.ts";
import { subjectSchema } from "../benchmark/result.ts";
import { corpusSchema } from "../config/corpora.ts";
import { rolloutPlanSchema } from "../rollout/records.ts";
import { statedSpeedsSchema } from "./stated-speeds.ts";
import { answersThresholdsSchema, benchmarkThresholdsSchema, perplexityThresholdsSchema } from "./thresholds.ts";

const path = z.string().min(1);

/** What every gate program is told. Secrets come as files, never as values. */
const commonShape = {
  stack: z.string().min(1),
  ...subjectSchema.pick({ profile: true, releaseId: true, imageId: true, modelSha256: true, flags: true }).shape,
  /** Docker host as in DOCKER_HOST; null: the machine this runs on. */
  host: z.string().min(1).nullable(),
  /** Docker volume that keeps baselines, references and evidence. */
  evidenceVolume: z.string().min(1),
  /** Image id for helper containers that are created but never started. */
  helperImage: z.string().min(1),
  dryRun: z.boolean(),
  /** The rollout that this gate belongs to; null: it measures outside of one and leaves what serves alone. */
  rollout: rolloutPlanSchema.nullable(),
  /** The whole program ends by then, with verdict `error`. */
  deadlineSec: z.number().positive(),
} as const;

const servingShape = {
  /** Name or id of the candidate's container, already running, not yet serving. */
  container: z.string().min(1),
  /** File holding the server's API key; null: it wants none. */
  apiKeyFile: path.nullable().default(null),
} as const;

/** Input of `scripts/gates/benchmark.ts`. */
export const benchmarkInputSchema = z.strictObject({
  gate: z.literal("benchmark"),
  ...commonShape,
  ...servingShape,
  scenarioSet: z.string().min(1),
  /** The scenario set itself, so that the input says all that was asked. */
  protocol: scenarioSetSchema,
  thresholds: benchmarkThresholdsSchema,
  /** Folder for the result file; null: evidence in the volume only. */
  resultsFolder: path.nullable(),
  /** Committed speeds of this profile, with the host that they hold for; null: none. */
  stated: statedSpeedsSchema.nullable().default(null),
  /** Committed result file to compare with where the volume has no baseline for this host, model and protocol. */
  committedBaseline: path.nullable().default(null),
});
export type BenchmarkInput = z.infer<typeof benchmarkInputSchema>;

/** Input of `scripts/gates/perplexity.ts`. */
export const perplexityInputSchema = z.strictObject({
  gate: z.literal("perplexity"),
  ...commonShape,
  modelVolume: z.string().min(1),
  /** Path of the model file inside the volume; a volume that starts with `/` is a folder of the Docker host. */
  modelPath: path,
  corpus: corpusSchema,
  ctxSize: z.number().int().min(8),
  chunks: z.number().int().min(2),
  /** Further arguments of `llama-perplexity` that move its result or its need of memory: cache types, offload, threads. */
  arguments: z.array(z.string()),
  /** Of the container that runs it; null: all that the host has. */
  memoryMiB: z.number().int().positive().nullable(),
  cpus: z.number().positive().nullable(),
  /** GPU device ids; empty: none. */
  gpus: z.array(z.string()),
  thresholds: perplexityThresholdsSchema,
  /** Name of the model family whose reference applies, in the volume or in `committedReference`. */
  family: z.string().min(1),
  committedReference: path.nullable(),
});
export type PerplexityInput = z.infer<typeof perplexityInputSchema>;

/** Input of `scripts/gates/answers.ts`. */
export const answersInputSchema = z.strictObject({
  gate: z.literal("answers"),
  ...commonShape,
  ...servingShape,
  prompts: z.array(z.string().min(1)).min(1),
  generateTokens: z.number().int().min(1),
  topTokens: z.number().int().min(1).max(100),
  requestTimeoutSec: z.number().positive(),
  readyTimeoutSec: z.number().positive(),
  thresholds: answersThresholdsSchema,
  family: z.string().min(1),
  committedReference: path.nullable(),
});
export type AnswersInput = z.infer<typeof answersInputSchema>;

/** Input of a gate program, from the environment variable `GATE_INPUT`. */
export const gateInputSchema = z.discriminatedUnion("gate", [benchmarkInputSchema, perplexityInputSchema, answersInputSchema]);
export type GateInput = z.infer<typeof gateInputSchema>;

/** Name of the environment variable that holds a gate program's whole input as one JSON document. */
export const gateInputVariable = "GATE_INPUT";

/**
 * Reads a gate program's input.
 * @throws {Error} naming every field that does not fit, in one message.
 */
export function parseGateInput<S extends z.ZodType>(schema: S, text: string | undefined): z.infer<S> {
  if (text === undefined) throw new Error(`${gateInputVariable}: not set, expected one JSON document`);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new Error(`${gateInputVariable}: not JSON, expected one JSON document`, { cause });
  }
  const parsed = schema.safeParse(document);
  if (parsed.success) return parsed.data;
  throw new Error(parsed.error.issues.map((issue) => `${gateInputVariable}.${issue.path.join(".")}: ${issue.message}`).join("; "));
}
