import process from "node:process";
import type Docker from "dockerode";
import { activeLink } from "../plan/gateway.ts";
import { gatewayName } from "../plan/names.ts";
import type { Traffic } from "../plan/promotion.ts";
import { statPath } from "./docker/files.ts";
import { connectDocker, dockerStatus } from "./docker/host.ts";
import { runProgram } from "./program.ts";
import { GatewayControl } from "./rollout/gateway.ts";
import { readLocks } from "./rollout/lock.ts";

/** `traffic.ts STACK`: prints where a stack's requests go, and whether a rollout of it has not ended; null where it has no gateway yet. */
await runProgram(async (): Promise<Traffic | null> => {
  const [stack] = process.argv.slice(2);
  if (stack === undefined) throw new Error("usage: traffic.ts STACK");
  const docker = connectDocker(null);
  const [pointer, locks] = await Promise.all([readPointer(docker, stack), readLocks(docker, stack)]);
  // a pause and a redeployment have no candidate: they leave the pointer alone
  const rollout = locks.find(({ record }) => record.candidate !== null)?.record.rollout ?? null;
  return pointer === null ? null : { ...pointer, rollout };
});

async function readPointer(docker: Docker, stack: string): Promise<Omit<Traffic, "rollout"> | null> {
  const name = gatewayName(stack);
  try {
    const link = await statPath(docker.getContainer(name), activeLink);
    if (link === undefined) return { active: null, switchedAt: null };
    const { active } = await new GatewayControl(docker, name).state();
    return { active, switchedAt: new Date(link.modifiedMs).toISOString() };
  } catch (error) {
    if (dockerStatus(error) === 404) return null;
    throw error;
  }
}
