/**
 * What a rollout costs those who use the server meanwhile: `node tests/bench/rollout/run.ts [switch] [deploy] [stream] [outage] [failure] [kill]`, all without arguments.
 * Prints one JSON document. README.md says what each figure is.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Docker from "dockerode";
import { execa } from "execa";
import { median, quantile } from "simple-statistics";
import { gatewayName, serverName } from "../../../plan/names.ts";
import { benchmarkResultSchema, type RequestSample } from "../../../plan/benchmark/result.ts";
import { serverUrl, waitReady } from "../../../scripts/gates/candidate.ts";
import { measureChat } from "../../../scripts/gates/chat-client.ts";
import { GatewayControl } from "../../../scripts/rollout/gateway.ts";
import { prepareModels } from "../../support/models.ts";
import { processesUnder } from "../../support/processes.ts";
import { providerSets } from "../../support/provider-sets.ts";
import { randomFrom } from "../../support/random.ts";
import { StackProject } from "../../support/stack-project.ts";
import { buildTestImage, testImage } from "../../support/test-image.ts";
import { writeTinyModel } from "../../support/tiny-model.ts";

const streams = 16;
/** Deployments under load. */
const switches = 20;
/** Rounds of each kind in which a switch alone is timed. */
const rounds = 40;
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

/** `count` clients that each send one short request after the other, to what `endpoint` says at that moment, until `work` is done. */
async function underStreams(
  endpoint: () => string,
  { count, generateTokens }: { readonly count: number; readonly generateTokens: number },
  work: () => Promise<void>,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  let isOver = false;
  const client = async (): Promise<void> => {
    while (!isOver) {
      const startMs = performance.now();
      const error = await stream(endpoint(), generateTokens).then(
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

/** Much longer than one of the 16 requests takes: with two moments in one request, it would be counted for both. */
const roundMs = 4000;

/** Who changes the release in the middle of a round: nobody; the gateway; the clients themselves, which ask the servers directly. */
const kinds = ["quiet", "gateway", "clients"] as const;
type Kind = (typeof kinds)[number];

/** The moment in the middle of a round at which the release changes, or would. */
interface Moment {
  readonly kind: Kind;
  readonly beginMs: number;
  readonly endMs: number;
}

/** How long the requests took that were under way at a moment or just after it. The same rule for every kind: a longer one is under way at more moments. */
const durationsAt = (samples: readonly Sample[], { beginMs }: Moment): number[] =>
  samples.filter(({ startMs, endMs }) => startMs <= beginMs + 250 && endMs >= beginMs).map(({ startMs, endMs }) => endMs - startMs);

const p99 = (values: readonly number[]): number => quantile([...values], 0.99);

/**
 * p99 of one kind of rounds less that of another, with its interval of 95 %: the bootstrap over rounds, because requests of one round are slow together.
 * Both lists have the requests of a round each.
 */
function p99Difference(
  of: readonly number[][],
  against: readonly number[][],
): { readonly ms: number; readonly low: number; readonly high: number } {
  const random = randomFrom(7);
  const drawn = (rounds: readonly number[][]): number[] => rounds.flatMap(() => rounds[Math.floor(random() * rounds.length)] ?? []);
  const differences = Array.from({ length: 2000 }, () => p99(drawn(of)) - p99(drawn(against)));
  const [low, high] = [0.025, 0.975].map((share) => Math.round(quantile(differences, share)));
  return { ms: Math.round(p99(of.flat()) - p99(against.flat())), low: low ?? NaN, high: high ?? NaN };
}

const [set] = await providerSets();
if (set === undefined) throw new Error("needs a provider set");
await buildTestImage();
await prepareModels(testImage);
await using project = await StackProject.create(set, { fast: true });
const result: Record<string, unknown> = { at: new Date().toISOString() };

/** A profile with room for every stream, for the next `up`; another context length is another release. */
async function useProfile(profile: string, ctxSize: number, change = (text: string): string => text): Promise<void> {
  await project.writeProfile(profile, (text) =>
    change(text)
      .replace("LLAMA_ARG_CTX_SIZE=4096", `LLAMA_ARG_CTX_SIZE=${ctxSize}`)
      .replace("LLAMA_ARG_N_PARALLEL=2", `LLAMA_ARG_N_PARALLEL=${streams}`),
  );
  await project.set("profile", profile);
}

async function deploy(...profile: Parameters<typeof useProfile>): Promise<string> {
  await useProfile(...profile);
  return project.deploy();
}

/** Two releases of a model that takes next to no time, so that what a request takes is not the engine's: the second serves, the first stands still. */
async function deployTiny(): Promise<readonly [string, string]> {
  const path = join(project.dir, "models", "tiny.gguf");
  writeTinyModel(path);
  await project.addModel("tiny", { family: "tiny", license: "none", file: "tiny.gguf", sources: [`file:${path}`] });
  const tiny = (text: string): string => text.replace(/^MODEL=.*$/m, "MODEL=tiny").replace(/^LLAMA_ARG_CHAT_TEMPLATE=.*\n/m, "");
  return [await deploy("tiny-a", 8192, tiny), await deploy("tiny-b", 8448, tiny)];
}

/** Docker's events of containers between two times, in order: seconds, action, container name. */
async function events(since: number, until: number): Promise<{ at: number; action: string; name: string }[]> {
  const window = ["--since", String(since / 1000), "--until", String(until / 1000)];
  const { stdout } = await execa("docker", ["events", ...window, "--filter", "type=container", "--format", "{{json .}}"]);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const event = JSON.parse(line) as { timeNano: number; Action: string; Actor: { Attributes: { name: string } } };
      return { at: event.timeNano / 1e9, action: event.Action, name: event.Actor.Attributes.name };
    });
}

if (isWanted("switch")) {
  note("deploying two releases of a tiny model");
  const [first, second] = await deployTiny();
  const container = docker.getContainer(serverName(project.stack, first));
  await container.start();
  await waitReady(container, { apiKeyFile: null, timeoutSec: 60, signal: AbortSignal.timeout(60_000) });
  const direct = new Map<string, string>();
  for (const release of [first, second]) direct.set(release, await serverUrl(docker.getContainer(serverName(project.stack, release))));
  const gateway = new GatewayControl(docker, gatewayName(project.stack));
  const moments: Moment[] = [];
  let active = second;
  let isDirect = false;
  const endpoint = (): string => (isDirect ? (direct.get(active) ?? "") : project.endpoint);
  note(`${streams} streams, ${rounds} rounds each: ${kinds.join(", ")}; both releases run`);
  const samples = await underStreams(endpoint, { count: streams, generateTokens: 64 }, async () => {
    await sleep(roundMs);
    for (let round = 0; round < rounds * kinds.length; round++) {
      const kind = kinds[(round + Math.floor(round / kinds.length)) % kinds.length] ?? "quiet"; // each kind comes after each other one
      isDirect = kind === "clients";
      await sleep(roundMs / 2);
      const beginMs = performance.now();
      if (kind !== "quiet") {
        active = active === first ? second : first;
        await gateway.switchTo(active, [serverName(project.stack, active)]); // also where no client uses it: so that it works as much
      }
      moments.push({ kind, beginMs, endMs: performance.now() });
      await sleep(roundMs / 2);
    }
  });
  isDirect = false;
  await gateway.switchTo(second, [serverName(project.stack, second)]);
  await container.stop();
  const durationsOf = (kind: Kind): number[][] =>
    moments.filter((moment) => moment.kind === kind).map((moment) => durationsAt(samples, moment));
  const [quiet, switched, control] = [durationsOf("quiet"), durationsOf("gateway"), durationsOf("clients")];
  const describe = (durations: readonly number[][]) => ({
    requests: durations.flat().length,
    medianMs: Math.round(median(durations.flat())),
    p99Ms: Math.round(p99(durations.flat())),
  });
  result["switch"] = {
    streams,
    switches: rounds,
    requests: samples.length,
    failed: samples.filter(({ error }) => error !== null).length,
    quiet: describe(quiet),
    gateway: describe(switched),
    clients: describe(control),
    p99AddedMs: p99Difference(switched, quiet),
    p99AddedByGatewayMs: p99Difference(switched, control),
    switchMs: Math.round(median(moments.filter(({ kind }) => kind === "gateway").map(({ beginMs, endMs }) => endMs - beginMs))),
  };
}

note("deploying two releases");
await deploy("a", 8192);
await deploy("b", 8448);

if (isWanted("deploy")) {
  note(`${streams} streams, ${switches} deployments that switch`);
  const errors: string[] = [];
  const rolled = await underStreams(
    () => project.endpoint,
    { count: streams, generateTokens: 8 },
    async () => {
      for (let index = 0; index < switches; index++) {
        await project.set("profile", index % 2 === 0 ? "a" : "b");
        const { exitCode, output } = await project.up();
        if (exitCode !== 0) errors.push(output);
      }
    },
  );
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
  const release = await project.activeRelease();
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
const outageProfile = "c";

if (isWanted("outage")) {
  note("a release that replaces another in place");
  const since = Date.now();
  const samples = await underStreams(
    () => project.endpoint,
    { count: 1, generateTokens: 8 },
    async () => {
      await deploy(outageProfile, 8704);
    },
  );
  const failed = samples.filter(({ error }) => error !== null).length;
  const { outageSec } = (
    JSON.parse((await project.cli("status", project.stack, "--json")).output) as { lastRollout: { outageSec: number } }
  ).lastRollout;
  const engine = await engineSec(since, Date.now(), samples);
  result["outage"] = { outageSec, engine, ownSec: Number((outageSec - engine.total).toFixed(2)), requests: samples.length, failed };
}

/**
 * Seconds in which the engine finished what it had, stopped, loaded or was measured: from the requests, Docker's events of the servers and the benchmark's own
 * record.
 */
async function engineSec(
  since: number,
  until: number,
  samples: readonly Sample[],
): Promise<Readonly<Record<string, number>> & { readonly total: number }> {
  const killed = new Map<string, number>();
  let heldAt = 0; // the first command in the gateway is the one that makes requests wait
  let stopping = 0;
  for (const { at, action, name } of await events(since, until)) {
    if (name === gatewayName(project.stack) && action.startsWith("exec_start") && heldAt === 0) heldAt = at;
    if (!name.startsWith(`llm-server-${project.stack}-server-`)) continue;
    if (action === "kill") killed.set(name, at);
    else if (action === "die") stopping += at - (killed.get(name) ?? at);
  }
  const ends = samples.map(({ endMs }) => (performance.timeOrigin + endMs) / 1000);
  const finishing = Math.max(0, ...ends.filter((end) => end < Math.min(...killed.values())).map((end) => end - heldAt));
  const folder = join(project.dir, "benchmarks");
  const results = readdirSync(folder).map((file) => benchmarkResultSchema.parse(JSON.parse(readFileSync(join(folder, file), "utf8"))));
  const starts = results.find(({ subject }) => subject.profile === outageProfile)?.starts ?? [];
  const loading = starts.reduce((sum, { readyMs }) => sum + readyMs, 0) / 1000;
  const measured = starts.reduce((sum, { measuredMs = 0 }) => sum + measuredMs, 0) / 1000;
  const round = (value: number): number => Number(value.toFixed(2));
  const total = round(finishing + stopping + loading + measured);
  return { finishing: round(finishing), stopping: round(stopping), loading: round(loading), measured: round(measured), total };
}

/** Seconds from `begun` until the next request that was sent before is answered, beside what the server takes to load. */
async function untilBack(part: string, work: () => Promise<number>): Promise<void> {
  const release = await project.activeRelease();
  const container = docker.getContainer(serverName(project.stack, release));
  await container.restart({ t: 10 });
  const { readyMs } = await waitReady(container, { apiKeyFile: null, timeoutSec: 60, signal: AbortSignal.timeout(60_000) });
  let begun = 0;
  const samples = await underStreams(
    () => project.endpoint,
    { count: 1, generateTokens: 8 },
    async () => {
      begun = await work();
    },
  );
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
    await useProfile("d", 8960);
    await project.up();
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
    await project.useCtxSize(9216);
    const up = project.start("up", "--yes", "--skip-preview", "--stack", project.stack);
    let killedAt = 0;
    while (killedAt === 0) {
      await sleep(100);
      const below = await processesUnder(up.pid ?? 0);
      const gate = below.find(({ command }) => command.startsWith("node") && command.includes("scripts/gates/benchmark.ts"));
      const { stdout } = await execa("docker", ["ps", "--filter", `label=llm-server.stack=${project.stack}`, "--format", "{{.Names}}"]);
      const candidateRuns = stdout.includes("-server-") && !stdout.includes(serverName(project.stack, await project.activeRelease()));
      if (gate === undefined || !candidateRuns) continue;
      killedAt = performance.now();
      process.kill(gate.pid, "SIGKILL");
    }
    await up;
    return killedAt;
  });
}

process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
