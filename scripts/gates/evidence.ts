import { posix } from "node:path";

import { baseImage, type StackPlan } from "../../plan/stack.ts";
import { connectDocker, exists } from "../docker/host.ts";
import { readStackPlan } from "../images/stack-plan.ts";
import { VolumeStore } from "./volume-store.ts";

/** A stack's plan with its evidence volume, open. */
export interface StackEvidence extends AsyncDisposable {
  readonly plan: StackPlan;
  readonly store: VolumeStore;
}

/**
 * Opens the evidence volume of a stack for a command.
 * @throws {Error} if the volume is not on the Docker host: no gate has run there
 */
export async function openEvidence(stack: string, owner: string): Promise<StackEvidence> {
  const plan = await readStackPlan(stack);
  const docker = connectDocker(null);
  const { volume } = plan.evidence;
  if (!(await exists(docker.getVolume(volume))))
    throw new Error(`stack ${stack} has no evidence: volume ${volume} is not on the Docker host; deploy it first: npm run up -- ${stack}`);
  const store = await VolumeStore.open(docker, volume, baseImage, `${stack}/${owner}`);
  return { plan, store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

/** Folders directly below one of the volume, sorted. */
export async function foldersBelow(store: VolumeStore, folder: string): Promise<string[]> {
  const names = (await store.list(folder)).flatMap(({ name }) => (name.includes("/") ? [name.slice(0, name.indexOf("/"))] : []));
  return [...new Set(names)].sort().map((name) => posix.join(folder, name));
}
