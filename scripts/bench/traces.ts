import { existsSync } from "node:fs";
import { join } from "node:path";
import type Docker from "dockerode";
import type { BenchTraces } from "../../plan/bench/outcome.ts";
import { resultFileName } from "../../plan/benchmark/result.ts";
import { gateResultSchema, type GateResult } from "../../plan/gates/verdict.ts";
import { labels } from "../../plan/names.ts";
import { logTail } from "../gates/candidate.ts";
import type { UpTraces } from "./stack-run.ts";

/** What every gate of a stack printed, from what its resources gave out. */
export function gatesOf(outputs: UpTraces["outputs"]): GateResult[] {
  return outputs.flatMap(({ stdout: line }) => {
    if (typeof line !== "string" || !line.includes('"gate"')) return [];
    const parsed = gateResultSchema.safeParse(JSON.parse(line));
    return parsed.success ? [parsed.data] : [];
  });
}

/** Name of the result file that a benchmark wrote into a folder; null where there is none. */
export function resultOf(folder: string, profile: string, gates: readonly GateResult[]): string | null {
  const names = gates.filter(({ gate }) => gate === "benchmark").map(({ startedAt }) => resultFileName(profile, startedAt));
  return names.find((name) => existsSync(join(folder, name))) ?? null;
}

const logLines = 40;

/** What the stack's server containers tell of their end. */
export async function serverTraces(docker: Docker, stack: string): Promise<Pick<BenchTraces, "isOomKilled" | "serverLog">> {
  const filters = { label: [`${labels.stack}=${stack}`, `${labels.role}=server`] };
  const servers = await docker.listContainers({ all: true, filters });
  const traces = await Promise.all(
    servers.map(async ({ Id }) => {
      const container = docker.getContainer(Id);
      const { State } = await container.inspect();
      return {
        isOomKilled: State.OOMKilled,
        log: await logTail(container, logLines),
      };
    }),
  );
  return { isOomKilled: traces.some((one) => one.isOomKilled), serverLog: traces.map(({ log }) => log).join("\n") };
}

/** Ends the servers of a stack that run: nothing of it may use the devices any longer. */
export async function stopServers(docker: Docker, stack: string): Promise<void> {
  const filters = { label: [`${labels.stack}=${stack}`, `${labels.role}=server`] };
  for (const { Id } of await docker.listContainers({ filters })) await docker.getContainer(Id).stop();
}

/** Removes what a bench stack made on the Docker host, and what a killed run left there; images stay, other stacks share them. */
export async function removeMade(docker: Docker, stack: string): Promise<void> {
  const filters = { label: [`${labels.stack}=${stack}`] };
  const containers = await docker.listContainers({ all: true, filters });
  await Promise.all(containers.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true })));
  const [networks, { Volumes }] = await Promise.all([docker.listNetworks({ filters }), docker.listVolumes({ filters })]);
  await Promise.all([
    ...networks.map(({ Id }) => docker.getNetwork(Id).remove()),
    ...Volumes.map(({ Name }) => docker.getVolume(Name).remove({ force: true })),
  ]);
}
