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
/**
 * How long it goes on asking an engine that does not answer, milliseconds: an upgrade or a restart of Docker takes a minute or two, and what was stopped has to come
 * back after it. One that is away for longer is a person's matter, who has `npm run recover`.
 */
const engineAwayMs = 10 * 60_000;
/** Pause between two tries, milliseconds. */
const retryMs = 2_000;
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
  await insist(() => recoverRollout(docker, record, { reason, signal, progress: () => undefined }));
}
process.exit(0);

/** Why the rollout needs to be recovered; undefined: it has ended. */
async function watchOwner({ owner, stack, rollout }: LockRecord): Promise<string | undefined> {
  const hasEnded = async (): Promise<boolean> => !(await readLocks(docker, stack)).some((lock) => lock.record.rollout === rollout);
  for (let polls = 1; (await livenessOf(owner)) !== "dead"; polls++) {
    if (polls % pollsPerLook === 0 && (await hasEnded().catch(() => false))) return undefined; // no engine answers: the rollout has not ended
    await sleep(ownerPollMs);
  }
  // a rollout that went well ends just before its owner does
  return (await insist(hasEnded)) ? undefined : "the process that ran the rollout was killed";
}

/** Does something until it works. @throws {Error} the last one after {@link engineAwayMs} */
async function insist<T>(work: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + engineAwayMs; ;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() >= end) throw error;
      await sleep(retryMs);
    }
  }
}
