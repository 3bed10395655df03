import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { BenchmarkPlan, PerplexityPlan } from "../plan/gates/gate-plan.ts";
import { scriptCommand } from "./inputs.ts";

/** What every gate is told by resources. */
export interface GateResources {
  readonly releaseId: string;
  readonly imageId: pulumi.Input<string>;
  /** sha256 of the file that the server loads, as fetched. */
  readonly modelSha256: pulumi.Input<string>;
  /** Image of helper containers that are created and never started. */
  readonly helperImage: pulumi.Input<string>;
  readonly evidenceVolume: pulumi.Input<string>;
}

const gateCommand = (gate: "benchmark" | "perplexity", input: object): command.local.CommandArgs => ({
  ...scriptCommand(`scripts/gates/${gate}.ts`),
  environment: { GATE_INPUT: pulumi.jsonStringify(input) },
});

/**
 * Perplexity of the candidate's image and model against the stored reference of the model family; its name holds everything that moves perplexity.
 * Fails `up` unless the verdict is `passed`. It measures image and model in a container of its own, never the serving one.
 */
export function createPerplexityGate(
  plan: PerplexityPlan,
  resources: GateResources & { readonly modelVolume: pulumi.Input<string> },
  opts: pulumi.CustomResourceOptions,
): command.local.Command {
  const input = { ...plan.input, ...resources, corpus: plan.corpus };
  // Which release asked first is no reason to measure the same numbers again: everything that is, is in the name.
  return new command.local.Command(`perplexity-${plan.key}`, gateCommand("perplexity", input), { ...opts, ignoreChanges: ["environment"] });
}

/**
 * Benchmark of the candidate's own container, which it starts and starts again, and leaves running when it passed. Fails `up` unless the verdict is `passed`;
 * the serving release is not touched. It decides once per container: a release that serves is not measured again, because that would stop it, so
 * changed thresholds hold for the next release.
 */
export function createBenchmarkGate(
  plan: BenchmarkPlan,
  resources: GateResources & { readonly container: pulumi.Input<string>; readonly containerId: pulumi.Input<string> },
  opts: pulumi.CustomResourceOptions,
): command.local.Command {
  const { containerId, ...rest } = resources;
  return new command.local.Command(
    `benchmark-${resources.releaseId}`,
    { ...gateCommand("benchmark", { ...plan, ...rest }), triggers: [containerId] },
    { ...opts, ignoreChanges: ["environment"] },
  );
}
