import { readFileSync } from "node:fs";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { LlmStack } from "./components/llm-stack.ts";
import { readTraffic } from "./components/traffic.ts";
import { readUpstreamDistances } from "./components/upstream-distance.ts";
import { ConfigError } from "./plan/config/errors.ts";
import { parseStackConfig, requireSecretKeys, type StackConfig } from "./plan/config/stack-config.ts";
import { formatGateResult } from "./plan/gates/format.ts";
import { findRepair } from "./plan/promotion.ts";
import { readReleases, type ReleaseRecord } from "./plan/retained.ts";
import { planStack, type StackPlan } from "./plan/stack.ts";

// Nobody reads what this process prints once the CLI was killed. Pulumi's SDK reports that error, too, on the closed pipe, and goes round for ever: one processor, and a
// GiB of memory in ten minutes (seen with 3.270.0, strace: EPIPE on 2).
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => process.exit(1));

/** The Docker provider that stacks are written for; `toolchain/versions.env` installs the same. The SDK's own default is newer. */
const dockerProviderVersion = "5.1.0";

function readText(path: string): string | undefined {
  try {
    return readFileSync(new URL(path, import.meta.url), "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Whether a configuration value was set with `--secret`; Pulumi tells its SDK, which does not tell programs. */
const isSecret = (key: string): boolean => (JSON.parse(process.env["PULUMI_CONFIG_SECRET_KEYS"] ?? "[]") as string[]).includes(key);

/** From this stack's own outputs: releases that took traffic before, and which was promoted last; none before the first deployment. */
async function readOutputs(): Promise<{ before: ReleaseRecord[]; promoted: string | null }> {
  const self = new pulumi.StackReference(`${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`);
  const [kept, active] = await Promise.all([self.getOutputDetails("releases"), self.getOutputDetails("activeRelease")]);
  return { before: readReleases(kept.secretValue), promoted: typeof active.value === "string" ? active.value : null };
}

/** Why the release has to be given the traffic anew. A preview needs no Docker host; an update must not delete what it does not know to be idle. */
async function askRepair(promoted: string | null): Promise<string | undefined> {
  if (promoted === null) return undefined;
  try {
    return findRepair(promoted, await readTraffic(pulumi.getStack()));
  } catch (error) {
    const reason = `the Docker host could not be asked which release takes the traffic, so nothing was changed: ${String(error)}`;
    if (!pulumi.runtime.isDryRun()) throw new pulumi.RunError(`\n${reason}`);
    await pulumi.log.debug(reason);
    return undefined;
  }
}

function planThisStack(before: readonly ReleaseRecord[]): { plan: StackPlan; config: StackConfig } {
  const stack = pulumi.getStack();
  try {
    const config = parseStackConfig(stack, pulumi.runtime.allConfig());
    requireSecretKeys(stack, config, isSecret, readText(`Pulumi.${stack}.yaml`));
    return { plan: planStack(stack, config, readText, before), config };
  } catch (error) {
    // a readable message instead of a stack trace: the trouble is in a file of the operator's
    throw error instanceof ConfigError ? new pulumi.RunError(`\n${error.message}`) : error;
  }
}

const { before, promoted } = await readOutputs();
// planned while the host is asked
const [repair, { plan, config }] = await Promise.all([askRepair(promoted), Promise.resolve(before).then(planThisStack)]);
for (const line of plan.warnings) await pulumi.log.warn(line);
if (pulumi.runtime.isDryRun() && plan.warnings.length === 0) await pulumi.log.info(plan.memory.lines.join("\n"));
const distances = readUpstreamDistances(pulumi.runtime.isDryRun() ? plan.pinnedImages : []);
const provider = new docker.Provider("docker", {}, { version: dockerProviderVersion });
const stack = new LlmStack("llm", { plan, repair, apiKeys: pulumi.secret(config.apiKeys ?? []) }, { providers: [provider] });
for (const line of await distances) await pulumi.log.info(line); // asked while the resources were registered

export const endpoint = stack.endpoint;
export const activeRelease = stack.promotion.releaseId;
export const profile = stack.promotion.profile;
/** What the next deployment needs to know of the releases that are there. No secret: it is marked as one so that every update does not print a page of it. */
export const releases = pulumi.secret(stack.releases);
export const plannedMemory = plan.memory.verdict;
/** What the gates of the release that took traffic last printed, as numbers; marked for the same reason. */
export const gateResults = pulumi.secret(stack.promotion.gates);
/** The same for a reader: each gate's table, line by line; one table per server of the release where a gate measures each. */
export const verdicts = stack.promotion.gates.apply((gates) =>
  Object.fromEntries(
    gates.map(({ gate }) => [gate, gates.filter((other) => other.gate === gate).flatMap((result) => formatGateResult(result).split("\n"))]),
  ),
);
