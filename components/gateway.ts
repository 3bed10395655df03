import * as command from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { GatewayPlan } from "../plan/gateway.ts";
import { gatewayOpenFiles, gatewayPort, stateDir } from "../plan/gateway.ts";
import { containerUser } from "../plan/server-container.ts";
import { hardened } from "./hardening.ts";
import { dockerLabels, scriptCommand } from "./inputs.ts";
import { createLocalImage } from "./local-image.ts";

export interface GatewayArgs {
  readonly plan: GatewayPlan;
  readonly baseId: pulumi.Input<string>;
  /** Network of the servers; the gateway is the only container on it that is also reachable from outside. */
  readonly serversNetwork: pulumi.Input<string>;
  /** Keys that requests need, any one of them; a secret. Empty where the plan wants none. */
  readonly apiKeys: pulumi.Input<readonly string[]>;
}

/**
 * The one stable endpoint of a stack. It is created once and then left alone: which release is active is a link in its volume, switched by `promote`.
 * While none is, requests wait. The volume outlives a replaced container, so a new gateway routes where the old one did, with the same keys and the same CA.
 * Changed keys and a renewed certificate go into that volume: neither replaces the container.
 */
export class Gateway extends pulumi.ComponentResource {
  /** Where clients go, e.g. `http://127.0.0.1:8080`; known once the container runs. */
  readonly url: pulumi.Output<string>;
  readonly container: docker.Container;
  /** What has to be done before others use it. */
  readonly ready: readonly pulumi.Resource[];

  constructor(name: string, args: GatewayArgs, opts?: pulumi.ComponentResourceOptions) {
    super("llm-server:serving:Gateway", name, {}, opts);
    const { plan } = args;
    const child = { parent: this, dependsOn: opts?.dependsOn }; // a component's dependsOn does not reach its children by itself
    const image = createLocalImage(
      `${name}-image`,
      {
        tag: plan.imageTag,
        dockerfile: "docker/gateway/Dockerfile",
        context: "docker/gateway",
        platform: plan.platform,
        buildArgs: { RUNTIME_BASE: plan.baseImage, RUNTIME_BASE_ID: args.baseId },
      },
      { ...child, retainOnDelete: true }, // other stacks share it
    );
    const edge = new docker.Network(`${name}-edge`, { name: plan.edgeNetwork, labels: dockerLabels(plan.labels) }, child);
    const state = new docker.Volume(`${name}-state`, { name: plan.stateVolume, labels: dockerLabels(plan.labels) }, child);
    this.container = new docker.Container(
      name,
      {
        ...hardened,
        name: plan.containerName,
        image: image.repoDigest,
        labels: dockerLabels(plan.labels),
        user: containerUser,
        envs: [...plan.envs],
        mounts: [{ type: "volume", source: state.name, target: stateDir }],
        networksAdvanced: [{ name: edge.name }, { name: args.serversNetwork }],
        ports: [{ internal: gatewayPort, external: plan.port, ip: plan.bind }],
        memory: plan.memoryMiB,
        memorySwap: plan.memoryMiB,
        ulimits: [{ name: "nofile", soft: gatewayOpenFiles, hard: gatewayOpenFiles }],
        restart: "unless-stopped",
      },
      { ...child, deleteBeforeReplace: true }, // name and port can be held by one container only
    );
    const { access } = plan;
    const brought =
      access === null
        ? []
        : [
            new command.local.Command(
              `${name}-access`,
              {
                ...scriptCommand("scripts/access.ts"),
                environment: { ACCESS_INPUT: JSON.stringify(access) },
                stdin: pulumi.secret(pulumi.output(args.apiKeys).apply((keys) => keys.map((key) => `${key}\n`).join(""))),
                triggers: [this.container.id],
              },
              { parent: this, additionalSecretOutputs: ["stdin"] },
            ),
          ];
    this.ready = [this.container, ...brought];
    this.url = this.container.id.apply(() => plan.url); // hangs on the container, so that nobody uses it earlier
    this.registerOutputs({ url: this.url, containerId: this.container.id });
  }
}
