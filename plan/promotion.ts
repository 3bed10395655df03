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

export type PromoteInput = z.infer<typeof promoteInputSchema>;

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

/** What the Docker host says of a stack's traffic before a deployment; what `scripts/traffic.ts` prints. */
export const trafficSchema = z.strictObject({
  /** Release that the gateway's pointer names; null: none. */
  active: z.string().nullable(),
  /** When the pointer was made, in ISO form; null where there is none. */
  switchedAt: z.string().nullable(),
  /** Rollout of the stack that holds a device: one that is at work, or one that was killed; null: none. */
  rollout: z.string().nullable(),
});
export type Traffic = z.infer<typeof trafficSchema>;

/** Environment variable of `promote` with what {@link findRepair} says; empty where it says nothing. */
export const repairVariable = "PROMOTE_REPAIR";

/**
 * Why `promote` has to run although nothing that it is told has changed: the host is not as the stack's last deployment left it, and what serves may be about to
 * be deleted. Undefined where nothing is wrong, and where there is nothing to put back: `promoted` null, no release took traffic yet; `seen` null, no gateway is there.
 * Never the same twice: it says when.
 */
export function findRepair(promoted: string | null, seen: Traffic | null): string | undefined {
  if (promoted === null || seen === null) return undefined;
  const since = seen.switchedAt === null ? "" : ` since ${seen.switchedAt}`;
  const reasons = [
    ...(seen.active === promoted
      ? []
      : [`release ${promoted} was promoted last, but ${describeActive(seen.active)} takes the traffic${since}`]),
    ...(seen.rollout === null ? [] : [`rollout ${seen.rollout} has not ended`]),
  ];
  return reasons.length === 0 ? undefined : reasons.join("; ");
}

const describeActive = (active: string | null): string => (active === null ? "no release" : `release ${active}`);
