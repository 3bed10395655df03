import process from "node:process";

import { describeMetric } from "../../../plan/gates/format.ts";
import type { GateResult } from "../../../plan/gates/verdict.ts";
import { keepMeasurements } from "../../../scripts/gates/keep.ts";
import { badModel } from "../../support/models.ts";
import { Deployment, type Candidate } from "../../support/deployment.ts";

/**
 * The gates on real servers: `node tests/bench/gates/real-servers.ts identical [deployments=20] [name]` deploys one and the same release again and
 * again, `… worse [name]` three that are truly worse, and `… answers [name]` releases that say the same and others that don't. The
 * evidence volume of that name keeps baseline and reference, so that a run can go on later. Exit code 1 if a release got another verdict than it deserves.
 */
const [mode, ...rest] = process.argv.slice(2);

function report(what: string, result: GateResult): void {
  const lines = result.metrics.map((metric) => `    ${metric.verdict}: ${describeMetric(metric)}`);
  process.stdout.write(`${what}: ${result.verdict} in ${result.wallSec.toFixed(0)} s, ${result.reason}\n${lines.join("\n")}\n`);
}

/** One deployment of the dev release as it is; promoted if it passed, as `up` does. */
async function deployIdentical(volume: string): Promise<GateResult> {
  await using deployment = await Deployment.create({}, volume);
  const result = await deployment.benchmark();
  await using store = await deployment.store();
  for (const line of await keepMeasurements(store, [result], new Date().toISOString())) process.stdout.write(`  ${line}\n`);
  return result;
}

async function identical(deployments: number, volume: string): Promise<boolean> {
  const counts = { passed: 0, failed: 0, inconclusive: 0, error: 0 };
  for (let index = 1; index <= deployments; index++) {
    const result = await deployIdentical(volume);
    report(`deployment ${index} of ${deployments}, compared with ${result.comparedWith?.source ?? "nothing"}`, result);
    counts[result.verdict] += 1;
  }
  process.stdout.write(`${JSON.stringify(counts)}\n`);
  return counts.failed + counts.error === 0;
}

/** Candidates that are truly worse, with the gate and the metric that have to say so. */
const worse: readonly { name: string; candidate: Candidate; gate: "benchmark" | "perplexity"; metric: string }[] = [
  { name: "requantised to Q2_K", candidate: { model: badModel }, gate: "perplexity", metric: "perplexity" },
  {
    name: "half the CPUs",
    candidate: { change: (config) => ({ ...config, device: { ...config.device, cpus: 1 } }) },
    gate: "benchmark",
    metric: "long prompt",
  },
  {
    name: "a template whose first words change with every turn, so that no prompt can be reused",
    candidate: {
      env: {
        LLAMA_ARG_CHAT_TEMPLATE:
          'Message {{ messages | length }} of this talk.\n{% for m in messages %}{{ m["role"] }}: {{ m["content"] }}\n{% endfor %}assistant:',
      },
    },
    gate: "benchmark",
    metric: "multi-turn first token",
  },
];

async function reject(volume: string): Promise<boolean> {
  let isRejected = true;
  for (const { name, candidate, gate, metric } of worse) {
    await using deployment = await Deployment.create(candidate, volume);
    const result = await deployment[gate]();
    report(`${name}, ${gate} gate, compared with ${result.comparedWith?.source ?? "nothing"}`, result);
    const found = result.metrics.find((entry) => entry.name === metric);
    isRejected &&= result.verdict === "failed" && found?.verdict === "failed";
  }
  return isRejected;
}

/** Releases that say the same as the dev release, and some that are broken; `isSame` is what the answers gate has to find. */
const speakers: readonly { name: string; candidate: Candidate; isSame: boolean }[] = [
  { name: "the reference", candidate: {}, isSame: true },
  { name: "the same again", candidate: {}, isSame: true },
  { name: "the same once more", candidate: {}, isSame: true },
  { name: "context 8192", candidate: { env: { LLAMA_ARG_CTX_SIZE: "8192" } }, isSame: true },
  { name: "one thread", candidate: { env: { LLAMA_ARG_THREADS: "1" } }, isSame: true },
  { name: "ubatch 128", candidate: { env: { LLAMA_ARG_UBATCH: "128" } }, isSame: true },
  { name: "unified cache, four slots", candidate: { env: { LLAMA_ARG_KV_UNIFIED: "on", LLAMA_ARG_N_PARALLEL: "4" } }, isSame: true },
  { name: "no flash attention", candidate: { env: { LLAMA_ARG_FLASH_ATTN: "off" } }, isSame: true },
  { name: "q8_0 cache", candidate: { env: { LLAMA_ARG_CACHE_TYPE_K: "q8_0", LLAMA_ARG_CACHE_TYPE_V: "q8_0" } }, isSame: true },
  { name: "requantised to Q2_K", candidate: { model: badModel }, isSame: false },
  { name: "positions stretched four times", candidate: { env: { LLAMA_ARG_ROPE_FREQ_SCALE: "0.25" } }, isSame: false },
];

async function converse(volume: string): Promise<boolean> {
  let isRight = true;
  for (const { name, candidate, isSame } of speakers) {
    await using deployment = await Deployment.create(candidate, volume);
    const result = await deployment.answers();
    report(`${name}, compared with ${result.comparedWith?.source ?? "nothing"}`, result);
    await using store = await deployment.store();
    if (isSame) await keepMeasurements(store, [result], new Date().toISOString());
    isRight &&= result.verdict === (isSame ? "passed" : "failed");
  }
  return isRight;
}

const defaultVolume = "llm-server-bench-gates";
const isFine =
  mode === "identical"
    ? await identical(Number(rest[0] ?? 20), rest[1] ?? defaultVolume)
    : mode === "worse"
      ? await reject(rest[0] ?? defaultVolume)
      : mode === "answers"
        ? await converse(rest[0] ?? defaultVolume)
        : undefined;
if (isFine === undefined) process.stderr.write("usage: real-servers.ts identical [deployments] [name] | worse [name] | answers [name]\n");
process.exitCode = isFine === undefined ? 3 : isFine ? 0 : 1;
