import { z } from "zod";

const tokens = z.number().int().positive();

const scenarioSchema = z.discriminatedUnion("kind", [
  /** Independent requests, each with a prompt of its own, prompt cache off. */
  z.strictObject({
    kind: z.literal("single"),
    name: z.string().min(1),
    promptTokens: tokens,
    generateTokens: tokens.min(2),
    requests: tokens,
  }),
  /** One conversation: every turn adds `promptTokens` of user text to all that was said before, prompt cache on. */
  z.strictObject({
    kind: z.literal("conversation"),
    name: z.string().min(1),
    promptTokens: tokens,
    generateTokens: tokens.min(2),
    turns: tokens.min(2),
    /** How often such a conversation is held per start. */
    conversations: tokens.default(1),
  }),
  /** One prompt that fills the serving context but for `reserveTokens`, on the first start only: it finds what short prompts hide. */
  z.strictObject({
    kind: z.literal("window"),
    name: z.string().min(1),
    generateTokens: tokens.min(2),
    reserveTokens: tokens,
    maxPromptTokens: tokens.optional(),
  }),
]);
export type Scenario = z.infer<typeof scenarioSchema>;

/** One set of scenarios with the limits it runs under. */
export const scenarioSetSchema = z.strictObject({
  seed: z.number().int().nonnegative(),
  /** Longest wait for one request, which bounds a server that hangs. */
  requestTimeoutSec: z.number().positive(),
  /** Longest wait after a start until a completion is answered. */
  readyTimeoutSec: z.number().positive(),
  scenarios: z
    .array(scenarioSchema)
    .min(1)
    .refine((scenarios) => new Set(scenarios.map((scenario) => scenario.name)).size === scenarios.length, "expected names that differ"),
});
export type ScenarioSet = z.infer<typeof scenarioSetSchema>;

/** Version of the way that scenario sets are run: measurements of different versions are not compared. 2: scenarios take turns within a start. */
export const protocolVersion = 2;

/** `configs/benchmark.yaml`: the scenario sets by name, with the version of the way they are run. */
export const benchmarkProtocolSchema = z.strictObject({
  version: z.literal(protocolVersion),
  sets: z.record(z.string(), scenarioSetSchema),
});
export type BenchmarkProtocol = z.infer<typeof benchmarkProtocolSchema>;

/**
 * The named scenario set.
 * @throws {RangeError} if there is no such set, naming those that there are.
 */
export function scenarioSetOf(protocol: BenchmarkProtocol, name: string): ScenarioSet {
  const set = protocol.sets[name];
  if (set === undefined)
    throw new RangeError(`scenarioSet: got ${JSON.stringify(name)}, expected one of ${Object.keys(protocol.sets).join(", ")}`);
  return set;
}
