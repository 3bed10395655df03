import { median, quantile } from "simple-statistics";

import type { ScenarioSet } from "../../../plan/benchmark/protocol.ts";
import type { RequestSample } from "../../../plan/benchmark/result.ts";
import { execText } from "../../../scripts/docker/exec.ts";
import { waitReady } from "../../../scripts/gates/candidate.ts";
import { connectDocker } from "../../../scripts/docker/host.ts";
import { ScenarioRun } from "../../../scripts/gates/scenario-run.ts";

/**
 * The benchmark's client against a running llama-server and `llama-bench` in the same container, in turns:
 * `node tests/bench/gates/client-timing.ts <container> <model path inside> <threads> [rounds]`.
 * A round is a pair: llama-bench, then the client, at the same depth and length. What is compared is the median over rounds of each pair's ratio, so that
 * a disturbance meets one pair. The load average is printed because a busy host makes even that mean little.
 */
const [name, model, threads, rounds = "12"] = process.argv.slice(2);
if (name === undefined || model === undefined || threads === undefined) {
  process.stderr.write("usage: client-timing.ts <container> <model path inside> <threads> [rounds]\n");
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
const container = connectDocker(null).getContainer(name);
const { signal } = new AbortController();
const { server } = await waitReady(container, { apiKeyFile: null, timeoutSec: 120, signal });

/** Decode tok/s of llama-bench behind as many tokens as the client's prompt has; the server idles meanwhile. */
async function bench(): Promise<number> {
  const text = await execText(container, [
    "llama-bench",
    "-m",
    model ?? "",
    "-t",
    threads ?? "",
    "-p",
    "0",
    "-n",
    String(generateTokens),
    "-d",
    String(promptTokens),
    "-fa",
    "1",
    "-r",
    "1",
    "-o",
    "json",
  ]);
  if (text === undefined) throw new Error("llama-bench failed in the container");
  const [row] = JSON.parse(text.slice(text.indexOf("["), text.lastIndexOf("]") + 1)) as { avg_ts: number }[];
  if (row === undefined) throw new Error("llama-bench printed no result");
  return row.avg_ts;
}

// the client's first requests pay for compiling it
await new ScenarioRun(server, set, promptTokens + generateTokens, signal).all(false);
const samples: RequestSample[] = [];
const pairs: { client: number; engine: number }[] = [];
let cpuMs = 0;
for (let round = 0; round < Number(rounds); round++) {
  const engine = await bench();
  const before = process.cpuUsage();
  const own = await new ScenarioRun(server, set, promptTokens + generateTokens, signal).all(false);
  const { user, system } = process.cpuUsage(before);
  pairs.push({ engine, client: median(own.map((sample) => sample.decodeTokensPerSec)) });
  samples.push(...own);
  cpuMs += (user + system) / 1000;
}
// every round also asks one request that is dropped, which costs the client the same
const tokens = (samples.length + Number(rounds)) * generateTokens;
const off = median(samples.map((sample) => 100 * (sample.decodeTokensPerSec / sample.serverDecodeTokensPerSec - 1)));
const ratios = pairs.map(({ client, engine }) => 100 * (client / engine - 1));
process.stdout.write(
  [
    `load average ${((await execText(container, ["cat", "/proc/loadavg"])) ?? "unknown").trim()}`,
    `client against the server's timings, decode, median of ${samples.length}: ${off.toFixed(3)} % (wanted within 1 %)`,
    `client against llama-bench, median of ${ratios.length} pairs: ${median(ratios).toFixed(2)} %, half of them within ${quantile(ratios, 0.25).toFixed(2)} to ${quantile(ratios, 0.75).toFixed(2)} % (wanted within 3 %)`,
    `client ${median(pairs.map(({ client }) => client)).toFixed(2)} tok/s, llama-bench ${median(pairs.map(({ engine }) => engine)).toFixed(2)} tok/s`,
    `client's own processor time: ${(cpuMs / tokens).toFixed(3)} ms per token (wanted under 0.2 ms), requests and prompts included`,
    "",
  ].join("\n"),
);
