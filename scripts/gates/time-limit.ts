import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

/** How long what is still at work after a stop may take, milliseconds, before the gate goes on without it: a measurement that hangs must not hold a rollout. */
export const defaultGraceMs = 20_000;

/**
 * What `work` gives; where it does not end soon after `signal` aborts, it is left behind.
 * @throws what `work` throws, or else the signal's reason
 */
export async function withinGrace<T>(signal: AbortSignal, work: Promise<T>, graceMs = defaultGraceMs): Promise<T> {
  const over = new AbortController();
  const late = async (): Promise<never> => {
    if (!signal.aborted) await once(signal, "abort", { signal: over.signal });
    await sleep(graceMs, undefined, { signal: over.signal });
    throw signal.reason;
  };
  return Promise.race([work, late()]).finally(() => over.abort());
}

/** Ends this process after that time, whatever it waits for. */
export function exitAfter(seconds: number): void {
  setTimeout(() => process.exit(1), seconds * 1000).unref();
}
