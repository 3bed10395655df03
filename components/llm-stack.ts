import * as command from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { promotionSchema, type Promotion } from "../plan/promotion.ts";
import { baseImage, type StackPlan } from "../plan/stack.ts";
import { createBenchmarkGate, createPerplexityGate } from "./gates.ts";
import { Gateway } from "./gateway.ts";
import { dockerLabels, scriptCommand } from "./inputs.ts";
import { LlamaImage } from "./llama-image.ts";
import { LlamaServer } from "./llama-server.ts";
import { ModelVolume } from "./model-volume.ts";

export interface LlmStackArgs {
  readonly plan: StackPlan;
}

/**
 * One stack: an image, a models volume, one release's server, the gateway, and the chain that lets the release take traffic: `perplexity` → `benchmark` → `promote`.
 * Every resource of a release carries its id in its name, so a new release is created beside the old one, and the old one is deleted only after the new one was promoted.
 * A failed gate fails `up`; what was created for the candidate is removed by the next `up` with another release. Nothing here is rolled back.
 */
export class LlmStack extends pulumi.ComponentResource {
  /** Where clients go. */
  readonly endpoint: pulumi.Output<string>;
  /** What took traffic last, with the numbers that let it; comes from `promote`, so a failed candidate never shows here. */
  readonly promotion: pulumi.Output<Promotion>;

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
    const bases = this.#pullBases([baseImage, ...Object.values(plan.image.bases)], checked);
    const helperImage = bases(baseImage);
    const image = new LlamaImage("llama-image", { plan: plan.image, baseId: bases }, child);
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
    const gateway = new Gateway("gateway", { plan: plan.gateway, baseId: helperImage, serversNetwork: network.name }, checked);

    const { releaseId } = plan;
    const common = { releaseId, imageId: image.imageId, modelSha256: models.sha256, helperImage, evidenceVolume: evidence.name };
    const perplexity = createPerplexityGate(plan.perplexity, { ...common, modelVolume: models.source }, child);
    const server = new LlamaServer(
      `server-${releaseId}`,
      {
        plan: plan.server.plan,
        containerName: plan.server.containerName,
        labels: plan.server.labels,
        imageId: image.imageId,
        models: models.source,
        hostPath: plan.volume.hostPath,
        networkName: network.name,
      },
      child,
    );
    const { container } = server;
    const benchmark = createBenchmarkGate(
      plan.benchmark,
      { ...common, container: container.name, containerId: container.id },
      { ...child, dependsOn: perplexity }, // cheapest failure first, and two measurements at once would disturb each other
    );
    const promote = new command.local.Command(
      "promote",
      {
        ...scriptCommand("scripts/promote.ts"),
        environment: {
          PROMOTE_INPUT: pulumi.jsonStringify({
            stack: plan.stack,
            profile: plan.profile,
            releaseId,
            containers: [container.name],
            containerIds: [container.id],
            gateway: { container: gateway.container.name, id: gateway.container.id, url: gateway.url },
            drainSec: plan.drainSec,
            evidenceVolume: evidence.name,
            helperImage,
            benchmark: benchmark.stdout,
            perplexity: perplexity.stdout,
          }),
        },
      },
      child,
    );
    this.promotion = promote.stdout.apply((line) => promotionSchema.parse(JSON.parse(line)));
    this.endpoint = this.promotion.endpoint;
    this.registerOutputs({ endpoint: this.endpoint, promotion: this.promotion });
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
