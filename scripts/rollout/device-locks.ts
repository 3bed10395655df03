import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import type { LockRecord } from "../../plan/rollout/records.ts";
import { describeLock, findHolder, readLocks, removeLock, tryLock, type Holder, type Lock } from "./lock.ts";
import { isSameOwner, livenessOf } from "./owner.ts";
import { recoverRollout } from "./recover.ts";
import { waitForRecovery } from "./recovery-lock.ts";
import { nowAndThen, pollMs, type WaitOptions } from "./waiting.ts";

/**
 * Takes the locks of these devices, all or none, and waits until no recovery of the stack is at work. Gives the record that they hold: what `describe` said, or what an
 * earlier program of the same chain did, which holds them already. Another rollout may have ended during the wait, so it is described again afterwards, until the
 * record is true.
 * @throws {Error} if another rollout, or a recovery, takes too long
 */
export async function lockDevices(
  docker: Docker,
  devices: readonly string[],
  describe: () => Promise<LockRecord>,
  waitSec: number,
  options: WaitOptions,
): Promise<LockRecord> {
  const deadline = performance.now() + waitSec * 1000;
  for (;;) {
    const own = await describe();
    const taken: Lock[] = [];
    try {
      let held = own;
      for (const device of devices.toSorted()) {
        const lock = await lockDevice(docker, device, own, deadline, options);
        if (lock.record.rollout === own.rollout) taken.push(lock);
        else held = lock.record;
      }
      await waitForRecovery(docker, own.stack, deadline, options);
      if (held === own ? isSameStart(own, await describe()) : await isHeld(docker, held)) return held;
    } catch (error) {
      for (const lock of taken) await removeLock(docker, lock);
      throw error;
    }
    for (const lock of taken) await removeLock(docker, lock);
  }
}

const isSameStart = (a: LockRecord, b: LockRecord): boolean => a.previous === b.previous && a.strategy === b.strategy;

/** Whether a rollout still has locks: a recovery that was waited for may have ended it. */
const isHeld = async (docker: Docker, { stack, rollout }: LockRecord): Promise<boolean> =>
  (await readLocks(docker, stack)).some(({ record }) => record.rollout === rollout);

/** Takes one device's lock; one whose owner is dead is recovered first, one that another rollout holds is waited for. */
async function lockDevice(
  docker: Docker,
  device: string,
  record: LockRecord,
  deadline: number,
  { signal, progress }: WaitOptions,
): Promise<Lock> {
  const tell = nowAndThen(progress);
  for (;;) {
    signal.throwIfAborted();
    const lock = await tryLock(docker, device, record);
    if (lock !== undefined) return lock;
    const holder = await findHolder(docker, device);
    const held = holder?.lock ?? undefined;
    if (held !== undefined && isOwn(held.record, record)) return held;
    if (held !== undefined && (await livenessOf(held.record.owner)) === "dead") {
      progress(`a rollout was killed and left its lock (${describeLock(held)}); putting back what it found`);
      await recoverRollout(docker, held.record, { reason: "its process was killed", signal, progress });
      continue;
    }
    if (holder !== undefined) {
      if (performance.now() >= deadline) throw new Error(describeWait(holder));
      tell(held === undefined ? holder.who : `waiting for another rollout (${holder.who})`);
    }
    await sleep(pollMs, undefined, { signal });
  }
}

/** Whether a lock was taken by an earlier program of the same chain. */
const isOwn = (held: LockRecord, { owner, stack, candidate }: LockRecord): boolean =>
  isSameOwner(held.owner, owner) && held.stack === stack && held.candidate === candidate;

const describeWait = ({ lock, who }: Holder): string =>
  lock === null
    ? `the device can't be locked: ${who}`
    : `another rollout holds the device (${who}); wait for it, or if it is gone for good run: npm run recover -- ${lock.record.stack} --force`;
