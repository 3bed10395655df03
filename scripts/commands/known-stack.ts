import type Docker from "dockerode";
import { labels } from "../../plan/names.ts";
import { listStacks } from "../pulumi.ts";

/** Stacks that have a gateway, a server or a lock on a Docker host. */
export async function stacksOnHost(docker: Docker): Promise<string[]> {
  const containers = await docker.listContainers({ all: true, filters: { label: [labels.stack] } });
  const named = containers.filter(({ Labels }) => ["gateway", "server", "lock"].includes(Labels[labels.role] ?? ""));
  return [...new Set(named.map(({ Labels }) => Labels[labels.stack] ?? ""))].sort();
}

/** @throws {Error} naming the stacks that there are, if a stack is neither on the Docker host nor in Pulumi's backend: a misspelt name must not look like a healthy stack */
export async function requireStack(docker: Docker, stack: string): Promise<void> {
  const onHost = await stacksOnHost(docker);
  if (onHost.includes(stack)) return;
  const known = [...new Set([...onHost, ...(await listStacks())])].sort();
  if (known.includes(stack)) return;
  const there = known.length === 0 ? "there is none yet" : `there are ${known.join(", ")}`;
  throw new Error(
    `stack: got ${JSON.stringify(stack)}, expected one that was made; ${there}; a new one is made by: npm run up -- ${stack}`,
  );
}
