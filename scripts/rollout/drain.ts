import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { dockerStatus } from "../docker/host.ts";
import { serverUrl } from "../gates/candidate.ts";

const pollMs = 50;
/** Longest wait for one answer, milliseconds: a server does not answer while it computes a batch of a long prompt. */
const answerMs = 5_000;
/** Requests that llama-server is working on, as its Prometheus metrics say. */
const processing = /^llamacpp:requests_(?:processing|deferred) (\d+)/gm;

/**
 * Waits until a server has no request left, at most `drainSec`; gives how many were still running then, at least 1 where the server did not say.
 * A server that is gone, stopped, or refuses connections has none. One that does not answer in time is at work.
 */
export async function drain(container: Docker.Container, drainSec: number, signal: AbortSignal): Promise<number> {
  const deadline = performance.now() + drainSec * 1000;
  for (;;) {
    const leftMs = Math.max(pollMs, Math.ceil(deadline - performance.now()));
    const running = await requestsRunning(container, AbortSignal.any([signal, AbortSignal.timeout(Math.min(answerMs, leftMs))]));
    signal.throwIfAborted();
    if (running === 0 || performance.now() >= deadline) return running;
    await sleep(pollMs, undefined, { signal });
  }
}

async function requestsRunning(container: Docker.Container, signal: AbortSignal): Promise<number> {
  if (!(await isRunning(container))) return 0;
  try {
    const response = await fetch(`${await serverUrl(container)}/metrics`, { signal });
    return [...(await response.text()).matchAll(processing)].reduce((sum, [, count]) => sum + Number(count), 0);
  } catch (error) {
    return isRefused(error) ? 0 : 1;
  }
}

async function isRunning(container: Docker.Container): Promise<boolean> {
  try {
    return (await container.inspect()).State.Running;
  } catch (error) {
    if (dockerStatus(error) === 404) return false;
    throw error;
  }
}

/** Whether nobody listens where a request went. */
const isRefused = (error: unknown): boolean =>
  error instanceof Error && error.cause instanceof Error && "code" in error.cause && error.cause.code === "ECONNREFUSED";
