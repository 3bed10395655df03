import { Command } from "commander";
import type Docker from "dockerode";
import { parseDeclared } from "../../plan/drift/declared.ts";
import { gatewayName } from "../../plan/names.ts";
import type { RolloutRecord } from "../../plan/rollout/records.ts";
import { connectDocker, exists } from "../docker/host.ts";
import { describeError, log } from "../program.ts";
import { clearPending, readPromotion, readPulumi } from "../pulumi.ts";
import { describeLock, describeOwner, readLocks, type Lock } from "../rollout/lock.ts";
import { endOrphanPlugins } from "../rollout/orphan-plugins.ts";
import { removeOrphans } from "../rollout/orphans.ts";
import { livenessOf } from "../rollout/owner.ts";
import { describeEnd, recoverRollout, recoverStack, recoveryDevice, type RecoverOptions } from "../rollout/recover.ts";
import { StackHost } from "../rollout/stack-host.ts";
import { removeTornAttributes } from "../rollout/state-attributes.ts";
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
    .option("--force", "also take over a rollout or a recovery whose process can't be looked at from this machine")
    .option("--json", "print the result as JSON")
    .action(async (only: string | undefined, { force = false, json = false }: { force?: boolean; json?: boolean }) => {
      const abort = new AbortController();
      process.once("SIGINT", () => abort.abort(new Error("stopped by SIGINT; run it again to go on")));
      const docker = connectDocker(null);
      // first: with one of them, no pulumi command says anything of any stack
      await removeTornAttributes((line) => log(`recover: ${line}`));
      if (only !== undefined) await requireStack(docker, only);
      const stacks = only === undefined ? await stacksOnHost(docker) : [only];
      const results: Recovery[] = [];
      for (const stack of stacks) {
        const result = await recover(docker, stack, force, abort.signal);
        if (result.result !== "busy") await mendState(docker, stack);
        results.push(result);
      }
      await endOrphanPlugins((line) => log(`recover: ${line}`)); // last: one may be the owner of a rollout that was recovered
      const lines = results.map(({ stack, message }) => `${stack}: ${message}`);
      process.stdout.write(json ? `${JSON.stringify(results, null, 2)}\n` : `${lines.join("\n") || "no stack is on this Docker host"}\n`);
      if (results.some(({ result }) => result === "degraded" || result === "busy")) process.exitCode = 1;
    });
}

async function recover(docker: Docker, stack: string, force: boolean, signal: AbortSignal): Promise<Recovery> {
  const progress = progressOf(stack);
  const locks = await readLocks(docker, stack);
  for (const lock of locks) {
    const message = await describeBusy(lock, force);
    if (message !== null) return { stack, result: "busy", message };
  }
  let last: RolloutRecord | undefined;
  for (const lock of oneByRollout(locks.filter(({ device }) => device !== recoveryDevice(stack)))) {
    progress(`a rollout was killed (${describeLock(lock)})`);
    last = (await recoverRollout(docker, lock.record, { reason: "its process was killed", force, signal, progress })) ?? last;
  }
  if (last === undefined) return recoverFree(docker, stack, { reason: "npm run recover", force, signal, progress });
  if (last.result === "degraded") return degraded(stack, last.reason ?? "unknown");
  return { stack, result: last.serving === null ? "idle" : "serves", message: describeEnd(last) };
}

/** Why what holds a lock is left alone; null where it may be recovered. A recovery of this machine that is at work is waited for. */
async function describeBusy(lock: Lock, force: boolean): Promise<string | null> {
  const { stack, owner } = lock.record;
  const isRecovery = lock.device === recoveryDevice(stack);
  const liveness = await livenessOf(owner);
  if (liveness === "alive" && !isRecovery) return `a rollout is at work (${describeLock(lock)}); wait for it, or stop it with Ctrl-C`;
  if (liveness !== "unknown" || force) return null;
  const what = isRecovery
    ? `a recovery was begun on another machine (${describeOwner(lock)})`
    : `a rollout was begun on another machine (${describeLock(lock)})`;
  return `${what}; if it is gone for good: npm run recover -- ${stack} --force`;
}

/** One lock of each rollout: it has one for each of its devices. */
const oneByRollout = (locks: readonly Lock[]): Lock[] => [...new Map(locks.map((lock) => [lock.record.rollout, lock])).values()];

/** A stack whose devices no rollout holds. */
async function recoverFree(docker: Docker, stack: string, options: RecoverOptions): Promise<Recovery> {
  const outcome = await recoverStack(docker, stack, defaultTimes, options);
  if (outcome.kind === "serves") return { stack, result: "serves", message: `release ${outcome.release} serves` };
  if (outcome.kind === "idle") return nothingActive(docker, stack);
  if (outcome.kind === "busy")
    return {
      stack,
      result: "busy",
      message: `a rollout is at work (${describeLock(outcome.rollout)}), which began meanwhile and goes on from here`,
    };
  return degraded(stack, "reason" in outcome ? outcome.reason : outcome.kind);
}

/** Where no release takes traffic and none was ever promoted, nothing is wrong. */
async function nothingActive(docker: Docker, stack: string): Promise<Recovery> {
  const promoted = (await readPromotion(stack).catch(() => null))?.releaseId; // a state that can't be read from here says nothing
  if (promoted === undefined) return { stack, result: "idle", message: `no release is active; run: npm run up -- ${stack}` };
  if (!(await exists(docker.getContainer(gatewayName(stack)))))
    return degraded(stack, `the gateway's container is gone, and so are its servers`);
  const mend = `npm run up -- ${stack} --yes`;
  return { stack, result: "degraded", message: `DEGRADED: the gateway routes to no release, the stack promoted ${promoted}; run: ${mend}` };
}

const degraded = (stack: string, reason: string): Recovery => ({
  stack,
  result: "degraded",
  message: `DEGRADED: ${reason}; bring it back through its gates: npm run up -- ${stack} --yes -- --refresh`,
});

/** Takes away what a killed CLI left in the way of the next deployment: its lock on the state, and objects that it made and did not record. */
async function mendState(docker: Docker, stack: string): Promise<void> {
  const progress = progressOf(stack);
  const seen = await readStateLocks(stack);
  const locks = seen ?? [];
  if (!locks.every(({ isDead }) => isDead)) {
    progress("a pulumi command works on its state; nothing was looked for that a killed one left");
    return;
  }
  try {
    if (locks.length > 0) {
      await readPulumi(["cancel", "--yes", "--stack", stack]);
      progress("the lock of a killed pulumi command was taken off its state");
    }
    if (seen !== undefined) await clearBegun(stack, progress); // where locks can't be seen, what was begun may be at work
    const { active } = await new StackHost(docker, stack, defaultTimes).see();
    for (const name of await removeOrphans(docker, stack, active))
      progress(`removed ${name}, which a killed pulumi command made and did not record`);
  } catch (error) {
    progress(`its state was not looked at: ${describeError(error)}`);
  }
}

/** Clears what a killed command had begun, where there is any: drift would tell of it for ever. */
async function clearBegun(stack: string, progress: (line: string) => void): Promise<void> {
  const { pending } = parseDeclared(stack, await readPulumi(["stack", "export", "--stack", stack]));
  if (pending.length === 0) return;
  await clearPending(stack);
  progress(`cleared from its state what a killed pulumi command had begun: ${pending.join(", ")}`);
}

const progressOf =
  (stack: string) =>
  (line: string): void =>
    log(`recover: ${stack}: ${line}`);
