import type Docker from "dockerode";
import { labels } from "../../plan/names.ts";
import { removeDeadHelpers } from "../docker/helper-labels.ts";
import { readStateIds } from "../pulumi.ts";

/**
 * Removes what a killed CLI made for a stack and did not get to write into the state, so that the next deployment can make it again: servers that never ran
 * or don't run and take no traffic, a gateway that routes to nothing, networks without containers. Volumes hold data and are found again by their name.
 * Gives the names of what was removed.
 */
export async function removeOrphans(docker: Docker, stack: string, active: string | null): Promise<string[]> {
  await removeDeadHelpers(docker, stack);
  const known = await readStateIds(stack);
  const filters = { label: [`${labels.stack}=${stack}`] };
  const removed: string[] = [];
  for (const { Id, Names, Labels, State } of await docker.listContainers({ all: true, filters })) {
    const role = Labels[labels.role];
    const isSpare = role === "server" ? State !== "running" && Labels[labels.release] !== active : role === "gateway" && active === null;
    if (!isSpare || known.has(Id)) continue;
    await docker.getContainer(Id).remove({ force: true });
    removed.push(Names[0]?.slice(1) ?? Id);
  }
  for (const { Id, Name } of await docker.listNetworks({ filters })) {
    if (known.has(Id)) continue;
    const { Containers } = (await docker.getNetwork(Id).inspect()) as { Containers?: Record<string, unknown> };
    if (Object.keys(Containers ?? {}).length > 0) continue;
    await docker.getNetwork(Id).remove();
    removed.push(Name);
  }
  return removed;
}
