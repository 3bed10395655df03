import { Command } from "commander";
import type Docker from "dockerode";
import type { RolloutRecord } from "../../plan/rollout/records.ts";
import { connectDocker } from "../docker/host.ts";
import { describeError, log } from "../program.ts";
import { readPulumi } from "../pulumi.ts";
import { describeLock, readLocks, removeLock, type Lock } from "../rollout/lock.ts";
import { removeOrphans } from "../rollout/orphans.ts";
import { livenessOf } from "../rollout/owner.ts";
import { describeEnd, recoverRollout, recoverStack, recoveryDevice } from "../rollout/recover.ts";
import { StackHost } from "../rollout/stack-host.ts";
import { readStateLocks } from "../rollout/state-lock.ts";
import { requireStack, stacksOnHost } from "./known-stack.ts";

/** Times for a stack that no rollout holds, so that no lock says what it wants: the longest load of a big model, and a drain that interrupts nobody. */
const defaultTimes = { readyTimeoutSec: 900, drainSec: 120 };

/** What became of one stack. */
interface Recovery {
  readonly stack: string;
  readonly result: "serves" | "idle" | "degraded" | "busy";
  readonly message: string;
}

/** `npm run recover`: finishes or undoes what a killed rollout left. */
export function recoverCommand(): Command {
  return new Command("recover")
    .description("finish or undo what a killed rollout left, and make what passed its gates serve; safe at any time, also twice")
    .argument("[stack]", "stack name; without one, every stack of this Docker host")
    .option("--force", "also take over a rollout whose process can't be looked at from this machine")
    .option("--json", "print the result as JSON")
    .action(async (only: string | undefined, { force = false, json = false }: { force?: boolean; json?: boolean }) => {
      const abort = new AbortController();
      process.once("SIGINT", () => abort.abort(new Error("stopped by SIGINT; run it again to go on")));
      const docker = connectDocker(null);
      if (only !== undefined) await requireStack(docker, only);
      const stacks = only === undefined ? await stacksOnHost(docker) : [only];
      const results: Recovery[] = [];
      for (const stack of stacks) {
        const result = await recover(docker, stack, force, abort.signal);
        if (result.result !== "busy") await mendState(docker, stack);
        results.push(result);
      }
      const lines = results.map(({ stack, message }) => `${stack}: ${message}`);
      process.stdout.write(json ? `${JSON.stringify(results, null, 2)}\n` : `${lines.join("\n") || "no stack is on this Docker host"}\n`);
      if (results.some(({ result }) => result === "degraded" || result === "busy")) process.exitCode = 1;
    });
}

async function recover(docker: Docker, stack: string, force: boolean, signal: AbortSignal): Promise<Recovery> {
  const progress = progressOf(stack);
  const locks = await readLocks(docker, stack);
  await removeDead(
    docker,
    locks.filter(({ device }) => device === recoveryDevice(stack)),
  );
  const [lock] = locks.filter(({ device }) => device !== recoveryDevice(stack));
  if (lock === undefined) return recoverFree(docker, stack, signal, progress);
  const liveness = await livenessOf(lock.record.owner);
  if (liveness === "alive")
    return { stack, result: "busy", message: `a rollout is at work (${describeLock(lock)}); wait for it, or stop it with Ctrl-C` };
  if (liveness === "unknown" && !force) {
    const message = `a rollout was begun on another machine (${describeLock(lock)}); if it is gone for good: npm run recover -- ${stack} --force`;
    return { stack, result: "busy", message };
  }
  progress(`a rollout was killed (${describeLock(lock)})`);
  const ended = await recoverRollout(docker, lock.record, { reason: "its process was killed", signal, progress });
  return ended === undefined
    ? recoverFree(docker, stack, signal, progress)
    : { stack, result: resultOf(ended), message: describeEnd(ended) };
}

const resultOf = ({ result, serving }: RolloutRecord): Recovery["result"] =>
  result === "degraded" ? "degraded" : serving === null ? "idle" : "serves";

/** A stack whose devices no rollout holds. */
async function recoverFree(docker: Docker, stack: string, signal: AbortSignal, progress: (line: string) => void): Promise<Recovery> {
  const outcome = await recoverStack(docker, stack, defaultTimes, { reason: "npm run recover", signal, progress });
  if (outcome.kind === "serves") return { stack, result: "serves", message: `release ${outcome.release} serves` };
  if (outcome.kind === "idle") return { stack, result: "idle", message: `no release is active; run: npm run up -- ${stack}` };
  const reason = "reason" in outcome ? outcome.reason : outcome.kind;
  return {
    stack,
    result: "degraded",
    message: `DEGRADED: ${reason}; bring it back through its gates: npm run up -- ${stack} --yes -- --refresh`,
  };
}

/** Takes away what a killed CLI left in the way of the next deployment: its lock on the state, and objects that it made and did not record. */
async function mendState(docker: Docker, stack: string): Promise<void> {
  const progress = progressOf(stack);
  const locks = (await readStateLocks(stack)) ?? [];
  if (!locks.every(({ isDead }) => isDead)) {
    progress("a pulumi command works on its state; nothing was looked for that a killed one left");
    return;
  }
  try {
    if (locks.length > 0) {
      await readPulumi(["cancel", "--yes", "--stack", stack]);
      progress("the lock of a killed pulumi command was taken off its state");
    }
    const { active } = await new StackHost(docker, stack, defaultTimes).see();
    for (const name of await removeOrphans(docker, stack, active))
      progress(`removed ${name}, which a killed pulumi command made and did not record`);
  } catch (error) {
    progress(`its state was not looked at: ${describeError(error)}`);
  }
}

const progressOf =
  (stack: string) =>
  (line: string): void =>
    log(`recover: ${stack}: ${line}`);

async function removeDead(docker: Docker, locks: readonly Lock[]): Promise<void> {
  for (const lock of locks) if ((await livenessOf(lock.record.owner)) === "dead") await removeLock(docker, lock);
}
