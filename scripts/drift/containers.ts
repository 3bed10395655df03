import type Docker from "dockerode";
import type { DeclaredContainer } from "../../plan/drift/declared.ts";
import type { ContainerSeen, ContainerState } from "../../plan/drift/observation.ts";
import { labels } from "../../plan/names.ts";
import { dockerStatus } from "../docker/host.ts";
import { logTail } from "../gates/candidate.ts";

/** Lines of a stopped container's log that a finding shows. */
const logLines = 3;

/** Every container with the project's labels, running or not. */
export async function listLabelled(docker: Docker): Promise<ContainerSeen[]> {
  const all = await docker.listContainers({ all: true, filters: { label: [labels.stack] } });
  return all.map(({ Id, Names, Labels, State, ImageID }) => ({
    id: Id,
    name: Names[0]?.slice(1) ?? Id,
    stack: Labels[labels.stack] ?? "",
    role: Labels[labels.role] ?? "",
    release: Labels[labels.release] ?? null,
    status: State,
    image: ImageID,
  }));
}

/** A declared container by its name, as Docker has it. */
export async function inspectDeclared(docker: Docker, { name }: Pick<DeclaredContainer, "name">): Promise<ContainerState> {
  const container = docker.getContainer(name);
  try {
    const { Id, State, RestartCount, Image, Config, NetworkSettings } = await container.inspect();
    return {
      name,
      seen: {
        id: Id,
        stack: Config.Labels[labels.stack] ?? null,
        status: State.Status,
        exitCode: State.ExitCode,
        isOutOfMemory: State.OOMKilled,
        error: State.Error,
        restarts: RestartCount,
        startedAtMs: Date.parse(State.StartedAt),
        image: Image,
        networks: Object.keys(NetworkSettings.Networks),
        health: State.Health?.Status ?? null,
        logTail: State.Status === "running" || State.Status === "created" ? "" : await logTail(container, logLines),
      },
    };
  } catch (error) {
    if (dockerStatus(error) === 404) return { name, seen: null };
    throw error;
  }
}
