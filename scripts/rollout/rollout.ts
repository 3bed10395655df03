import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { labels } from "../../plan/names.ts";
import type { LockRecord, RolloutPlan, RolloutRecord } from "../../plan/rollout/records.ts";
import { chooseStrategy, memoryNeedSchema, type MemoryNeed } from "../../plan/rollout/strategy.ts";
import type { Progress } from "../../plan/rollout/types.ts";
import { describeError } from "../program.ts";
import { drive } from "./drive.ts";
import { guardRollout, type RolloutGuard } from "./guarded.ts";
import { describeLock, deviceInPause, newRolloutId, readLocks, removeLock, tryLock, type Lock } from "./lock.ts";
import { isSameOwner, livenessOf, rolloutOwner } from "./owner.ts";
import { endOf, keepRecord, recoverRollout } from "./recover.ts";
import { StackHost } from "./stack-host.ts";

/** Where a rollout keeps its record, and the image of helper containers. */
export interface RolloutPlaces {
  readonly helperImage: string;
  readonly evidenceVolume: string;
}

export interface RolloutOptions {
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

const pollMs = 200;
/** How often a wait for another rollout is told of, milliseconds. */
const tellMs = 10_000;

/** Environment variable with the id of a pause (`scripts/rollout/pause.ts`): the device is free for whoever knows it, and nobody else. */
export const pauseVariable = "LLM_SERVER_PAUSE";

/**
 * One rollout, as each program of its chain sees it. The first one that enters takes the locks; the others find them held by their common owner. Every
 * program makes room by itself, because one that passed in an earlier `up` does not run again.
 */
export class Rollout {
  readonly #docker: Docker;
  readonly #record: LockRecord;
  readonly #host: StackHost;
  readonly #guard: RolloutGuard;
  readonly #options: RolloutOptions;
  readonly #isFirst: boolean;

  private constructor(docker: Docker, { record, isFirst }: Entered, guard: RolloutGuard, options: RolloutOptions) {
    this.#isFirst = isFirst;
    this.#docker = docker;
    this.#record = record;
    this.#guard = guard;
    this.#options = options;
    this.#host = new StackHost(docker, record.stack, record);
  }

  /** Takes the locks of its devices, or finds them taken by its own rollout. @throws {Error} if another rollout holds one for too long */
  static async enter(docker: Docker, plan: RolloutPlan, places: RolloutPlaces, options: RolloutOptions): Promise<Rollout> {
    const entered = await acquire(docker, plan, places, options);
    return new Rollout(docker, entered, guardRollout(entered.record), options);
  }

  /** Makes the candidate free to be started and measured: with `recreate`, what serves is stopped, and requests wait. @throws {Error} if that can't be done */
  async makeRoom(): Promise<void> {
    const { candidate, strategy } = this.#record;
    const outcome = await drive({ kind: "trial", candidate: candidate ?? "", strategy }, { host: this.#host, ...this.#options });
    if (outcome.kind !== "ready") throw new Error(`no room for the candidate: ${"reason" in outcome ? outcome.reason : outcome.kind}`);
  }

  /** The program's part is done; the next program goes on, and until then the guard watches. */
  handOver(): void {
    this.#guard.handOver();
  }

  /** Gives the candidate the traffic, frees the devices and says how that went. @throws {Error} if it can't; `fail` has to follow */
  async promote(): Promise<RolloutRecord> {
    const { candidate, strategy, previous } = this.#record;
    const goal = { kind: "promote", candidate: candidate ?? "", strategy, previous } as const;
    const outcome = await drive(goal, { host: this.#host, ...this.#options });
    if (outcome.kind !== "serves") throw new Error("reason" in outcome ? outcome.reason : outcome.kind);
    return endOf(this.#record, outcome, null, this.#host.outageMs);
  }

  /** Keeps the record of a rollout that succeeded, and frees its devices. */
  async end(ended: RolloutRecord): Promise<void> {
    await keepRecord(this.#docker, this.#record, ended).catch((error: unknown) =>
      this.#options.progress(`the record could not be kept: ${describeError(error)}`),
    );
    for (const lock of await readLocks(this.#docker, this.#record.stack))
      if (lock.record.rollout === this.#record.rollout) await removeLock(this.#docker, lock);
    this.#guard.end();
  }

  /** Puts back what served before. Goes on even where the program was told to stop: the guard would do the same. */
  async fail(reason: string, broken: Progress["broken"] = {}): Promise<RolloutRecord | undefined> {
    const { signal } = new AbortController();
    const ended = await recoverRollout(this.#docker, this.#record, { reason, signal, broken, progress: this.#options.progress });
    this.#guard.end();
    return ended;
  }

  /** Whether something may be stopped for a candidate that nobody has looked at yet: an earlier program of the chain, which took the locks, would have. */
  get isUnchecked(): boolean {
    return this.#isFirst && this.#record.previous !== this.#record.candidate;
  }

  get candidate(): string {
    return this.#record.candidate ?? "";
  }

  get previous(): string | null {
    return this.#record.previous;
  }
}

/** The record of the locks that a program holds, and whether it took them itself. */
interface Entered {
  readonly record: LockRecord;
  readonly isFirst: boolean;
}

async function acquire(docker: Docker, plan: RolloutPlan, places: RolloutPlaces, options: RolloutOptions): Promise<Entered> {
  const pause = process.env[pauseVariable];
  const devices = plan.devices.map((device) => (pause === undefined ? device : deviceInPause(device, pause)));
  const own = await describeRollout(docker, plan, places);
  const record = await lockDevices(docker, devices, own.record, plan.lockWaitSec, options);
  if (pause !== undefined) await refuseAfterPause(docker, pause, record);
  const isFirst = record === own.record;
  if (isFirst) options.progress(`rollout of release ${plan.releaseId}: ${record.strategy} (${own.reason})`);
  return { record, isFirst };
}

/** Frees what was locked for a rollout whose pause has ended meanwhile: the devices are the paused stack's again. @throws {Error} if it has */
async function refuseAfterPause(docker: Docker, pause: string, { rollout }: LockRecord): Promise<void> {
  const locks = await readLocks(docker);
  if (locks.some(({ record }) => record.rollout === pause)) return;
  for (const lock of locks) if (lock.record.rollout === rollout) await removeLock(docker, lock);
  throw new Error(`pause ${pause} is over, and the paused stack has its devices back; start the run again`);
}

/**
 * Takes the locks of these devices, all or none. Gives `record`, or that of an earlier program of the same chain, which holds them already.
 * @throws {Error} if another rollout holds one for too long
 */
export async function lockDevices(
  docker: Docker,
  devices: readonly string[],
  record: LockRecord,
  waitSec: number,
  options: RolloutOptions,
): Promise<LockRecord> {
  let held = record;
  const taken: Lock[] = [];
  try {
    for (const device of devices.toSorted()) {
      const lock = await lockDevice(docker, device, record, waitSec, options);
      if (lock.record.rollout === record.rollout) taken.push(lock);
      else held = lock.record;
    }
    return held;
  } catch (error) {
    for (const lock of taken) await removeLock(docker, lock);
    throw error;
  }
}

/** The record of a rollout that begins now. */
async function describeRollout(
  docker: Docker,
  plan: RolloutPlan,
  places: RolloutPlaces,
): Promise<{ readonly record: LockRecord; readonly reason: string }> {
  const { stack, releaseId, readyTimeoutSec, drainSec } = plan;
  const { helperImage, evidenceVolume } = places;
  const { active } = await new StackHost(docker, stack, plan).gatewayState();
  const serving = active === null || active === releaseId ? null : await needOf(docker, stack, active);
  const { MemTotal } = (await docker.info()) as { MemTotal: number };
  const choice = chooseStrategy(plan.strategy, plan.need ?? undefined, serving, { ...plan.budget, host: MemTotal / 2 ** 20 });
  const record: LockRecord = {
    version: 1,
    rollout: newRolloutId(),
    owner: await rolloutOwner(),
    since: new Date().toISOString(),
    stack,
    candidate: releaseId,
    previous: active,
    strategy: choice.strategy,
    readyTimeoutSec,
    drainSec,
    helperImage,
    evidenceVolume,
  };
  return { record, reason: choice.reason };
}

/** What a release on the host was planned to need, all its servers together; undefined where no label says it. */
async function needOf(docker: Docker, stack: string, release: string): Promise<MemoryNeed | undefined> {
  const label = [`${labels.stack}=${stack}`, `${labels.release}=${release}`];
  const containers = await docker.listContainers({ all: true, filters: { label } });
  const need: Record<string, number> = {};
  for (const { Labels } of containers) {
    const text = Labels[labels.memory];
    if (text === undefined) return undefined;
    for (const [device, mib] of Object.entries(memoryNeedSchema.parse(JSON.parse(text)))) need[device] = (need[device] ?? 0) + mib;
  }
  return containers.length === 0 ? undefined : need;
}

/** Takes one device's lock; one whose owner is dead is recovered first, one that another rollout holds is waited for. */
async function lockDevice(
  docker: Docker,
  device: string,
  record: LockRecord,
  waitSec: number,
  { signal, progress }: RolloutOptions,
): Promise<Lock> {
  const deadline = performance.now() + waitSec * 1000;
  let toldAt = -Infinity;
  for (;;) {
    signal.throwIfAborted();
    const lock = await tryLock(docker, device, record);
    if (lock !== undefined) return lock;
    const held = (await readLocks(docker)).find((other) => other.device === device);
    if (held === undefined) continue;
    const { owner, stack, candidate } = held.record;
    if (isSameOwner(owner, record.owner) && stack === record.stack && candidate === record.candidate) return held;
    if ((await livenessOf(owner)) === "dead") {
      progress(`a rollout was killed and left its lock (${describeLock(held)}); putting back what it found`);
      await recoverRollout(docker, held.record, { reason: "its process was killed", signal, progress });
      continue;
    }
    if (performance.now() >= deadline)
      throw new Error(
        `another rollout holds the device (${describeLock(held)}); wait for it, or if it is gone for good run: npm run recover -- ${stack} --force`,
      );
    if (performance.now() - toldAt >= tellMs) {
      progress(`waiting for another rollout (${describeLock(held)})`);
      toldAt = performance.now();
    }
    await sleep(pollMs, undefined, { signal });
  }
}
