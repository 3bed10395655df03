import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import type Docker from "dockerode";
import { median } from "simple-statistics";
import { z } from "zod";

import { vramOf } from "../../plan/benchmark/memory.ts";
import { resultFileName } from "../../plan/benchmark/result.ts";
import type { BenchmarkResult, Host, StartSample } from "../../plan/benchmark/result.ts";
import { speedMetrics, startLevels } from "../../plan/benchmark/sampling.ts";
import { decideStarts } from "../../plan/gates/decide-starts.ts";
import { reasonOf } from "../../plan/gates/format.ts";
import { benchmarkInputSchema } from "../../plan/gates/gate-input.ts";
import type { BenchmarkInput } from "../../plan/gates/gate-input.ts";
import type { SpeedDecision } from "../../plan/gates/speed-gate.ts";
import { protocolHashOf } from "./baselines.ts";
import { logTail, onTrial, waitReady } from "./candidate.ts";
import { getJson } from "./chat-client.ts";
import type { ChatServer } from "./chat-client.ts";
import { findAgainst } from "./comparison.ts";
import { runGateProgram } from "./gate-program.ts";
import type { GateContext, Outcome } from "./gate-program.ts";
import { describeHost } from "./host.ts";
import { execText } from "../docker/exec.ts";
import { writeWhole } from "../files.ts";
import { memoryPeakMiB, vramUsedMiB } from "./memory.ts";
import { ScenarioRun } from "./scenario-run.ts";
import { failBlind } from "./vision.ts";

const propsSchema = z.object({
  build_info: z.string(),
  default_generation_settings: z.object({ n_ctx: z.number().int().positive() }),
});

/** A server that answers, and since when. */
interface Start {
  readonly startedAt: string;
  readonly server: ChatServer;
  readonly readyMs: number;
}

/** Waits for the first answer of a server that has just been started. */
async function awaitStart(container: Docker.Container, { protocol, apiKeyFile }: BenchmarkInput, { signal }: GateContext): Promise<Start> {
  const startedAt = new Date().toISOString();
  return { startedAt, ...(await waitReady(container, { apiKeyFile, timeoutSec: protocol.readyTimeoutSec, signal })) };
}

/** Measures one server start: its first request is dropped already, run every scenario. */
async function measureStart(
  container: Docker.Container,
  { startedAt, server, readyMs }: Start,
  input: BenchmarkInput,
  { host, starts }: BenchmarkResult,
  context: GateContext,
): Promise<StartSample> {
  const { protocol } = input;
  const { ctxSize } = await readProps(server, context.signal);
  const idle = await readVram(container, host);
  const beginMs = performance.now();
  const requests = await new ScenarioRun(server, protocol, ctxSize, context.signal).all(starts.length === 0);
  const measuredMs = performance.now() - beginMs;
  const [load, peak, after] = await Promise.all([
    execText(container, ["cat", "/proc/loadavg"]),
    memoryPeakMiB(container),
    readVram(container, host),
  ]);
  const loadAverage = load === undefined ? null : Number.parseFloat(load);
  return { startedAt, readyMs, measuredMs, memoryPeakMiB: peak, ...vramOf(idle, after), loadAverage, requests };
}

/** VRAM in use; a container that sees no GPU is not asked: with `recreate`, requests wait meanwhile. */
const readVram = async (container: Docker.Container, { gpus }: Host): Promise<number | undefined> =>
  gpus.length === 0 ? undefined : vramUsedMiB(container);

async function readProps(server: ChatServer, signal: AbortSignal): Promise<{ build: string; ctxSize: number }> {
  const props = await getJson(server, "/props", propsSchema, signal);
  return { build: props.build_info, ctxSize: props.default_generation_settings.n_ctx };
}

/** Everything about the run but its starts. */
async function describeRun(server: ChatServer, host: Host, input: BenchmarkInput, context: GateContext): Promise<BenchmarkResult> {
  const { build, ctxSize } = await readProps(server, context.signal);
  const { profile, releaseId, imageId, modelSha256, flags, scenarioSet } = input;
  return {
    version: 1,
    startedAt: context.startedAt,
    subject: { profile, releaseId, imageId, modelSha256, flags },
    build,
    device: host.gpus.length > 0 ? host.gpus.map(({ name }) => name).join(", ") : host.cpu,
    ctxSize,
    host,
    scenarioSet,
    protocolHash: protocolHashOf(input.protocol),
    starts: [],
  };
}

/** Median relative disagreement between the client's decode speed and the server's own. */
function disagreementPercent(starts: readonly StartSample[]): number {
  const requests = starts.flatMap((start) => start.requests);
  return 100 * median(requests.map((request) => Math.abs(request.decodeTokensPerSec / request.serverDecodeTokensPerSec - 1)));
}

/** Writes the result file whole or not at all. */
async function writeResult(folder: string, result: BenchmarkResult): Promise<string> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, resultFileName(result.subject.profile, result.startedAt));
  await writeWhole(file, `${JSON.stringify(result, null, 1)}\n`);
  return file;
}

async function measure(input: BenchmarkInput, context: GateContext): Promise<Outcome> {
  const container = context.docker.getContainer(input.container);
  // together: with recreate, requests wait meanwhile
  const [first, host] = await Promise.all([awaitStart(container, input, context), describeHost(context.docker, container)]);
  let started = first;
  const result = await describeRun(started.server, host, input, context);
  context.evidence["benchmark"] = result;
  const blind = await failBlind(container, input, context);
  if (blind !== undefined) return blind;
  const against = await findAgainst(result, input, context);
  let wanted = input.thresholds.looks[0] ?? 1;
  let decision: SpeedDecision | undefined;
  while (decision === undefined || decision.startsWanted !== null) {
    while (result.starts.length < wanted) {
      if (result.starts.length > 0) {
        await container.restart({ t: 10 });
        started = await awaitStart(container, input, context);
      }
      const start = await measureStart(container, started, input, result, context);
      result.starts.push(start);
      context.progress(`start ${result.starts.length} of ${wanted}: ${describeStart(start, input)}`);
    }
    decision = decideStarts(result.starts, against, input.thresholds, result.host.cpus);
    wanted = decision.startsWanted ?? wanted;
  }
  context.evidence["logTail"] = await logTail(container);
  if (input.resultsFolder !== null) context.progress(`result file: ${await writeResult(input.resultsFolder, result)}`);
  const samples = result.starts.reduce((sum, start) => sum + start.requests.length, 0);
  const disagreement = disagreementPercent(result.starts);
  const common = { metrics: decision.metrics, comparedWith: against.comparedWith, samples };
  if (disagreement > input.thresholds.timingsTolerancePercent) {
    const reason = `client and server differ by ${disagreement.toFixed(2)} % on decode speed, allowed ${input.thresholds.timingsTolerancePercent} %`;
    return { ...common, verdict: "error", reason };
  }
  const passed = `${decision.metrics.length} metrics within their margins over ${result.starts.length} starts`;
  const neighbours = decision.verdict === "inconclusive" ? describeLoad(result) : "";
  return { ...common, verdict: decision.verdict, reason: `${reasonOf(decision.metrics, passed)}${neighbours}` };
}

/** Whether the host was busy, for the reason of a verdict that noise prevented; empty where it is not known. */
function describeLoad({ starts, host }: BenchmarkResult): string {
  const loads = starts.flatMap(({ loadAverage }) => (loadAverage === null ? [] : [loadAverage]));
  return loads.length === 0 ? "" : `; the host's load average was up to ${Math.max(...loads).toFixed(1)} on ${host.cpus} CPUs`;
}

function describeStart(start: StartSample, input: BenchmarkInput): string {
  const values = input.thresholds.metrics.map((gated) => {
    const { label, unit } = speedMetrics[gated.metric];
    return `${gated.scenario} ${label} ${Math.exp(startLevels([start], gated, input.thresholds.startLevel)[0] ?? 0).toFixed(1)} ${unit}`;
  });
  return `ready in ${(start.readyMs / 1000).toFixed(1)} s; ${values.join(", ")}`;
}

await runGateProgram("benchmark", benchmarkInputSchema, onTrial(measure));
