import type Docker from "dockerode";
import type { LockRecord, RolloutPlan, RolloutRecord } from "../../plan/rollout/records.ts";
import { chooseStrategy } from "../../plan/rollout/strategy.ts";
import type { Progress } from "../../plan/rollout/types.ts";
import { describeError } from "../program.ts";
import { lockDevices } from "./device-locks.ts";
import { drive } from "./drive.ts";
import { guardRollout, type RolloutGuard } from "./guarded.ts";
import { deviceInPause, newRolloutId, readLocks, removeLock } from "./lock.ts";
import { readNeed, readNeighbours } from "./memory.ts";
import { rolloutOwner } from "./owner.ts";
import { endOf, keepRecord, recoverRollout } from "./recover.ts";
import { StackHost } from "./stack-host.ts";
import type { WaitOptions } from "./waiting.ts";

/** Where a rollout keeps its record, and the image of helper containers. */
export interface RolloutPlaces {
  readonly helperImage: string;
  readonly evidenceVolume: string;
}

/** How a rollout is told of, and stopped. */
export type RolloutOptions = WaitOptions;

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
    const outcome = await drive({ kind: "trial", candidate, strategy }, { host: this.#host, ...this.#options });
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
  const reasons = new Map<string, string>();
  const describe = async (): Promise<LockRecord> => {
    const { record, reason } = await describeRollout(docker, plan, places);
    reasons.set(record.rollout, reason);
    return record;
  };
  const record = await lockDevices(docker, devices, describe, plan.lockWaitSec, options);
  if (pause !== undefined) await refuseAfterPause(docker, pause, record);
  const reason = reasons.get(record.rollout);
  if (reason !== undefined) options.progress(`rollout of release ${plan.releaseId}: ${record.strategy} (${reason})`);
  return { record, isFirst: reason !== undefined };
}

/** Frees what was locked for a rollout whose pause has ended meanwhile: the devices are the paused stack's again. @throws {Error} if it has */
async function refuseAfterPause(docker: Docker, pause: string, { rollout }: LockRecord): Promise<void> {
  const locks = await readLocks(docker);
  if (locks.some(({ record }) => record.rollout === pause)) return;
  for (const lock of locks) if (lock.record.rollout === rollout) await removeLock(docker, lock);
  throw new Error(`pause ${pause} is over, and the paused stack has its devices back; start the run again`);
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
  const { MemTotal } = (await docker.info()) as { MemTotal: number };
  const choice = chooseStrategy(plan.strategy, {
    candidate: plan.need,
    serving: active === null ? "nothing" : active === releaseId ? "the candidate itself" : await readNeed(docker, stack, active),
    neighbours: await readNeighbours(docker, stack),
    budget: { ...plan.budget, host: MemTotal / 2 ** 20 },
  });
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
