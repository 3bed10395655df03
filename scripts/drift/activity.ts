import type Docker from "dockerode";
import type { Declared } from "../../plan/drift/declared.ts";
import type { Activity } from "../../plan/drift/observation.ts";
import { describeLock, readLocks as readRolloutLocks } from "../rollout/lock.ts";
import { livenessOf } from "../rollout/owner.ts";
import { readStateLocks } from "../rollout/state-lock.ts";

/**
 * Whether a deployment of a stack is under way, or was and did not end. Nothing is locked to find out. Pulumi's locks are read where the backend is a
 * folder; elsewhere only operations that the state shows as begun are seen, and count as running. `own` is the id of a lock that this process holds.
 */
export async function readActivity(
  docker: Docker,
  { stack, pending }: Pick<Declared, "stack" | "pending">,
  own?: string,
): Promise<Activity> {
  const [stateLocks, all] = await Promise.all([readStateLocks(stack), readRolloutLocks(docker, stack)]);
  const pulumi = stateLocks ?? [];
  const rollouts = await Promise.all(
    all
      .filter(({ id }) => id !== own)
      .map(async (lock) => ({ by: describeLock(lock), isDead: (await livenessOf(lock.record.owner)) === "dead" })),
  );
  const running = [...pulumi, ...rollouts].find(({ isDead }) => !isDead);
  if (running !== undefined) return { kind: "running", by: running.by };
  if (pending.length > 0 && stateLocks === undefined) return { kind: "running", by: `an update that began ${pending.join(", ")}` };
  if (pulumi.length + rollouts.length + pending.length === 0) return { kind: "none" };
  const parts = [
    ...[...pulumi, ...rollouts].map(({ by }) => `${by}, which is gone and left its lock`),
    ...(pending.length === 0 ? [] : [`begun and not ended: ${pending.join(", ")}`]),
  ];
  return {
    kind: "interrupted",
    what: parts.join("; "),
    hasPending: pending.length > 0,
    isLocked: pulumi.length > 0,
    isRollout: rollouts.length > 0,
  };
}
