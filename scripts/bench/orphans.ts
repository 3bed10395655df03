import { readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";

/** How long a process may take to end by itself, ms: Pulumi waits for what it is doing. */
const graceMs = 60_000;
const pollMs = 200;

/** Processes whose working directory is `dir`, or below it; none where the system has no /proc. */
async function processesIn(dir: string): Promise<number[]> {
  const ids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const found = await Promise.all(
    ids.map(async (id) => {
      const cwd = await readlink(join("/proc", id, "cwd")).catch(() => ""); // another user's, or gone
      return cwd === dir || cwd.startsWith(`${dir}/`) ? [Number(id)] : [];
    }),
  );
  return found.flat();
}

function send(ids: readonly number[], signal: NodeJS.Signals): void {
  for (const id of ids)
    try {
      process.kill(id, signal);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
    }
}

/** Ends what a killed run left running in its work dir: the Pulumi of a bench that got SIGKILL goes on without it. */
export async function endOrphans(dir: string): Promise<number> {
  const first = await processesIn(dir);
  send(first, "SIGINT");
  for (let waited = 0; waited < graceMs; waited += pollMs) {
    if ((await processesIn(dir)).length === 0) return first.length;
    await delay(pollMs);
  }
  send(await processesIn(dir), "SIGKILL");
  return first.length;
}
