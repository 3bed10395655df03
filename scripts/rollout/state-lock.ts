import { readdir, readFile } from "node:fs/promises";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { z } from "zod";
import { projectName } from "../../plan/config/stack-config.ts";
import { projectDir } from "../paths.ts";
import { isRunning } from "./owner.ts";

/** What Pulumi's file backend writes into a lock. */
const stateLockSchema = z.object({ pid: z.number().int(), hostname: z.string() });
const projectFileSchema = z.object({ backend: z.object({ url: z.string() }).optional() });

/**
 * Who holds the lock on a stack's state: nobody, a CLI that was killed (`stale`), or one that may be at work. `none` where the backend is not a folder of this
 * machine: such a backend minds its own locks.
 */
export async function readStateLock(stack: string): Promise<"none" | "stale" | "held"> {
  const root = await backendFolder();
  if (root === undefined) return "none";
  const folder = join(root, ".pulumi", "locks", "organization", projectName, stack);
  const files = (await readdir(folder).catch(() => [])).filter((file) => file.endsWith(".json")); // beside each lies one with its attributes
  const locks = await Promise.all(
    files.map(async (file) => stateLockSchema.safeParse(JSON.parse(await readFile(join(folder, file), "utf8")))),
  );
  if (locks.length === 0) return "none";
  const dead = await Promise.all(
    locks.map(async (lock) => lock.success && lock.data.hostname === hostname() && !(await isRunning(lock.data.pid))),
  );
  return dead.every(Boolean) ? "stale" : "held";
}

async function backendFolder(): Promise<string | undefined> {
  const { backend } = projectFileSchema.parse(parse(await readFile(join(projectDir, "Pulumi.yaml"), "utf8")));
  const url = process.env["PULUMI_BACKEND_URL"] ?? backend?.url ?? "";
  if (!url.startsWith("file://")) return undefined;
  return url.startsWith("file://~") ? join(homedir(), url.slice("file://~".length)) : fileURLToPath(url);
}
