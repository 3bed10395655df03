import { readFileSync } from "node:fs";
import process from "node:process";
import { execa } from "execa";
import { median, quantile } from "simple-statistics";

import type { ScenarioSet } from "../../../plan/benchmark/protocol.ts";
import type { RequestSample } from "../../../plan/benchmark/result.ts";
import { describeServer, measureChat } from "../../../scripts/gates/chat-client.ts";
import { ScenarioRun } from "../../../scripts/gates/scenario-run.ts";

/**
 * The benchmark's client against a running llama-server, in turns with `llama-bench` on the same machine:
 * `node tests/bench/gates/client-timing.ts <url> <rounds> <llama-bench and its model and threads…>`, e.g. `docker exec NAME llama-bench -m /models/x.gguf -t 2`.
 * A round is a pair: llama-bench, then the client, at the same depth and length. What is compared is the median over rounds of each pair's ratio, so that
 * a disturbance meets one pair. The load average is printed because a busy host makes even that mean little.
 */
const [url, rounds, command, ...bench] = process.argv.slice(2);
if (url === undefined || command === undefined || !(Number(rounds) > 0)) {
  process.stderr.write("usage: client-timing.ts <url> <rounds> <llama-bench command…>\n");
  process.exit(3);
}
const promptTokens = 128;
const generateTokens = 64;
const set: ScenarioSet = {
  seed: 3,
  requestTimeoutSec: 300,
  readyTimeoutSec: 120,
  scenarios: [{ kind: "single", name: "timing", promptTokens, generateTokens, requests: 2 }],
};
const { signal } = new AbortController();
const server = await describeServer(url, null);
const ask = (): Promise<RequestSample[]> => new ScenarioRun(server, set, promptTokens + generateTokens, signal).all(false);

/** Decode tok/s of llama-bench behind as many tokens as the client's prompt has; the server idles meanwhile. */
async function engineSpeed(): Promise<number> {
  const lengths = ["-p", "0", "-n", String(generateTokens), "-d", String(promptTokens), "-fa", "1", "-r", "1", "-o", "json"];
  const { stdout } = await execa(command ?? "", [...bench, ...lengths]);
  const [row] = JSON.parse(stdout.slice(stdout.indexOf("["), stdout.lastIndexOf("]") + 1)) as { avg_ts: number }[];
  if (row === undefined) throw new Error("llama-bench printed no result");
  return row.avg_ts;
}

await ask(); // the client's first requests pay for compiling it
const samples: RequestSample[] = [];
const pairs: { client: number; engine: number }[] = [];
let cpuMs = 0;
for (let round = 0; round < Number(rounds); round++) {
  const engine = await engineSpeed();
  const before = process.cpuUsage();
  const own = await ask();
  const { user, system } = process.cpuUsage(before);
  cpuMs += (user + system) / 1000;
  pairs.push({ engine, client: median(own.map((sample) => sample.decodeTokensPerSec)) });
  samples.push(...own);
}
/** Processor time of this process for one streamed answer, ms. */
async function answerCpuMs(generate: number): Promise<number> {
  const before = process.cpuUsage();
  const messages = [{ role: "user", content: "one two three" }] as const;
  await measureChat(server, { scenario: "cost", turn: 0, messages, generateTokens: generate, cachePrompt: false, seed: 1 }, signal);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

// a long answer less a short one leaves what a further token costs
const [shortTokens, longTokens] = [32, 512];
const perToken: number[] = [];
for (let round = 0; round < 8; round++) {
  const short = await answerCpuMs(shortTokens);
  perToken.push(((await answerCpuMs(longTokens)) - short) / (longTokens - shortTokens));
}
// every round also asks one request that is dropped, which costs the client the same
const tokens = (samples.length + pairs.length) * generateTokens;
const off = samples.map((sample) => 100 * (sample.decodeTokensPerSec / sample.serverDecodeTokensPerSec - 1));
const ratios = pairs.map(({ client, engine }) => 100 * (client / engine - 1));
const half = (values: number[], digits: number): string =>
  `median ${median(values).toFixed(digits)} %, half of them within ${quantile(values, 0.25).toFixed(digits)} to ${quantile(values, 0.75).toFixed(digits)} %`;
process.stdout.write(
  [
    `load average ${readFileSync("/proc/loadavg", "utf8").trim()}`,
    `client against the server's timings, decode, ${off.length} requests: ${half(off, 3)} (wanted within 1 %)`,
    `client against llama-bench, ${ratios.length} pairs: ${half(ratios, 2)} (wanted within 3 %)`,
    `client ${median(pairs.map(({ client }) => client)).toFixed(2)} tok/s, llama-bench ${median(pairs.map(({ engine }) => engine)).toFixed(2)} tok/s`,
    `client's own processor time per further token: median of ${perToken.length} ${median(perToken).toFixed(3)} ms, ${Math.min(...perToken).toFixed(3)} to ${Math.max(...perToken).toFixed(3)} (wanted under 0.2 ms); with requests and prompts ${(cpuMs / tokens).toFixed(3)} ms per token`,
    "",
  ].join("\n"),
);
