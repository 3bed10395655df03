import type Docker from "dockerode";
import { describeUntouched, servingRelease, type ServingSeen } from "../plan/serving.ts";
import { connectDocker } from "./docker/host.ts";
import { describeError } from "./program.ts";
import { readLocks } from "./rollout/lock.ts";
import { isRolloutOf, seeLock, seeStack } from "./status/see.ts";

/** What a stack's host says of its traffic; undefined where no engine can be asked. `promoted` is what its state says was promoted last, where that is known. */
export async function seeServing(docker: Docker, stack: string, promoted?: string | null): Promise<ServingSeen | undefined> {
  try {
    const [seen, locks] = await Promise.all([seeStack(docker, stack), readLocks(docker, stack)]);
    const held = await Promise.all(locks.filter(isRolloutOf(stack)).map(seeLock));
    return { seen, locks: held, promoted: promoted === undefined ? seen.active : promoted };
  } catch {
    return undefined;
  }
}

/** Release that takes a stack's requests now; null where none was promoted yet, undefined where none takes them, or no engine can be asked. */
export async function readServing(docker: Docker, stack: string): Promise<string | null | undefined> {
  return servingRelease(stack, await seeServing(docker, stack));
}

/** Does what comes before a rollout touches anything. @throws {Error} with what serves all the same, unless `signal` stopped it */
export async function beforeRollout<T>(stack: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Error(`${describeError(error)}\n${describeUntouched(await readServing(connectDocker(null), stack))}`);
  }
}
