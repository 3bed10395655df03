import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { lockRecordSchema, type LockRecord } from "../../plan/rollout/records.ts";
import { connectDocker } from "../docker/host.ts";
import { readLocks } from "./lock.ts";
import { livenessOf } from "./owner.ts";
import { recoverRollout } from "./recover.ts";

/**
 * Guard of a rollout; `guarded.ts` starts it. Its standard input holds the lock's record, then `passed` once the program that started it has done its part.
 * What it does is kept as the rollout's record in the evidence volume: it has no terminal.
 */
const ownerPollMs = 300;
/** How often it looks whether the rollout has ended, in polls of the owner. */
const pollsPerLook = 5;
const docker = connectDocker(null);

for (const signal of ["SIGINT", "SIGHUP", "SIGTERM"] as const) process.on(signal, () => undefined);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const first = await lines.next();
if (first.done === true) process.exit(1);
const record = lockRecordSchema.parse(JSON.parse(first.value));
const second = await lines.next();
const reason = second.value === "passed" ? await watchOwner(record) : "a program of the rollout was killed";
if (reason !== undefined) {
  const { signal } = new AbortController();
  await recoverRollout(docker, record, { reason, signal, progress: () => undefined });
}
process.exit(0);

/** Why the rollout needs to be recovered; undefined: it has ended. */
async function watchOwner({ owner, stack, rollout }: LockRecord): Promise<string | undefined> {
  const hasEnded = async (): Promise<boolean> => !(await readLocks(docker, stack)).some((lock) => lock.record.rollout === rollout);
  for (let polls = 1; (await livenessOf(owner)) !== "dead"; polls++) {
    if (polls % pollsPerLook === 0 && (await hasEnded())) return undefined;
    await sleep(ownerPollMs);
  }
  // a rollout that went well ends just before its owner does
  return (await hasEnded()) ? undefined : "the process that ran the rollout was killed";
}
