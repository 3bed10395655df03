import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import type { LockRecord } from "../../plan/rollout/records.ts";
import { describeOwner, findHolder, readLocks, removeLock, tryLock, type Lock } from "./lock.ts";
import { isSameOwner, livenessOf, thisProcess } from "./owner.ts";
import { nowAndThen, pollMs, type WaitOptions } from "./waiting.ts";

/** Device that stands for "a recovery of this stack is at work": two of them would only wait for each other, but one of an older rollout must not meddle with a newer one. */
export const recoveryDevice = (stack: string): string => `recovery-${stack}`;

/** The lock of a rollout of a stack, or of whatever else brings it to another state; undefined where none is there. */
export async function findRollout(docker: Docker, stack: string): Promise<Lock | undefined> {
  return (await readLocks(docker, stack)).find(({ device }) => device !== recoveryDevice(stack));
}

/**
 * One recovery of a stack at a time; one whose process is gone does not count, and with `force` neither does one whose process can't be looked at.
 * @throws {Error} naming a container that has the lock's name and is none
 */
export async function enterRecovery(
  docker: Docker,
  record: LockRecord,
  { signal, progress, force = false }: WaitOptions & { readonly force?: boolean },
): Promise<Lock> {
  const { stack } = record;
  const device = recoveryDevice(stack);
  const own = { ...record, rollout: device, owner: await thisProcess(), since: new Date().toISOString() };
  const tell = nowAndThen(progress);
  for (;;) {
    signal.throwIfAborted();
    const lock = await tryLock(docker, device, own);
    if (lock !== undefined) return lock;
    const holder = await findHolder(docker, device);
    if (holder?.lock === null) throw new Error(`no recovery of stack ${stack} can begin: ${holder.who}`);
    if (holder !== undefined) {
      const { owner } = holder.lock.record;
      if (isSameOwner(owner, own.owner)) return holder.lock; // of an earlier try of this process, which the engine broke off
      const liveness = await livenessOf(owner);
      if (liveness === "dead" || (liveness === "unknown" && force)) {
        await removeLock(docker, holder.lock);
        continue;
      }
      const away = liveness === "unknown" ? `; if it is gone for good: npm run recover -- ${stack} --force` : "";
      tell(`waiting for another recovery of the stack (${describeOwner(holder.lock)})${away}`);
    }
    await sleep(pollMs, undefined, { signal });
  }
}

/** Waits until no recovery of a stack is at work: it and a rollout would undo each other's steps. @throws {Error} naming who is at work, if that takes until `deadline` */
export async function waitForRecovery(docker: Docker, stack: string, deadline: number, { signal, progress }: WaitOptions): Promise<void> {
  const tell = nowAndThen(progress);
  for (;;) {
    signal.throwIfAborted();
    const held = (await readLocks(docker, stack)).find(({ device }) => device === recoveryDevice(stack));
    if (held === undefined || (await livenessOf(held.record.owner)) === "dead") return;
    const who = describeOwner(held);
    if (performance.now() >= deadline)
      throw new Error(
        `a recovery of stack ${stack} is at work (${who}); wait for it, or if it is gone for good run: npm run recover -- ${stack} --force`,
      );
    tell(`waiting for a recovery of the stack (${who})`);
    await sleep(pollMs, undefined, { signal });
  }
}
