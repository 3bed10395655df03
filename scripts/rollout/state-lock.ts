import { readdir, readFile, stat } from "node:fs/promises";
import { homedir, hostname } from "node:os";
import { basename, join } from "node:path";
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

/** After how long a lock that is not whole will never be, milliseconds: one is written at once, of some hundred bytes. */
const writtenMs = 15_000;

/**
 * Pulumi's locks on a stack's state. A full disk or a kill may leave one that was never written whole, as an empty file or as the `.tmp` that was to become one; Pulumi
 * counts both. Undefined where the backend is not a folder of this machine: such a backend minds its own locks.
 */
export async function readStateLocks(stack: string): Promise<readonly StateLock[] | undefined> {
  const root = await backendFolder();
  if (root === undefined) return undefined;
  const folder = join(root, ".pulumi", "locks", "organization", projectName, stack);
  const files = (await readdir(folder).catch(() => [])).filter((file) => !file.endsWith(".attrs")); // beside each lies one with its attributes
  const locks = await Promise.all(files.map((file) => readLock(join(folder, file))));
  return locks.filter((lock) => lock !== undefined);
}

/** One lock; undefined if it was released meanwhile. */
async function readLock(file: string): Promise<StateLock | undefined> {
  try {
    const { pid, username, hostname: host, timestamp } = stateLockSchema.parse(JSON.parse(await readFile(file, "utf8")));
    return {
      by: `pulumi, process ${pid} of ${username} on ${host}, since ${timestamp}`,
      isDead: host === hostname() && !(await isRunning(pid)),
    };
  } catch {
    const seen = await stat(file).catch(() => undefined);
    if (seen === undefined) return undefined;
    const isDead = Date.now() - seen.mtimeMs > writtenMs;
    return { by: `pulumi, in ${basename(file)}, which is ${isDead ? "a lock that was never written whole" : "being written"}`, isDead };
  }
}

/** Folder that Pulumi keeps states in; undefined where its backend is none of this machine. */
export async function backendFolder(): Promise<string | undefined> {
  const { backend } = projectFileSchema.parse(parse(await readFile(join(projectDir, "Pulumi.yaml"), "utf8")));
  const url = process.env["PULUMI_BACKEND_URL"] ?? backend?.url;
  if (url?.startsWith("file://") !== true) return undefined;
  const path = url.slice("file://".length);
  return path.startsWith("~") ? join(homedir(), path.slice(1)) : path;
}
