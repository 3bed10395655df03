import type { StackConfig } from "../config/stack-config.ts";
import type { MemoryPlan } from "../memory/types.ts";
import type { RolloutPlan } from "./records.ts";
import type { MemoryNeed } from "./strategy.ts";

/** Device of a lock by the id that Docker knows the GPU by. */
const gpuDevice = (id: string): string => `gpu-${id}`;

/** Whether a device is a GPU. */
export const isGpu = (device: string): boolean => device.startsWith(gpuDevice(""));

/** GPUs of each of a release's servers, in order: all of them for one server, else equal shares. */
export function gpusByReplica({ gpus }: StackConfig["device"], replicas: number): readonly (readonly string[])[] {
  const share = gpus.length / replicas;
  return Array.from({ length: replicas }, (_, replica) => gpus.slice(replica * share, (replica + 1) * share));
}

/** Most memory that one server takes, by device: of GPUs the plan's upper bound, of the host the container's limit; null where it is not planned. */
export function needOfServer(plan: MemoryPlan, gpus: readonly string[], memoryMiB: number): MemoryNeed | null {
  if (plan.kind === "unknown") return null;
  const onGpus = gpus.map((id, index) => [gpuDevice(id), plan.devices.find(({ device }) => device === `gpu${index}`)?.highMiB] as const);
  if (onGpus.some(([, mib]) => mib === undefined)) return null;
  return { host: memoryMiB, ...(Object.fromEntries(onGpus) as MemoryNeed) };
}

/** Sum over servers; null where one is not known. */
export function sumNeeds(needs: readonly (MemoryNeed | null)[]): MemoryNeed | null {
  const sum: Record<string, number> = {};
  for (const need of needs) {
    if (need === null) return null;
    for (const [device, mib] of Object.entries(need)) sum[device] = (sum[device] ?? 0) + mib;
  }
  return sum;
}

/** What the programs of a rollout are told. A stack without GPUs holds the CPUs while it measures: two measurements at once would measure each other. */
export function planRollout(
  stack: string,
  releaseId: string,
  config: StackConfig,
  need: MemoryNeed | null,
  readyTimeoutSec: number,
): RolloutPlan {
  const { gpus, vramMiB } = config.device;
  const { strategy, lockWaitSec } = config.rollout;
  return {
    stack,
    releaseId,
    strategy,
    devices: gpus.length === 0 ? ["cpu"] : gpus.map(gpuDevice),
    need,
    budget: vramMiB === undefined ? {} : Object.fromEntries(gpus.map((id) => [gpuDevice(id), vramMiB])),
    readyTimeoutSec,
    drainSec: config.gateway.drainSec,
    lockWaitSec,
  };
}
