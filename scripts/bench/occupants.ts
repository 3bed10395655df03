import type Docker from "dockerode";
import { labels } from "../../plan/names.ts";

/** Stacks with a running server on one of these GPUs, but for `except`; none without GPUs: a server that idles takes no CPU. */
export async function occupantsOf(docker: Docker, gpus: readonly string[], except: ReadonlySet<string>): Promise<string[]> {
  if (gpus.length === 0) return [];
  const servers = await docker.listContainers({ filters: { label: [`${labels.role}=server`] } });
  const stacks = await Promise.all(
    servers.map(async ({ Id, Labels }) => {
      const stack = Labels[labels.stack] ?? "";
      if (except.has(stack)) return [];
      const { HostConfig } = await docker.getContainer(Id).inspect();
      const ids = (HostConfig.DeviceRequests ?? []).flatMap(({ DeviceIDs }) => DeviceIDs ?? []);
      return gpus.some((gpu) => ids.includes(gpu)) ? [stack] : [];
    }),
  );
  return [...new Set(stacks.flat())].sort();
}
