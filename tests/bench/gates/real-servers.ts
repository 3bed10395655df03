import process from "node:process";

import { describeMetric } from "../../../plan/gates/format.ts";
import type { GateResult } from "../../../plan/gates/verdict.ts";
import { keepMeasurements } from "../../../scripts/gates/keep.ts";
import { badModel } from "../../support/models.ts";
import type { Candidate } from "./deployment.ts";
import { Deployment } from "./deployment.ts";

/**
 * The gates on real servers: `node tests/bench/gates/real-servers.ts identical [deployments=20] [evidence volume]` deploys one and the same release again and
 * again, and `… worse [evidence volume]` three that are truly worse. The volume keeps the baseline, so that both can share one and go on later.
 * Exit code 1 if an identical release failed, or a worse one did not.
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
    metric: "short decode",
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

const defaultVolume = "llm-server-bench-gates";
const isFine =
  mode === "identical"
    ? await identical(Number(rest[0] ?? 20), rest[1] ?? defaultVolume)
    : mode === "worse"
      ? await reject(rest[0] ?? defaultVolume)
      : undefined;
if (isFine === undefined) process.stderr.write("usage: real-servers.ts identical [deployments] [volume] | worse [volume]\n");
process.exitCode = isFine === undefined ? 3 : isFine ? 0 : 1;
