import type Docker from "dockerode";
import { labels, objectLabels } from "../../plan/names.ts";
import { ownerSchema } from "../../plan/rollout/records.ts";
import { livenessOf, thisProcess } from "../rollout/owner.ts";
import { dockerStatus } from "./host.ts";

/** Labels of a short-lived container that this process makes for a stack. */
export async function helperLabels(stack: string): Promise<Record<string, string>> {
  return { ...objectLabels(stack, "helper"), [labels.process]: JSON.stringify(await thisProcess()) };
}

/**
 * Removes the helpers of a stack whose process is gone: each has a guard that does so, but a process that is killed between making the container and starting
 * the guard has none.
 */
export async function removeDeadHelpers(docker: Docker, stack: string): Promise<void> {
  const label = [`${labels.stack}=${stack}`, `${labels.role}=helper`];
  for (const { Id, Labels } of await docker.listContainers({ all: true, filters: { label } })) {
    const owner = ownerSchema.safeParse(JSON.parse(Labels[labels.process] ?? "null"));
    if (!owner.success || (await livenessOf(owner.data)) !== "dead") continue;
    await docker
      .getContainer(Id)
      .remove({ force: true, v: true })
      .catch((error: unknown) => {
        if (dockerStatus(error) !== 404 && dockerStatus(error) !== 409) throw error;
      });
  }
}
