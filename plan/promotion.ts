import { z } from "zod";
import { gateResultSchema } from "./gates/verdict.ts";
import { rolloutPlanSchema } from "./rollout/records.ts";

/** What `promote` is told, as JSON in the environment variable `PROMOTE_INPUT`; `gates` are the gates' own lines. */
export const promoteInputSchema = z.strictObject({
  profile: z.string(),
  rollout: rolloutPlanSchema,
  /** Server containers of the release: another id is another container, so that promoting it is not "unchanged". */
  containerIds: z.array(z.string()).min(1),
  gateway: z.strictObject({ id: z.string(), url: z.string() }),
  evidenceVolume: z.string(),
  helperImage: z.string(),
  gates: z.array(z.string()).min(1),
});

/** A release that takes traffic: what `promote` prints, and a stack's output. `gates` are the results that let it through. */
export const promotionSchema = z.strictObject({
  endpoint: z.string(),
  releaseId: z.string(),
  profile: z.string(),
  /** The release that took traffic before; null: none did, or this one. */
  previous: z.string().nullable(),
  promotedAt: z.string(),
  /** Seconds in which requests had to wait. */
  outageSec: z.number().nonnegative().default(0),
  gates: z.array(gateResultSchema),
});
export type Promotion = z.infer<typeof promotionSchema>;
