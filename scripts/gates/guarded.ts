import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/**
 * Starts a guard that removes a container if this process ends in whatever way, SIGKILL too, and returns what ends the guard. The guard
 * has a session of its own, so that a signal for this process group does not reach it.
 */
export function guardContainer(host: string | null, id: string): () => void {
  const script = fileURLToPath(new URL("guard.ts", import.meta.url));
  const guard = spawn(process.execPath, [script, host ?? "", id], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
  guard.unref();
  return () => void guard.kill("SIGKILL");
}
