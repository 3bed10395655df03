import type Docker from "dockerode";
import type { LockRecord, RolloutRecord } from "../../plan/rollout/records.ts";
import type { Outcome, Progress } from "../../plan/rollout/types.ts";
import { removeDeadHelpers } from "../docker/helper-labels.ts";
import { VolumeStore } from "../gates/volume-store.ts";
import { describeError } from "../program.ts";
import { drive } from "./drive.ts";
import { deviceInPause, readLocks, removeLock, tryLock, type Lock } from "./lock.ts";
import { endOwner, livenessOf, thisProcess } from "./owner.ts";
import { StackHost, type HostTimes } from "./stack-host.ts";
import { setTimeout as sleep } from "node:timers/promises";

/** How a recovery is told of, and stopped. */
export interface RecoverOptions {
  /** Why it is needed. */
  readonly reason: string;
  readonly signal: AbortSignal;
  /** Releases that are known to fail, with why. */
  readonly broken?: Progress["broken"];
  readonly progress: (line: string) => void;
}

const pollMs = 200;

/** Device that stands for "a recovery of this stack is at work": two of them would only wait for each other, but one of an older rollout must not meddle with a newer one. */
export const recoveryDevice = (stack: string): string => `recovery-${stack}`;

/**
 * Finishes or undoes what a rollout left, keeps a record of it, and frees its devices. Safe at any time and any number of times: it looks at the host and
 * does what is missing. Gives undefined if the rollout has ended meanwhile.
 */
export async function recoverRollout(docker: Docker, record: LockRecord, options: RecoverOptions): Promise<RolloutRecord | undefined> {
  const mutex = await enterRecovery(docker, record, options.signal);
  try {
    const locks = (await readLocks(docker, record.stack)).filter((lock) => lock.record.rollout === record.rollout);
    if (locks.length === 0) return undefined;
    const { candidate, previous } = record;
    await endGuests(docker, record, options.signal);
    const host = new StackHost(docker, record.stack, record);
    const outcome = await drive({ kind: "recover", candidate, previous }, { host, ...options }, options.broken);
    const ended = endOf(record, outcome, options.reason, host.outageMs);
    await keepRecord(docker, record, ended).catch((error: unknown) =>
      options.progress(`the record could not be kept: ${describeError(error)}`),
    );
    await removeDeadHelpers(docker, record.stack);
    for (const lock of locks) await removeLock(docker, lock);
    return ended;
  } finally {
    await removeLock(docker, mutex);
  }
}

/** Ends the rollouts that were let onto the devices of a pause: they belong to a run that was killed, else they would have ended before it. */
async function endGuests(docker: Docker, { rollout }: LockRecord, signal: AbortSignal): Promise<void> {
  const guests = (await readLocks(docker)).filter(({ device }) => device.endsWith(deviceInPause("", rollout)));
  for (const { record } of guests) {
    await endOwner(record.owner);
    await recoverRollout(docker, record, { reason: "the run that it belonged to was killed", signal, progress: () => undefined });
  }
}

/** A stack that no rollout holds: makes what is active serve, and stops what was left running. */
export async function recoverStack(docker: Docker, stack: string, times: HostTimes, options: RecoverOptions): Promise<Outcome> {
  const host = new StackHost(docker, stack, times);
  return drive({ kind: "recover", candidate: null, previous: null }, { host, ...options });
}

/** One recovery of a stack at a time; one whose process is gone does not count. */
async function enterRecovery(docker: Docker, record: LockRecord, signal: AbortSignal): Promise<Lock> {
  const device = recoveryDevice(record.stack);
  const own = { ...record, rollout: device, owner: await thisProcess(), since: new Date().toISOString() };
  for (;;) {
    signal.throwIfAborted();
    const lock = await tryLock(docker, device, own);
    if (lock !== undefined) return lock;
    const held = (await readLocks(docker, record.stack)).find((other) => other.device === device);
    if (held !== undefined && (await livenessOf(held.record.owner)) === "dead") await removeLock(docker, held);
    else await sleep(pollMs, undefined, { signal });
  }
}

/** What is recorded of a rollout that ended in this way. */
export function endOf(record: LockRecord, outcome: Outcome, reason: string | null, outageMs: number): RolloutRecord {
  const { stack, candidate, previous, strategy, since } = record;
  const serving = outcome.kind === "serves" ? outcome.release : null;
  const isPromoted = serving !== null && serving === candidate && (reason === null || candidate !== previous);
  const result = outcome.kind === "degraded" || outcome.kind === "failed" ? "degraded" : isPromoted ? "promoted" : "recovered";
  return {
    version: 1,
    stack,
    candidate,
    previous,
    strategy,
    since,
    endedAt: new Date().toISOString(),
    result,
    reason: result === "degraded" && "reason" in outcome ? [reason, outcome.reason].filter((part) => part !== null).join("; ") : reason,
    serving,
    outageSec: outageMs / 1000,
  };
}

/** Keeps the record of an ended rollout beside the evidence of its gates. */
export async function keepRecord(docker: Docker, { evidenceVolume, helperImage, stack }: LockRecord, ended: RolloutRecord): Promise<void> {
  await using store = await VolumeStore.open(docker, evidenceVolume, helperImage, `${stack}/rollout`);
  await store.append("rollouts", ended.endedAt, ended);
}

/** One sentence: what serves now, after which outage, and what to do if nothing does. */
export function describeEnd({ serving, result, outageSec, stack, reason }: RolloutRecord): string {
  const outage = outageSec === 0 ? "no request had to wait" : `requests waited ${outageSec.toFixed(1)} s`;
  if (result === "degraded")
    return `DEGRADED: stack ${stack} serves nothing: ${reason ?? "unknown"}; mend it and run: npm run recover -- ${stack}`;
  return serving === null ? "no release served before, and none does now" : `release ${serving} serves; ${outage}`;
}
