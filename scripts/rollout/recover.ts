import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { labels, volumeName } from "../../plan/names.ts";
import type { LockRecord, RolloutRecord } from "../../plan/rollout/records.ts";
import type { Outcome, Progress } from "../../plan/rollout/types.ts";
import { hasRunningHelper, removeDeadHelpers } from "../docker/helper-labels.ts";
import { VolumeStore } from "../gates/volume-store.ts";
import { describeError } from "../program.ts";
import { drive } from "./drive.ts";
import { deviceInPause, describeLock, readLocks, removeLock, type Lock } from "./lock.ts";
import { endOwner, livenessOf, thisProcess } from "./owner.ts";
import { enterRecovery, findRollout, recoveryDevice } from "./recovery-lock.ts";
import { StackHost, type HostTimes } from "./stack-host.ts";
import { pollMs, type WaitOptions } from "./waiting.ts";

export { recoveryDevice };

/** How a recovery is told of, and stopped. */
export interface RecoverOptions extends WaitOptions {
  /** Why it is needed. */
  readonly reason: string;
  /** Releases that are known to fail, with why. */
  readonly broken?: Progress["broken"];
  /** Whether processes that can't be looked at from this machine count as gone. `@default` false */
  readonly force?: boolean;
}

/** How long the programs of a rollout may go on after its owner's end, milliseconds: they look for their parent once a second (`scripts/program.ts`), and end what they run. */
const programsEndMs = 3_000;

/**
 * Finishes or undoes what a rollout left, keeps a record of it, and frees its devices. Safe at any time and any number of times: it looks at the host and
 * does what is missing. Gives undefined if the rollout has ended meanwhile.
 */
export async function recoverRollout(docker: Docker, record: LockRecord, options: RecoverOptions): Promise<RolloutRecord | undefined> {
  const mutex = await enterRecovery(docker, record, options);
  try {
    const locks = (await readLocks(docker, record.stack)).filter((lock) => lock.record.rollout === record.rollout);
    if (locks.length === 0) return undefined;
    const { candidate, previous } = record;
    await endGuests(docker, record, options);
    await clearHelpers(docker, record.stack, (await livenessOf(record.owner)) === "dead", options);
    const host = new StackHost(docker, record.stack, record);
    const outcome = await drive({ kind: "recover", candidate, previous }, { host, ...options }, options.broken);
    const ended = endOf(record, outcome, options.reason, host.outageMs);
    await keepRecord(docker, record, ended).catch((error: unknown) =>
      options.progress(`the record could not be kept: ${describeError(error)}`),
    );
    for (const lock of locks) await removeLock(docker, lock);
    return ended;
  } finally {
    await removeLock(docker, mutex);
  }
}

/** Ends the rollouts that were let onto the devices of a pause: they belong to a run that was killed, else they would have ended before it. */
async function endGuests(docker: Docker, { rollout }: LockRecord, { signal, force }: RecoverOptions): Promise<void> {
  const guests = (await readLocks(docker)).filter(({ device }) => device.endsWith(deviceInPause("", rollout)));
  for (const { record } of guests) {
    await endOwner(record.owner);
    await recoverRollout(docker, record, { reason: "the run that it belonged to was killed", signal, force, progress: () => undefined });
  }
}

/**
 * Removes the helpers that killed programs left, before anything is started: a measurement that goes on in one holds the GPU. `isOrphaned`: the programs have lost
 * their owner just now, and may still be ending theirs. One that can't be removed is told of, and what served is tried all the same.
 */
async function clearHelpers(
  docker: Docker,
  stack: string,
  isOrphaned: boolean,
  { signal, progress, force }: RecoverOptions,
): Promise<void> {
  for (const end = performance.now() + (isOrphaned ? programsEndMs : 0); ;) {
    await removeDeadHelpers(docker, stack, force).catch((error: unknown) => progress(`a helper was left: ${describeError(error)}`));
    if (performance.now() >= end || !(await hasRunningHelper(docker, stack))) return;
    await sleep(pollMs, undefined, { signal });
  }
}

/** How the recovery of a stack without a rollout ends: a rollout that begins meanwhile looks at the host by itself. */
export type StackOutcome = Outcome | { readonly kind: "busy"; readonly rollout: Lock };

/** A stack that no rollout holds: makes what is active serve, and stops what was left running. Ends as soon as a rollout holds one of its devices. */
export async function recoverStack(docker: Docker, stack: string, times: HostTimes, options: RecoverOptions): Promise<StackOutcome> {
  const containers = await docker.listContainers({ all: true, filters: { label: [`${labels.stack}=${stack}`] } });
  const [any] = containers;
  if (any === undefined) return { kind: "idle" };
  const mutex = await enterRecovery(docker, await describeRecovery(stack, times, any.ImageID), options);
  try {
    return await untilRollout(docker, stack, options.signal, async (signal) => {
      await clearHelpers(docker, stack, false, { ...options, signal });
      const host = new StackHost(docker, stack, times);
      return drive({ kind: "recover", candidate: null, previous: null }, { host, ...options, signal });
    });
  } finally {
    await removeLock(docker, mutex);
  }
}

/** The lock's record of a recovery that no rollout is behind; `image` is any that is there. */
const describeRecovery = async (stack: string, times: HostTimes, image: string): Promise<LockRecord> => ({
  version: 1,
  rollout: recoveryDevice(stack),
  owner: await thisProcess(),
  since: new Date().toISOString(),
  stack,
  candidate: null,
  previous: null,
  strategy: "recreate",
  ...times,
  helperImage: image,
  evidenceVolume: volumeName(stack, "evidence"),
});

/** Why work was broken off: a rollout holds the stack. */
class RolloutBegan extends Error {
  readonly rollout: Lock;

  constructor(rollout: Lock) {
    super(`a rollout has begun (${describeLock(rollout)})`);
    this.rollout = rollout;
  }
}

/** Does work on a stack as long as no rollout holds it. */
async function untilRollout(
  docker: Docker,
  stack: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Outcome>,
): Promise<StackOutcome> {
  const abort = new AbortController();
  const look = async (): Promise<void> => {
    const rollout = await findRollout(docker, stack);
    if (rollout !== undefined) abort.abort(new RolloutBegan(rollout));
  };
  try {
    await look();
    abort.signal.throwIfAborted();
    void watch(look, abort.signal);
    return await work(AbortSignal.any([signal, abort.signal]));
  } catch (error) {
    const reason: unknown = abort.signal.reason;
    if (reason instanceof RolloutBegan) return { kind: "busy", rollout: reason.rollout };
    throw error;
  } finally {
    abort.abort();
  }
}

/** Looks every now and then until the signal aborts. An engine that does not answer is met, and told of, by the work beside it. */
async function watch(look: () => Promise<void>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await look().catch(() => undefined);
    await sleep(pollMs, undefined, { ref: false });
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
