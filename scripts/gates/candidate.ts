import { setTimeout as delay } from "node:timers/promises";

import type Docker from "dockerode";
import { z } from "zod";

import { lastLines, mostFrames } from "../../plan/server-log.ts";
import { dockerStatus } from "../docker/host.ts";
import { describeError } from "../program.ts";
import { startServer, stopServer } from "../rollout/server.ts";
import { describeServer, postJson } from "./chat-client.ts";
import type { ChatServer } from "./chat-client.ts";
import type { GateContext, Outcome } from "./gate-program.ts";

const serverPort = "8080/tcp";
const pollMs = 50;

interface TrialInput {
  readonly container: string;
  readonly dryRun: boolean;
}

/** A measuring part that starts the candidate before it measures; it goes on running only if it may take traffic. Until it does, a reboot must not bring it back. */
export const onTrial =
  <I extends TrialInput>(measure: (input: I, context: GateContext) => Promise<Outcome>) =>
  async (input: I, context: GateContext): Promise<Outcome> => {
    const container = context.docker.getContainer(input.container);
    let mayServe = false;
    try {
      await startServer(container, "no");
      const outcome = await measure(input, context);
      mayServe = outcome.verdict === "passed" || input.dryRun;
      return outcome;
    } catch (error) {
      return await explainEnd(container, error);
    } finally {
      if (!mayServe) await stopServer(container);
    }
  };

/** A container ends a moment after the connections of its server, milliseconds. */
const endsAfterMs = 500;

/** A container that does not run, its exit code and the end of its log. */
class NotRunningError extends Error {}

/** @throws {NotRunningError} if a container does not run */
async function requireRunning(container: Docker.Container): Promise<Docker.ContainerInspectInfo> {
  const inspected = await container.inspect();
  const { State, Name } = inspected;
  if (State.Running) return inspected;
  const memory = State.OOMKilled ? ", killed by the kernel for its memory" : "";
  const refused = State.Error === "" ? "" : `, because Docker says: ${State.Error}`; // it was not started, or could not be started again
  const log = describeLog(await logTail(container, 5));
  throw new NotRunningError(`container ${Name.slice(1)} is ${State.Status}, exit code ${State.ExitCode}${memory}${refused}; ${log}`);
}

/**
 * @throws what is behind an error: a server that ended says more by its exit code and its log than a connection that broke. One that never ran has neither, and
 * the engine's own error is all there is
 */
async function explainEnd(container: Docker.Container, error: unknown): Promise<never> {
  if (error instanceof NotRunningError) throw error;
  const { State } = await container.inspect();
  if (State.Status === "created" && dockerStatus(error) !== undefined) throw error;
  await delay(endsAfterMs);
  await requireRunning(container);
  throw error;
}

/** A server's last log lines, for messages and evidence; without the frames of a backtrace. */
export async function logTail(container: Docker.Container, lines = 30): Promise<string> {
  const raw = await container.logs({ stdout: true, stderr: true, tail: lines + mostFrames, follow: false });
  return lastLines(demultiplex(raw), lines);
}

const describeLog = (log: string): string => (log === "" ? "its log is empty" : `its log ends: ${log}`);

/** Joins Docker's framed log stream: 8 bytes of head (stream, three zeros, length) before each piece. */
function demultiplex(raw: Buffer): string {
  const pieces: Buffer[] = [];
  for (let at = 0; at + 8 <= raw.length;) {
    const end = at + 8 + raw.readUInt32BE(at + 4);
    pieces.push(raw.subarray(at + 8, end));
    at = end;
  }
  return Buffer.concat(pieces).toString("utf8");
}

/**
 * Where a running container's server listens: the published loopback port if there is one, else its address on its network.
 * @throws {Error} if the container is not running or has neither.
 */
export async function serverUrl(container: Docker.Container): Promise<string> {
  const { NetworkSettings, Name } = await requireRunning(container);
  const published = NetworkSettings.Ports[serverPort]?.[0];
  if (published !== undefined) return `http://${published.HostIp === "0.0.0.0" ? "127.0.0.1" : published.HostIp}:${published.HostPort}`;
  const address = Object.values(NetworkSettings.Networks).find((network) => network.IPAddress !== "")?.IPAddress;
  if (address === undefined) throw new Error(`container ${Name.slice(1)} has no published port ${serverPort} and no address on a network`);
  return `http://${address}:8080`;
}

/**
 * Waits until the server answers a real completion, not only its health check, and returns it with the time that took. That
 * completion is the first request after a start, so nothing measured later pays for it.
 * @throws {Error} with the log's end if the container stops or the time runs out.
 */
export async function waitReady(
  container: Docker.Container,
  options: { readonly apiKeyFile: string | null; readonly timeoutSec: number; readonly signal: AbortSignal },
): Promise<{ server: ChatServer; readyMs: number }> {
  const startMs = performance.now();
  const deadline = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutSec * 1000)]);
  let lastError: unknown;
  while (!deadline.aborted) {
    const url = await serverUrl(container);
    const server = await describeServer(url, options.apiKeyFile);
    try {
      await complete(server, deadline);
      return { server, readyMs: performance.now() - startMs };
    } catch (error) {
      lastError = error;
    }
    await delay(pollMs);
  }
  options.signal.throwIfAborted();
  const log = describeLog(await logTail(container, 5));
  throw new Error(`no completion within ${options.timeoutSec} s after the start, but: ${describeError(lastError)}; ${log}`);
}

const completionSchema = z.object({ choices: z.array(z.object({ finish_reason: z.string() })).min(1) });

async function complete(server: ChatServer, signal: AbortSignal): Promise<void> {
  const body = { messages: [{ role: "user", content: "Say yes." }], max_tokens: 2, temperature: 0, cache_prompt: false };
  await postJson(server, "/v1/chat/completions", body, completionSchema, signal);
}
