import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { LockRecord } from "../../plan/rollout/records.ts";

/** What a program of a rollout tells its guard. */
export interface RolloutGuard {
  /** The program's part is done and good: from now on only the rollout's owner is watched. */
  handOver(): void;
  /** The rollout is over: nothing is left to watch. */
  end(): void;
}

/**
 * Starts a guard beside a program of a rollout. If the program ends in whatever way before it handed over, or later the owner of the rollout does before the
 * rollout has ended, the guard recovers. It has a session of its own, so that a signal for this process group does not reach it.
 */
export function guardRollout(record: LockRecord): RolloutGuard {
  const script = fileURLToPath(new URL("guard.ts", import.meta.url));
  const guard = spawn(process.execPath, [script], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
  guard.unref();
  guard.stdin.on("error", () => undefined); // a guard that was killed can't be told anything
  guard.stdin.write(`${JSON.stringify(record)}\n`);
  return {
    handOver: () => void guard.stdin.write("passed\n"),
    end: () => void guard.kill("SIGKILL"),
  };
}
