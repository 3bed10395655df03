import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { serverUrl } from "../gates/candidate.ts";

const pollMs = 50;
/** Requests that llama-server is working on, as its Prometheus metrics say. */
const processing = /^llamacpp:requests_(?:processing|deferred) (\d+)/gm;

/**
 * Waits until a server has no request left, at most `drainSec`; gives how many were still running then.
 * A server that is gone, stopped, or answers nothing has none that could be waited for.
 */
export async function drain(container: Docker.Container, drainSec: number, signal: AbortSignal): Promise<number> {
  const deadline = performance.now() + drainSec * 1000;
  for (;;) {
    const running = await requestsRunning(container, signal);
    if (running === 0 || performance.now() >= deadline) return running;
    await sleep(pollMs, undefined, { signal });
  }
}

async function requestsRunning(container: Docker.Container, signal: AbortSignal): Promise<number> {
  try {
    const response = await fetch(`${await serverUrl(container)}/metrics`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]),
    });
    return [...(await response.text()).matchAll(processing)].reduce((sum, [, count]) => sum + Number(count), 0);
  } catch {
    signal.throwIfAborted();
    return 0;
  }
}
