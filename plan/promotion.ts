import { z } from "zod";
import { gateResultSchema } from "./gates/verdict.ts";

/** What `promote` is told, as JSON in the environment variable `PROMOTE_INPUT`. `benchmark` and `perplexity` are the gates' own lines. */
export const promoteInputSchema = z.strictObject({
  stack: z.string(),
  profile: z.string(),
  releaseId: z.string(),
  /** Server containers of the release, one per replica. */
  containers: z.array(z.string()).min(1),
  containerIds: z.array(z.string()).min(1),
  gateway: z.strictObject({ container: z.string(), id: z.string(), url: z.string() }),
  /** Seconds that requests still running on the release before have to finish. */
  drainSec: z.number().nonnegative(),
  evidenceVolume: z.string(),
  helperImage: z.string(),
  benchmark: z.string(),
  perplexity: z.string(),
});
export type PromoteInput = z.infer<typeof promoteInputSchema>;

/** A release that takes traffic: what `promote` prints, and a stack's output. `gates` are the results that let it through. */
export const promotionSchema = z.strictObject({
  endpoint: z.string(),
  releaseId: z.string(),
  profile: z.string(),
  /** The release that took traffic before; null: none did, or this one. */
  previous: z.string().nullable(),
  promotedAt: z.string(),
  gates: z.array(gateResultSchema),
});
export type Promotion = z.infer<typeof promotionSchema>;
