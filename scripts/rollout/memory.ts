import type Docker from "dockerode";
import { labels } from "../../plan/names.ts";
import { sumNeeds } from "../../plan/rollout/plan.ts";
import { memoryNeedSchema, type MemoryNeed, type Neighbour } from "../../plan/rollout/strategy.ts";

/** What a release on the host was planned to need, all its servers together; null where a label does not say it. */
export async function readNeed(docker: Docker, stack: string, release: string): Promise<MemoryNeed | null> {
  const label = [`${labels.stack}=${stack}`, `${labels.release}=${release}`];
  const containers = await docker.listContainers({ all: true, filters: { label } });
  return containers.length === 0 ? null : sumNeeds(containers.map(needOf));
}

/** Servers of other stacks that run, and what each was planned to need. */
export async function readNeighbours(docker: Docker, stack: string): Promise<Neighbour[]> {
  const servers = await docker.listContainers({ filters: { label: [`${labels.role}=server`] } });
  const others = servers.filter(({ Labels }) => Labels[labels.stack] !== stack);
  return others.map((server) => ({ stack: server.Labels[labels.stack] ?? "", need: needOf(server) }));
}

function needOf({ Labels }: Docker.ContainerInfo): MemoryNeed | null {
  const text = Labels[labels.memory];
  return text === undefined ? null : memoryNeedSchema.parse(JSON.parse(text));
}
