import type Docker from "dockerode";
import { labels, objectLabels } from "../../plan/names.ts";
import { ownerSchema } from "../../plan/rollout/records.ts";
import { livenessOf, thisProcess } from "../rollout/owner.ts";
import { dockerStatus } from "./host.ts";

/** Labels of a short-lived container that this process makes for a stack. */
export async function helperLabels(stack: string): Promise<Record<string, string>> {
  return { ...objectLabels(stack, "helper"), [labels.process]: JSON.stringify(await thisProcess()) };
}

/** Longest wait for a removal that somebody else has begun, milliseconds: a process that uses a GPU takes seconds to end. */
const removalMs = 30_000;

/**
 * Removes the helpers of a stack whose process is gone, with `force` also those whose process can't be looked at: each has a guard that does so, but a guard may be
 * killed too, or come later than who needs what the helper holds. They are gone when this returns.
 */
export async function removeDeadHelpers(docker: Docker, stack: string, force = false): Promise<void> {
  for (const { Id, Labels } of await listHelpers(docker, stack)) {
    const owner = ownerSchema.safeParse(JSON.parse(Labels[labels.process] ?? "null"));
    const liveness = owner.success ? await livenessOf(owner.data) : "alive";
    if (liveness === "dead" || (liveness === "unknown" && force)) await removeHelper(docker.getContainer(Id));
  }
}

/** Whether a helper of a stack runs. */
export async function hasRunningHelper(docker: Docker, stack: string): Promise<boolean> {
  return (await listHelpers(docker, stack)).some(({ State }) => State === "running");
}

const listHelpers = (docker: Docker, stack: string): Promise<Docker.ContainerInfo[]> =>
  docker.listContainers({ all: true, filters: { label: [`${labels.stack}=${stack}`, `${labels.role}=helper`] } });

/** Returns when the helper is gone, whoever removes it: until then it holds its GPU. */
async function removeHelper(container: Docker.Container): Promise<void> {
  try {
    await container.remove({ force: true, v: true });
  } catch (error) {
    if (dockerStatus(error) === 404) return;
    if (dockerStatus(error) !== 409) throw error;
    await untilRemoved(container); // its guard is at it
  }
}

/** @throws {Error} if it is still there after {@link removalMs} */
async function untilRemoved(container: Docker.Container): Promise<void> {
  try {
    await container.wait({ condition: "removed", abortSignal: AbortSignal.timeout(removalMs) });
  } catch (error) {
    if (dockerStatus(error) !== 404) throw new Error(`helper ${container.id} does not go away`, { cause: error });
  }
}
