import { readdir, readFile } from "node:fs/promises";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { projectName } from "../../plan/config/stack-config.ts";
import { projectDir } from "../paths.ts";
import { isRunning } from "./owner.ts";

/** What Pulumi's file backend writes into a lock. @see pkg/backend/diy/lock.go of pulumi 3.259.0 */
const stateLockSchema = z.object({ pid: z.number(), username: z.string(), hostname: z.string(), timestamp: z.string() });
const projectFileSchema = z.object({ backend: z.object({ url: z.string() }).optional() });

/** One lock on a stack's state. */
export interface StateLock {
  readonly by: string;
  /** Whether its process is known to be gone; one of another machine can't be looked at and counts as there. */
  readonly isDead: boolean;
}

/**
 * Pulumi's locks on a stack's state; null for one that can't be read: released meanwhile, or being written. Undefined where the backend is not a folder of this
 * machine: such a backend minds its own locks.
 */
export async function readStateLocks(stack: string): Promise<readonly (StateLock | null)[] | undefined> {
  const root = await backendFolder();
  if (root === undefined) return undefined;
  const folder = join(root, ".pulumi", "locks", "organization", projectName, stack);
  const files = (await readdir(folder).catch(() => [])).filter((file) => file.endsWith(".json")); // beside each lies one with its attributes
  return Promise.all(files.map((file) => readLock(join(folder, file))));
}

async function readLock(file: string): Promise<StateLock | null> {
  try {
    const { pid, username, hostname: host, timestamp } = stateLockSchema.parse(JSON.parse(await readFile(file, "utf8")));
    return {
      by: `pulumi, process ${pid} of ${username} on ${host}, since ${timestamp}`,
      isDead: host === hostname() && !(await isRunning(pid)),
    };
  } catch {
    return null;
  }
}

async function backendFolder(): Promise<string | undefined> {
  const { backend } = projectFileSchema.parse(parse(await readFile(join(projectDir, "Pulumi.yaml"), "utf8")));
  const url = process.env["PULUMI_BACKEND_URL"] ?? backend?.url;
  if (url?.startsWith("file://") !== true) return undefined;
  const path = url.slice("file://".length);
  return path.startsWith("~") ? join(homedir(), path.slice(1)) : path;
}
