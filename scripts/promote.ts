import type Docker from "dockerode";
import { gateResultSchema, type GateResult } from "../plan/gates/verdict.ts";
import { serverPort, upstreamHeader } from "../plan/gateway.ts";
import { serverName } from "../plan/names.ts";
import { promoteInputSchema, type PromoteInput, type Promotion } from "../plan/promotion.ts";
import { promoteBaseline, readBenchmarkEvidence } from "./gates/baselines.ts";
import { connectDocker } from "./docker/host.ts";
import { VolumeStore } from "./gates/volume-store.ts";
import { log, runProgram } from "./program.ts";
import { drain } from "./rollout/drain.ts";
import { GatewayControl } from "./rollout/gateway.ts";

/** Longest wait for the completion that proves a switch, milliseconds: the server has just answered many of them. */
const verifyTimeoutMs = 60_000;

/**
 * A completion through the gateway, answered by one of the release's containers.
 * @throws {Error} with what came instead
 */
async function verify(input: PromoteInput, signal: AbortSignal): Promise<void> {
  const response = await fetch(`${input.gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ messages: [{ role: "user", content: "Say yes." }], max_tokens: 2, temperature: 0 }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(verifyTimeoutMs)]),
  });
  const body = await response.text();
  if (!response.ok) throw new Error(`the gateway answered ${response.status}: ${body.slice(0, 200)}`);
  const upstream = response.headers.get(upstreamHeader);
  if (!input.containers.some((name) => upstream === `${name}:${serverPort}`))
    throw new Error(`the gateway answered from ${upstream ?? "nowhere"}, expected ${input.containers.join(" or ")}`);
}

/** Switches, proves the switch, and switches back if that fails. */
async function switchTraffic(input: PromoteInput, docker: Docker, signal: AbortSignal): Promise<string | null> {
  const gateway = new GatewayControl(docker, input.gateway.container, input.containers.length);
  const before = await gateway.active();
  if (before === input.releaseId) log(`promote: release ${input.releaseId} takes traffic already`);
  await gateway.switchTo(input.releaseId, input.containers);
  try {
    await verify(input, signal);
  } catch (error) {
    if (before === null || before === input.releaseId) throw error;
    await gateway.switchTo(before, [serverName(input.stack, before)]);
    throw new Error(`release ${input.releaseId} passed its gates but does not answer through the gateway; release ${before} serves again`, {
      cause: error,
    });
  }
  if (before === null || before === input.releaseId) return null;
  log(`promote: release ${input.releaseId} takes traffic, ${before} does no more`);
  const left = await drain(docker.getContainer(serverName(input.stack, before)), input.drainSec, signal);
  if (left > 0) log(`promote: ${left} requests of release ${before} did not finish within ${input.drainSec} s and will be cut off`);
  return before;
}

async function keepBaseline(input: PromoteInput, benchmark: GateResult, docker: Docker, now: string): Promise<void> {
  if (benchmark.evidence === null) {
    log("promote: the benchmark kept no evidence, so the baseline stays as it was");
    return;
  }
  await using store = await VolumeStore.open(docker, input.evidenceVolume, input.helperImage, `${input.stack}/promote`);
  const path = await promoteBaseline(store, await readBenchmarkEvidence(store, benchmark.evidence), now);
  log(`promote: baseline ${path}`);
}

await runProgram(async (signal): Promise<Promotion> => {
  const input = promoteInputSchema.parse(JSON.parse(process.env["PROMOTE_INPUT"] ?? "null"));
  const docker = connectDocker(null);
  const gates = [input.perplexity, input.benchmark].map((line) => gateResultSchema.parse(JSON.parse(line)));
  const previous = await switchTraffic(input, docker, signal);
  const promotedAt = new Date().toISOString();
  const benchmark = gates.find(({ gate }) => gate === "benchmark");
  if (benchmark !== undefined && !benchmark.dryRun) await keepBaseline(input, benchmark, docker, promotedAt);
  return { endpoint: input.gateway.url, releaseId: input.releaseId, profile: input.profile, previous, promotedAt, gates };
});
