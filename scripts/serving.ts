import type Docker from "dockerode";
import { gatewayName } from "../plan/names.ts";
import { describeUntouched } from "../plan/serving.ts";
import { connectDocker, dockerStatus } from "./docker/host.ts";
import { describeError } from "./program.ts";
import { GatewayControl } from "./rollout/gateway.ts";

/** Release that takes a stack's traffic; null where nothing was deployed or promoted yet, undefined where no engine or no running gateway can be asked. */
export async function servingRelease(docker: Docker, stack: string): Promise<string | null | undefined> {
  try {
    const { State } = await docker.getContainer(gatewayName(stack)).inspect();
    return State.Running ? (await new GatewayControl(docker, gatewayName(stack)).state()).active : undefined;
  } catch (error) {
    return dockerStatus(error) === 404 ? null : undefined;
  }
}

/** Does what comes before a rollout touches anything. @throws {Error} with what serves all the same, unless `signal` stopped it */
export async function beforeRollout<T>(stack: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Error(`${describeError(error)}\n${describeUntouched(await servingRelease(connectDocker(null), stack))}`);
  }
}
