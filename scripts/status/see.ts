import type Docker from "dockerode";
import { gatewayName } from "../../plan/names.ts";
import type { HostSeen } from "../../plan/rollout/types.ts";
import type { LockStatus } from "../../plan/status.ts";
import { GatewayControl } from "../rollout/gateway.ts";
import { describeLock, type Lock } from "../rollout/lock.ts";
import { livenessOf } from "../rollout/owner.ts";
import { recoveryDevice } from "../rollout/recover.ts";
import { StackHost } from "../rollout/stack-host.ts";

/** A stack on its host. A stopped gateway is asked where it points too: that is where it will when it runs again. */
export async function seeStack(docker: Docker, stack: string): Promise<HostSeen> {
  const seen = await new StackHost(docker, stack, { readyTimeoutSec: 0, drainSec: 0 }).see();
  if (seen.gateway !== "stopped") return seen;
  const state = await new GatewayControl(docker, gatewayName(stack)).state().catch(() => null); // it may never have run
  return { ...seen, active: state?.active ?? null };
}

/** Whether a lock is that of a rollout of this stack. */
export const isRolloutOf =
  (stack: string) =>
  ({ device, record }: Lock): boolean =>
    record.stack === stack && device !== recoveryDevice(stack);

export async function seeLock(lock: Lock): Promise<LockStatus> {
  const liveness = await livenessOf(lock.record.owner);
  return { device: lock.device, holder: describeLock(lock), isAlive: liveness === "unknown" ? null : liveness === "alive" };
}
