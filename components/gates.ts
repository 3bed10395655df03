import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { AnswersPlan, BenchmarkPlan, PerplexityPlan } from "../plan/gates/gate-plan.ts";
import type { GateName } from "../plan/gates/verdict.ts";
import type { ReleaseRecord } from "../plan/retained.ts";
import type { RolloutPlan } from "../plan/rollout/records.ts";
import { scriptCommand } from "./inputs.ts";

/** What every gate is told by resources. */
export interface GateResources {
  readonly rollout: RolloutPlan;
  readonly releaseId: string;
  readonly imageId: pulumi.Input<string>;
  /** sha256 of the file that the server loads, as fetched. */
  readonly modelSha256: pulumi.Input<string>;
  /** Image of helper containers that are created and never started. */
  readonly helperImage: pulumi.Input<string>;
  readonly evidenceVolume: pulumi.Input<string>;
}

const gateCommand = (gate: GateName, input: object): command.local.CommandArgs => ({
  ...scriptCommand(`scripts/gates/${gate}.ts`),
  environment: { GATE_INPUT: pulumi.jsonStringify(input) },
});

/**
 * Perplexity of the candidate's image and model against the stored reference of the model family; its name holds everything that moves perplexity.
 * Fails `up` unless the verdict is `passed`. It measures image and model in a container of its own, never the serving one; with `recreate` that is stopped
 * meanwhile, because both would not fit. A base that moved under its tag makes another image of the same inputs: the next release measures it, what serves does not.
 */
export function createPerplexityGate(
  plan: PerplexityPlan,
  resources: GateResources & { readonly modelVolume: pulumi.Input<string> },
  opts: pulumi.CustomResourceOptions,
): command.local.Command {
  const input = { ...plan.input, ...resources, corpus: plan.corpus };
  // Which release asked first is no reason to measure the same numbers again: everything that is, is in the name.
  return new command.local.Command(
    `perplexity-${plan.key}`,
    { ...gateCommand("perplexity", input), triggers: [resources.imageId] },
    { ...opts, ignoreChanges: ["environment", ...(plan.measuresNewImage ? [] : ["triggers"])] },
  );
}

/** Name of the benchmark of a release's server. */
const benchmarkName = (releaseId: string, replica: number): string => `benchmark-${releaseId}${replica === 0 ? "" : `-${replica + 1}`}`;

/**
 * Benchmark of one of the candidate's own containers, which it starts and starts again, and leaves running when it passed. Fails `up` unless the verdict is
 * `passed`. It decides once per container: a release that serves is not measured again, because that would stop it, so changed thresholds hold for the next
 * release.
 */
export function createBenchmarkGate(
  plan: BenchmarkPlan,
  replica: number,
  resources: GateResources & { readonly container: pulumi.Input<string>; readonly containerId: pulumi.Input<string> },
  opts: pulumi.CustomResourceOptions,
): command.local.Command {
  const { containerId, ...rest } = resources;
  return new command.local.Command(
    benchmarkName(resources.releaseId, replica),
    { ...gateCommand("benchmark", { ...plan, ...rest }), triggers: [containerId] },
    { ...opts, ignoreChanges: ["environment"] },
  );
}

/**
 * What a candidate answers against the reference's answers. Fails `up` unless the verdict is `passed`. It asks the container that was measured last, starts it
 * where it does not run, and never again: changed questions hold for the next release.
 */
export function createAnswersGate(
  plan: AnswersPlan,
  resources: GateResources & { readonly container: pulumi.Input<string>; readonly containerId: pulumi.Input<string> },
  opts: pulumi.CustomResourceOptions,
): command.local.Command {
  const { containerId, ...rest } = resources;
  return new command.local.Command(
    `answers-${resources.releaseId}`,
    { ...gateCommand("answers", { ...plan, ...rest }), triggers: [containerId] },
    { ...opts, ignoreChanges: ["environment"] },
  );
}

/**
 * The gates that a retained release passed, declared on so that Pulumi keeps them: the way back to it then measures nothing. They never run here; a container that
 * was made anew is measured when its release is asked for again, because its id is among the triggers then.
 */
export function keepGates(release: ReleaseRecord, declaredPerplexity: Set<string>, opts: pulumi.CustomResourceOptions): void {
  const names = release.servers.map((_, replica) => ["benchmark", benchmarkName(release.releaseId, replica)] as const);
  const perplexity = declaredPerplexity.has(release.perplexityKey) ? [] : [["perplexity", `perplexity-${release.perplexityKey}`] as const];
  const answers = release.hasAnswers ? [["answers", `answers-${release.releaseId}`] as const] : [];
  declaredPerplexity.add(release.perplexityKey);
  for (const [gate, name] of [...perplexity, ...names, ...answers]) {
    const inputs = { ...scriptCommand(`scripts/gates/${gate}.ts`), environment: {}, triggers: [] };
    new command.local.Command(name, inputs, { ...opts, ignoreChanges: Object.keys(inputs) });
  }
}
