/**
 * What a rollout costs those who use the server meanwhile: `node tests/bench/rollout/run.ts [switch] [stream] [outage] [failure] [kill]`, all without arguments.
 * Prints one JSON document. README.md says what each figure is.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Docker from "dockerode";
import { execa } from "execa";
import { median, quantile } from "simple-statistics";
import { serverName } from "../../../plan/names.ts";
import { benchmarkResultSchema, type RequestSample } from "../../../plan/benchmark/result.ts";
import { serverUrl, waitReady } from "../../../scripts/gates/candidate.ts";
import { measureChat } from "../../../scripts/gates/chat-client.ts";
import { GatewayControl } from "../../../scripts/rollout/gateway.ts";
import { gatewayName } from "../../../plan/names.ts";
import { prepareModels } from "../../support/models.ts";
import { processesUnder } from "../../support/processes.ts";
import { providerSets } from "../../support/provider-sets.ts";
import { StackProject } from "../../support/stack-project.ts";
import { buildTestImage, testImage } from "../../support/test-image.ts";

const streams = 16;
const switches = 20;
const streamPairs = 100;
const docker = new Docker();
const wanted = new Set(process.argv.slice(2));
const isWanted = (part: string): boolean => wanted.size === 0 || wanted.has(part);
const note = (line: string): void => void process.stderr.write(`rollout bench: ${line}\n`);

/** The median and its interval of 95 %, from the order of the values: no distribution is assumed. */
function medianWithInterval(values: readonly number[]): { readonly median: number; readonly low: number; readonly high: number } {
  const reach = 0.98 / Math.sqrt(values.length); // 1.96 standard deviations of the median's rank, as a share of all
  const at = (share: number): number => Number(quantile([...values], share).toFixed(4));
  return { median: at(0.5), low: at(0.5 - reach), high: at(0.5 + reach) };
}

interface Sample {
  readonly startMs: number;
  readonly endMs: number;
  readonly error: string | null;
}

/** `count` clients that each send one short request after the other until `work` is done. */
async function underStreams(endpoint: string, count: number, work: () => Promise<void>): Promise<Sample[]> {
  const samples: Sample[] = [];
  let isOver = false;
  const client = async (): Promise<void> => {
    while (!isOver) {
      const startMs = performance.now();
      const error = await stream(endpoint, 8).then(
        () => null,
        (reason: unknown) => String(reason),
      );
      samples.push({ startMs, endMs: performance.now(), error });
    }
  };
  const clients = Array.from({ length: count }, client);
  await work().finally(() => (isOver = true));
  await Promise.all(clients);
  return samples;
}

/** One streamed request of exactly that many tokens. */
const stream = async (url: string, generateTokens: number) =>
  (
    await measureChat(
      { url, headers: {} },
      {
        scenario: "rollout",
        turn: 0,
        messages: [{ role: "user", content: "Count to a hundred." }],
        generateTokens,
        cachePrompt: false,
        seed: 1,
      },
      AbortSignal.timeout(120_000),
    )
  ).sample;

/** Decode speed as the client sees it, as a share of what the server says of the same request. */
const speedSeen = (sample: RequestSample): number => sample.decodeTokensPerSec / sample.serverDecodeTokensPerSec;
/** Time to the first token beyond the server's own time for the prompt, milliseconds. */
const firstTokenBeyondMs = (sample: RequestSample): number =>
  sample.firstTokenMs - (sample.promptTokens * 1000) / sample.serverPromptTokensPerSec;

/** Processor time that the gateway's container has taken so far, milliseconds. */
async function gatewayCpu(): Promise<number> {
  const stats = await docker.getContainer(gatewayName(project.stack)).stats({ stream: false, "one-shot": true });
  return stats.cpu_stats.cpu_usage.total_usage / 1e6;
}

/** Longer than one of the 16 requests takes on a slow host: with two switches in one request, both engines work all the time, and share the cores. */
const betweenSwitchesMs = 8000;

const durations = (samples: readonly Sample[]): number[] => samples.map(({ startMs, endMs }) => endMs - startMs);
const p99 = (values: readonly number[]): number => Math.round(quantile([...values], 0.99));

const [set] = await providerSets();
if (set === undefined) throw new Error("needs a provider set");
await buildTestImage();
await prepareModels(testImage);
await using project = await StackProject.create(set, { fast: true });
const result: Record<string, unknown> = { at: new Date().toISOString() };

const activeRelease = async (): Promise<string> => String((await project.outputs())["activeRelease"]);
async function deploy(profile: string, ctxSize: number): Promise<{ release: string; output: string; exitCode: number }> {
  await project.writeProfile(profile, (text) =>
    text
      .replace("LLAMA_ARG_CTX_SIZE=4096", `LLAMA_ARG_CTX_SIZE=${ctxSize}`)
      .replace("LLAMA_ARG_N_PARALLEL=2", `LLAMA_ARG_N_PARALLEL=${streams}`),
  );
  await project.set("profile", profile);
  const { exitCode, output } = await project.up();
  return { release: await activeRelease(), output, exitCode };
}
/** Docker's events of containers between two times, in order: seconds, action, container name. */
async function events(since: number, until: number): Promise<{ at: number; action: string; name: string }[]> {
  const format = "{{.TimeNano}} {{.Action}} {{.Actor.Attributes.name}}";
  const window = ["--since", String(since / 1000), "--until", String(until / 1000)];
  const { stdout } = await execa("docker", ["events", ...window, "--filter", "type=container", "--format", format]);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [nano = "", action = "", name = ""] = line.split(" ");
      return { at: Number(nano) / 1e9, action, name };
    });
}

note("deploying two releases");
const first = (await deploy("a", 8192)).release;
const second = (await deploy("b", 8448)).release;

if (isWanted("switch")) {
  const container = docker.getContainer(serverName(project.stack, first));
  await container.start();
  await waitReady(container, { apiKeyFile: null, timeoutSec: 60, signal: AbortSignal.timeout(60_000) });
  const gateway = new GatewayControl(docker, gatewayName(project.stack));
  const at: number[] = [];
  let quietUntil = 0;
  note(`${streams} streams, ${switches} switches between two releases that both run`);
  const samples = await underStreams(project.endpoint, streams, async () => {
    await sleep(30_000);
    quietUntil = performance.now();
    for (let index = 0; index < switches; index++) {
      const release = index % 2 === 0 ? first : second;
      at.push(performance.now());
      await gateway.switchTo(release, [serverName(project.stack, release)]);
      at.push(performance.now());
      await sleep(betweenSwitchesMs);
    }
  });
  await container.stop();
  const quiet = samples.filter(({ endMs }) => endMs < quietUntil);
  const near = samples.filter(({ startMs, endMs }) => at.some((moment) => startMs <= moment + 250 && endMs >= moment - 250));
  result["switch"] = {
    streams,
    switches,
    requests: samples.length,
    failed: samples.filter(({ error }) => error !== null).length,
    p99QuietMs: p99(durations(quiet)),
    p99NearSwitchMs: p99(durations(near)),
    medianQuietMs: Math.round(median(durations(quiet))),
    medianNearSwitchMs: Math.round(median(durations(near))),
    switchMs: Math.round(median(at.filter((_, index) => index % 2 === 1).map((end, index) => end - (at[2 * index] ?? end)))),
  };
  note(`${switches} deployments that switch, under the same load`);
  const errors: string[] = [];
  const rolled = await underStreams(project.endpoint, streams, async () => {
    for (let index = 0; index < switches; index++) {
      await project.set("profile", index % 2 === 0 ? "a" : "b");
      const { exitCode, output } = await project.up();
      if (exitCode !== 0) errors.push(output);
    }
  });
  const failures = rolled.filter(({ error }) => error !== null).map(({ error }) => error);
  result["rollouts"] = {
    rollouts: switches,
    notDeployed: errors,
    requests: rolled.length,
    failed: failures.length,
    failures: failures.slice(0, 5),
  };
}

if (isWanted("stream")) {
  note("streaming directly and through the gateway, in turn");
  const release = await activeRelease();
  const direct = await serverUrl(docker.getContainer(serverName(project.stack, release)));
  const pairs: { readonly direct: RequestSample; readonly gateway: RequestSample }[] = [];
  const gatewayCpuBefore = await gatewayCpu();
  for (let index = 0; index < streamPairs; index++) {
    const order = index % 2 === 0 ? ([direct, project.endpoint] as const) : ([project.endpoint, direct] as const);
    const one = await stream(order[0], 64);
    const other = await stream(order[1], 64);
    pairs.push(index % 2 === 0 ? { direct: one, gateway: other } : { direct: other, gateway: one });
  }
  const gatewayCpuMs = (await gatewayCpu()) - gatewayCpuBefore;
  const tokens = pairs.reduce((sum, { gateway }) => sum + gateway.generatedTokens, 0);
  result["stream"] = {
    pairs: pairs.length,
    // against what the server itself says of the same request: the engine's own ups and downs are in both, and cancel
    speedRatio: medianWithInterval(pairs.map((pair) => speedSeen(pair.gateway) / speedSeen(pair.direct))),
    firstTokenAddedMs: medianWithInterval(pairs.map((pair) => firstTokenBeyondMs(pair.gateway) - firstTokenBeyondMs(pair.direct))),
    // what the gateway takes of the processor is the engine's loss on a host that has none to spare
    gatewayCpuMsPerToken: Number((gatewayCpuMs / tokens).toFixed(4)),
    engineMsPerToken: Number(median(pairs.map(({ direct: sample }) => 1000 / sample.serverDecodeTokensPerSec)).toFixed(4)),
    asTheyCame: {
      speedRatio: medianWithInterval(pairs.map((pair) => pair.gateway.decodeTokensPerSec / pair.direct.decodeTokensPerSec)),
      firstTokenAddedMs: medianWithInterval(pairs.map((pair) => pair.gateway.firstTokenMs - pair.direct.firstTokenMs)),
    },
  };
}

await project.set("rollout.strategy", "recreate");

if (isWanted("outage")) {
  note("a release that replaces another in place");
  const since = Date.now();
  let failed = 0;
  const samples = await underStreams(project.endpoint, 1, async () => {
    const { exitCode, output } = await deploy("c", 8704);
    if (exitCode !== 0) throw new Error(output);
  });
  failed = samples.filter(({ error }) => error !== null).length;
  const { outageSec } = (
    JSON.parse((await project.cli("status", project.stack, "--json")).output) as { lastRollout: { outageSec: number } }
  ).lastRollout;
  const engine = await engineSec(since, Date.now());
  result["outage"] = { outageSec, engine, ownSec: Number((outageSec - engine.total).toFixed(2)), requests: samples.length, failed };
}

/** Seconds in which the engine stopped, loaded or was measured, from Docker's events of the servers and the benchmark's own record. */
async function engineSec(since: number, until: number): Promise<{ stopping: number; loading: number; measured: number; total: number }> {
  const killed = new Map<string, number>();
  let stopping = 0;
  for (const { at, action, name } of await events(since, until)) {
    if (!name.startsWith(`llm-server-${project.stack}-server-`)) continue;
    if (action === "kill") killed.set(name, at);
    else if (action === "die") stopping += at - (killed.get(name) ?? at);
  }
  const folder = join(project.dir, "benchmarks");
  const file = readdirSync(folder).sort().at(-1) ?? "";
  const { starts } = benchmarkResultSchema.parse(JSON.parse(readFileSync(join(folder, file), "utf8")));
  const loading = starts.reduce((sum, { readyMs }) => sum + readyMs, 0) / 1000;
  const measured = starts.reduce((sum, { measuredMs = 0 }) => sum + measuredMs, 0) / 1000;
  const round = (value: number): number => Number(value.toFixed(2));
  return { stopping: round(stopping), loading: round(loading), measured: round(measured), total: round(stopping + loading + measured) };
}

/** Seconds from `begun` until the next request that was sent before is answered, beside what the server takes to load. */
async function untilBack(part: string, work: () => Promise<number>): Promise<void> {
  const release = await activeRelease();
  const container = docker.getContainer(serverName(project.stack, release));
  await container.restart({ t: 10 });
  const { readyMs } = await waitReady(container, { apiKeyFile: null, timeoutSec: 60, signal: AbortSignal.timeout(60_000) });
  let begun = 0;
  const samples = await underStreams(project.endpoint, 1, async () => {
    begun = await work();
  });
  const back = samples.find(({ endMs }) => endMs > begun);
  const backSec = ((back?.endMs ?? Infinity) - begun) / 1000;
  const failed = samples.filter(({ error }) => error !== null).length;
  result[part] = {
    backSec: Number(backSec.toFixed(2)),
    loadSec: readyMs / 1000,
    beyondLoadSec: Number((backSec - readyMs / 1000).toFixed(2)),
    requests: samples.length,
    failed,
  };
}

if (isWanted("failure")) {
  note("a candidate that fails its benchmark");
  await untilBack("failure", async () => {
    await project.refuseCandidates(true);
    const since = Date.now();
    await deploy("d", 8960);
    await project.refuseCandidates(false);
    const all = await events(since, Date.now());
    // the gate has failed when it stops the candidate for the last time
    const last = all.filter(({ action, name }) => action === "kill" && name.includes("-server-")).at(-1)?.at ?? 0;
    return last * 1000 - Date.now() + performance.now();
  });
}

if (isWanted("kill")) {
  note("kill -9 of the gate while the candidate is measured");
  await untilBack("kill", async () => {
    await project.writeProfile("e", (text) => text.replace("LLAMA_ARG_CTX_SIZE=4096", "LLAMA_ARG_CTX_SIZE=9216"));
    await project.set("profile", "e");
    const up = project.start("up", "--yes", "--skip-preview", "--stack", project.stack);
    let killedAt = 0;
    while (killedAt === 0) {
      await sleep(100);
      const below = await processesUnder(up.pid ?? 0);
      const gate = below.find(({ command }) => command.startsWith("node") && command.includes("scripts/gates/benchmark.ts"));
      const { stdout } = await execa("docker", ["ps", "--filter", `label=llm-server.stack=${project.stack}`, "--format", "{{.Names}}"]);
      const candidateRuns = stdout.includes("-server-") && !stdout.includes(serverName(project.stack, await activeRelease()));
      if (gate === undefined || !candidateRuns) continue;
      killedAt = performance.now();
      process.kill(gate.pid, "SIGKILL");
    }
    await up;
    return killedAt;
  });
}

process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
