import type Docker from "dockerode";
import { gatewayName, volumeName } from "../../plan/names.ts";
import type { LockRecord, RolloutRecord } from "../../plan/rollout/records.ts";
import { lockDevices } from "./device-locks.ts";
import { drive } from "./drive.ts";
import { guardRollout, type RolloutGuard } from "./guarded.ts";
import { newRolloutId } from "./lock.ts";
import { thisProcess } from "./owner.ts";
import { describeEnd, recoverRollout } from "./recover.ts";
import { pauseVariable, type RolloutOptions } from "./rollout.ts";
import { StackHost, type HostTimes } from "./stack-host.ts";

/** What a pause needs to know of the stack that makes room. */
export interface PauseOptions extends RolloutOptions, HostTimes {
  /** Devices that are to be free: `gpu-<id>` each, or `cpu`. */
  readonly devices: readonly string[];
  readonly lockWaitSec: number;
}

/**
 * A stack that was stopped so that others can use its devices; its requests wait. It serves again when this is disposed of, and also when this process ends in
 * any other way: a guard sees to it. Programs that are to use the devices are given {@link Pause.env}; all others still find them locked.
 */
export class Pause implements AsyncDisposable {
  /** Environment that lets a rollout onto the paused devices. */
  readonly env: Readonly<Record<string, string>>;
  readonly #docker: Docker;
  readonly #record: LockRecord;
  readonly #guard: RolloutGuard;
  readonly #options: PauseOptions;

  private constructor(docker: Docker, record: LockRecord, guard: RolloutGuard, options: PauseOptions) {
    this.env = { [pauseVariable]: record.rollout };
    this.#docker = docker;
    this.#record = record;
    this.#guard = guard;
    this.#options = options;
  }

  /** Holds the stack's requests, lets those in flight finish, and stops its servers. @throws {Error} if its devices are not free in time, or it can't be stopped */
  static async start(docker: Docker, stack: string, options: PauseOptions): Promise<Pause> {
    const record = await lockDevices(docker, options.devices, () => describePause(docker, stack, options), options.lockWaitSec, options);
    const guard = guardRollout(record);
    guard.handOver();
    const pause = new Pause(docker, record, guard, options);
    const host = new StackHost(docker, stack, options);
    const outcome = await drive({ kind: "trial", candidate: null, strategy: "recreate" }, { host, ...options });
    if (outcome.kind === "ready") return pause;
    const ended = await pause.end();
    const reason = "reason" in outcome ? outcome.reason : outcome.kind;
    const serving = ended === undefined ? "it was ended already" : describeEnd(ended);
    throw new Error(`stack ${stack} could not be paused: ${reason}; ${serving}`);
  }

  /** Makes the stack serve again and says how that went; undefined if somebody else has done so. */
  async end(): Promise<RolloutRecord | undefined> {
    const { signal } = new AbortController();
    const ended = await recoverRollout(this.#docker, this.#record, { ...this.#options, reason: "the pause is over", signal });
    this.#guard.end();
    return ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}

/** The lock's record of a pause: there is no candidate. */
async function describePause(docker: Docker, stack: string, { readyTimeoutSec, drainSec }: PauseOptions): Promise<LockRecord> {
  const { active } = await new StackHost(docker, stack, { readyTimeoutSec, drainSec }).gatewayState();
  const { Image } = await docker.getContainer(gatewayName(stack)).inspect();
  return {
    version: 1,
    rollout: newRolloutId(),
    owner: await thisProcess(),
    since: new Date().toISOString(),
    stack,
    candidate: null,
    previous: active,
    strategy: "recreate",
    readyTimeoutSec,
    drainSec,
    helperImage: Image,
    evidenceVolume: volumeName(stack, "evidence"),
  };
}
