import { readdir, readFile } from "node:fs/promises";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import type Docker from "dockerode";
import { parse } from "yaml";
import { z } from "zod";
import { projectName } from "../../plan/config/stack-config.ts";
import type { Declared } from "../../plan/drift/declared.ts";
import type { Activity } from "../../plan/drift/observation.ts";
import { projectDir } from "../paths.ts";
import { describeLock, readLocks as readRolloutLocks } from "../rollout/lock.ts";
import { isRunning, livenessOf } from "../rollout/owner.ts";

/** What Pulumi's file backend writes into a lock. @see pkg/backend/diy/lock.go of pulumi 3.259.0 */
const lockSchema = z.object({ pid: z.number(), username: z.string(), hostname: z.string(), timestamp: z.string() });

/** Folder of a `file://` backend; undefined where another backend is used, whose locks can't be looked at. */
async function backendFolder(): Promise<string | undefined> {
  const project = z
    .object({ backend: z.object({ url: z.string() }).optional() })
    .parse(parse(await readFile(join(projectDir, "Pulumi.yaml"), "utf8")));
  const url = process.env["PULUMI_BACKEND_URL"] ?? project.backend?.url;
  if (url?.startsWith("file://") !== true) return undefined;
  const path = url.slice("file://".length);
  return path.startsWith("~") ? join(homedir(), path.slice(1)) : path;
}

/** One lock; undefined where it was released meanwhile, or is being written. */
async function readLock(file: string): Promise<z.infer<typeof lockSchema> | undefined> {
  try {
    return lockSchema.safeParse(JSON.parse(await readFile(file, "utf8"))).data;
  } catch {
    return undefined;
  }
}

/** Locks of updates of a stack. */
async function readPulumiLocks(backend: string | undefined, stack: string): Promise<{ by: string; isDead: boolean }[]> {
  if (backend === undefined) return [];
  const folder = join(backend, ".pulumi", "locks", "organization", projectName, stack);
  const names = await readdir(folder).catch(() => []);
  const locks = (await Promise.all(names.map((name) => readLock(join(folder, name))))).flatMap((lock) => lock ?? []);
  return Promise.all(
    locks.map(async ({ pid, username, hostname: host, timestamp }) => ({
      by: `pulumi, process ${pid} of ${username} on ${host}, since ${timestamp}`,
      isDead: host === hostname() && !(await isRunning(pid)), // one of another machine can't be looked at and counts as there
    })),
  );
}

/**
 * Whether a deployment of a stack is under way, or was and did not end. Nothing is locked to find out. Pulumi's locks are read where the backend is a
 * folder; elsewhere only operations that the state shows as begun are seen, and count as running. `own` is the id of a lock that this process holds.
 */
export async function readActivity(
  docker: Docker,
  { stack, pending }: Pick<Declared, "stack" | "pending">,
  own?: string,
): Promise<Activity> {
  const [backend, all] = await Promise.all([backendFolder(), readRolloutLocks(docker, stack)]);
  const pulumi = await readPulumiLocks(backend, stack);
  const rollouts = await Promise.all(
    all
      .filter(({ id }) => id !== own)
      .map(async (lock) => ({ by: describeLock(lock), isDead: (await livenessOf(lock.record.owner)) === "dead" })),
  );
  const running = [...pulumi, ...rollouts].find(({ isDead }) => !isDead);
  if (running !== undefined) return { kind: "running", by: running.by };
  if (pending.length > 0 && backend === undefined) return { kind: "running", by: `an update that began ${pending.join(", ")}` };
  if (pulumi.length + rollouts.length + pending.length === 0) return { kind: "none" };
  const parts = [
    ...[...pulumi, ...rollouts].map(({ by }) => `${by}, which is gone and left its lock`),
    ...(pending.length === 0 ? [] : [`begun and not ended: ${pending.join(", ")}`]),
  ];
  return {
    kind: "interrupted",
    what: parts.join("; "),
    hasPending: pending.length > 0,
    isLocked: pulumi.length > 0,
    isRollout: rollouts.length > 0,
  };
}
