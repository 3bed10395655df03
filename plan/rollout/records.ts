import { z } from "zod";
import { memoryNeedSchema, strategySettingSchema } from "./strategy.ts";

/** What every program of a rollout is told about it, as a part of its own input. */
export const rolloutPlanSchema = z.strictObject({
  stack: z.string().min(1),
  /** The candidate. */
  releaseId: z.string().min(1),
  strategy: strategySettingSchema,
  /** Devices that one rollout at a time may use, over all stacks: `gpu-<id>` each, or `cpu`. */
  devices: z.array(z.string().regex(/^[A-Za-z0-9-]+$/)).min(1),
  /** The candidate's need of memory, as its label says it too; null: not planned. */
  need: memoryNeedSchema.nullable(),
  /** Memory of each GPU, MiB; the host's is asked of it. */
  budget: memoryNeedSchema,
  /** Seconds until a server that was started must answer. */
  readyTimeoutSec: z.number().positive(),
  /** Seconds that requests have to finish before their server is stopped. */
  drainSec: z.number().nonnegative(),
  /** Seconds to wait for another rollout on the same device. */
  lockWaitSec: z.number().nonnegative(),
});
export type RolloutPlan = z.infer<typeof rolloutPlanSchema>;

/** A process, so that another one with the same number is not taken for it. */
export const ownerSchema = z.strictObject({
  pid: z.number().int().positive(),
  /** Clock ticks after boot at which it started; field 22 of /proc/<pid>/stat. */
  startTicks: z.string(),
  /** Process that it was a child of; one that got another parent has nobody left to work for. Absent: it needs none. */
  parent: z.number().int().nonnegative().optional(),
  /** /proc/sys/kernel/random/boot_id: after a reboot no owner lives. */
  bootId: z.string(),
  hostname: z.string(),
  user: z.string(),
});
export type Owner = z.infer<typeof ownerSchema>;

/** What a lock says in its label: who holds it, and everything that its recovery needs to know. */
export const lockRecordSchema = z.strictObject({
  version: z.literal(1),
  /** One rollout's locks have the same; one per device. */
  rollout: z.string(),
  owner: ownerSchema,
  since: z.string(),
  stack: z.string(),
  /** What is tried; null: nothing, the stack only makes room. */
  candidate: z.string().nullable(),
  /** Release that was active when the rollout began. */
  previous: z.string().nullable(),
  strategy: z.enum(["bluegreen", "recreate"]),
  readyTimeoutSec: z.number().positive(),
  drainSec: z.number().nonnegative(),
  helperImage: z.string(),
  evidenceVolume: z.string(),
});
export type LockRecord = z.infer<typeof lockRecordSchema>;

/** How a rollout ended, kept with the evidence: `rollouts/` in the evidence volume. */
export const rolloutRecordSchema = z.strictObject({
  version: z.literal(1),
  stack: z.string(),
  candidate: z.string().nullable(),
  previous: z.string().nullable(),
  strategy: z.enum(["bluegreen", "recreate"]),
  since: z.string(),
  endedAt: z.string(),
  /** `promoted`: the candidate serves. `recovered`: another release does, or none did before. `degraded`: nothing does. */
  result: z.enum(["promoted", "recovered", "degraded"]),
  /** Why it was not promoted; null where it was. */
  reason: z.string().nullable(),
  /** Release that serves now. */
  serving: z.string().nullable(),
  /** Seconds in which requests had to wait. */
  outageSec: z.number().nonnegative(),
});
export type RolloutRecord = z.infer<typeof rolloutRecordSchema>;
