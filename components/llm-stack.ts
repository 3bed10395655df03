import * as command from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { promotionSchema, repairVariable, type Promotion } from "../plan/promotion.ts";
import { baseImage, type StackPlan } from "../plan/stack.ts";
import type { ReleaseRecord } from "../plan/retained.ts";
import type { ServerPlan } from "../plan/server-container.ts";
import { createAnswersGate, createBenchmarkGate, createPerplexityGate, keepGates } from "./gates.ts";
import { Gateway } from "./gateway.ts";
import { dockerLabels, scriptCommand } from "./inputs.ts";
import { LlamaImage } from "./llama-image.ts";
import { LlamaServer, type LlamaServerArgs } from "./llama-server.ts";
import { ModelVolume } from "./model-volume.ts";

export interface LlmStackArgs {
  readonly plan: StackPlan;
  /** Why the release has to be given the traffic although nothing else has changed. `@default` it has not */
  readonly repair?: string | undefined;
  /** Keys that requests need, any one of them; a secret. `@default` none */
  readonly apiKeys?: pulumi.Input<readonly string[]> | undefined;
}

/**
 * One stack: an image, a models volume, one release's server, the gateway, and the chain that lets the release take traffic: `perplexity` → `benchmark` → `answers` → `promote`.
 * Every resource of a release carries its id in its name, so a new release is created beside the old one, and the old one is deleted only after the new one was promoted.
 * A failed gate puts back what served before (scripts/rollout) and fails `up`; what was created for the candidate is removed by the next `up` with another release.
 */
export class LlmStack extends pulumi.ComponentResource {
  /** Where clients go. */
  readonly endpoint: pulumi.Output<string>;
  /** What took traffic last, with the numbers that let it; comes from `promote`, so a failed candidate never shows here. */
  readonly promotion: pulumi.Output<Promotion>;
  /** Releases that took traffic and are there, the serving one first; the next deployment is given it as `plan.retained`. */
  readonly releases: pulumi.Output<ReleaseRecord[]>;

  constructor(name: string, args: LlmStackArgs, opts?: pulumi.ComponentResourceOptions) {
    super("llm-server:stack:LlmStack", name, {}, opts);
    const { plan } = args;
    const child = { parent: this };
    const preflight = new command.local.Command(
      "preflight",
      { ...scriptCommand("scripts/preflight.ts"), environment: { PREFLIGHT_INPUT: JSON.stringify(plan.preflight) } },
      child,
    );
    const checked = { ...child, dependsOn: preflight }; // no value flows from it: it only has to come first
    const images = [plan.image, ...plan.furtherImages.map((further) => further.plan)];
    const bases = this.#pullBases([baseImage, ...images.flatMap((each) => Object.values(each.bases))], checked);
    const helperImage = bases(baseImage);
    const image = new LlamaImage("llama-image", { stack: plan.stack, plan: plan.image, inputs: plan.imageInputs, baseId: bases }, child);
    const furtherImages = plan.furtherImages.map(
      ({ name: further, plan: planned, inputs }) =>
        new LlamaImage(`llama-image-${further}`, { stack: plan.stack, plan: planned, inputs, baseId: bases }, child),
    );
    const models = new ModelVolume("models", { volume: plan.volume, files: plan.files, helperImageId: helperImage }, checked);
    const network = new docker.Network(
      "servers",
      { name: plan.serversNetwork.name, internal: true, labels: dockerLabels(plan.serversNetwork.labels) },
      checked,
    );
    const evidence = new docker.Volume(
      "evidence",
      { name: plan.evidence.volume, labels: dockerLabels(plan.evidence.labels) },
      { ...checked, retainOnDelete: true },
    );
    const gateway = new Gateway(
      "gateway",
      { plan: plan.gateway, baseId: helperImage, serversNetwork: network.name, apiKeys: args.apiKeys ?? [] },
      checked,
    );

    const { releaseId, rollout } = plan;
    const place = { imageId: image.imageId, models: models.source, hostPath: plan.volume.hostPath, networkName: network.name };
    const containers = this.#createServers(releaseId, plan.servers, { ...place, isRetained: false });
    const common = { releaseId, rollout, imageId: image.imageId, modelSha256: models.sha256, helperImage, evidenceVolume: evidence.name };
    // All that a candidate needs is there before the rollout begins, because it may stop what serves; and nothing compiles beside a measurement. Cheapest
    // failure first, one measurement at a time.
    let gate = createPerplexityGate(
      plan.perplexity,
      { ...common, modelVolume: models.source },
      { ...child, dependsOn: [...gateway.ready, ...containers, ...furtherImages] },
    );
    const gates = [gate];
    for (const [replica, container] of containers.entries()) {
      const measured = { ...common, container: container.name, containerId: container.id };
      gate = createBenchmarkGate(plan.benchmark, replica, measured, { ...child, dependsOn: gate });
      gates.push(gate);
    }
    const [first] = containers;
    if (plan.answers !== null && first !== undefined) {
      // one replica is asked: all have the same image, model and flags
      const asked = { ...common, container: first.name, containerId: first.id };
      gates.push(createAnswersGate(plan.answers, asked, { ...child, dependsOn: gate }));
    }
    const promote = new command.local.Command(
      "promote",
      {
        ...scriptCommand("scripts/promote.ts"),
        environment: {
          PROMOTE_INPUT: pulumi.jsonStringify({
            profile: plan.profile,
            rollout,
            containerIds: containers.map(({ id }) => id),
            gateway: { id: gateway.container.id, url: gateway.url },
            evidenceVolume: evidence.name,
            helperImage,
            gates: gates.map(({ stdout }) => stdout),
          }),
          [repairVariable]: args.repair ?? "",
        },
      },
      // what was repaired stays in the state, so that an update that has nothing to repair changes nothing
      { ...child, ignoreChanges: args.repair === undefined ? [`environment.${repairVariable}`] : [] },
    );
    this.#keepReleases(plan, network.name);
    this.promotion = promote.stdout.apply((line) => promotionSchema.parse(JSON.parse(line)));
    this.endpoint = this.promotion.endpoint;
    this.releases = pulumi.all([this.promotion, image.imageId, models.source]).apply(([, imageId, source]) => [
      {
        version: 1 as const,
        releaseId,
        profile: plan.profile,
        servers: [...plan.servers],
        imageId,
        models: source,
        ...(plan.volume.hostPath === undefined ? {} : { hostPath: plan.volume.hostPath }),
        perplexityKey: plan.perplexity.key,
        hasAnswers: plan.answers !== null,
      },
      ...plan.retained,
    ]);
    this.registerOutputs({ endpoint: this.endpoint, promotion: this.promotion });
  }

  #createServers(releaseId: string, servers: readonly ServerPlan[], place: Omit<LlamaServerArgs, "plan">): docker.Container[] {
    return servers.map((plan, replica) => {
      const name = `server-${releaseId}${replica === 0 ? "" : `-${replica + 1}`}`;
      return new LlamaServer(name, { plan, ...place }, { parent: this }).container;
    });
  }

  /** Releases that were replaced and are kept stopped, with the gates that they passed. */
  #keepReleases({ retained, perplexity }: StackPlan, networkName: pulumi.Input<string>): void {
    const declaredPerplexity = new Set([perplexity.key]);
    for (const release of retained) {
      const { releaseId, servers, imageId, models, hostPath } = release;
      this.#createServers(releaseId, servers, { imageId, models, hostPath, networkName, isRetained: true });
      keepGates(release, declaredPerplexity, { parent: this });
    }
  }

  /** One `RemoteImage` per base; gives the image id of a base by its reference. */
  #pullBases(references: readonly string[], opts: pulumi.CustomResourceOptions): (reference: string) => pulumi.Output<string> {
    const pulled = new Map(
      [...new Set(references)].map((reference) => [
        reference,
        new docker.RemoteImage(`base-${reference}`, { name: reference, keepLocally: true }, opts),
      ]),
    );
    return (reference) => {
      const found = pulled.get(reference);
      if (found === undefined) throw new Error(`base image ${reference} is not among the pulled ones`);
      return found.imageId;
    };
  }
}
