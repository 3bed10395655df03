import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { containerUser, modelsDir, type ServerContainerPlan } from "../plan/server-container.ts";
import { hardened } from "./hardening.ts";
import { dockerLabels } from "./inputs.ts";

export interface LlamaServerArgs {
  readonly plan: ServerContainerPlan;
  /** Name of the container, which is also its host name on the servers network. */
  readonly containerName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly imageId: pulumi.Input<string>;
  /** Volume name or absolute host path of the models, mounted read-only. */
  readonly models: pulumi.Input<string>;
  /** Set where `models` is a host path. */
  readonly hostPath?: string | undefined;
  readonly networkName: pulumi.Input<string>;
}

/**
 * One release's llama-server in one hardened container, created stopped: the rollout starts it, so that Pulumi never restarts a server behind the
 * gates' back. Replaced when image, flags, limits or volume change; the release id in its name then changes too.
 */
export class LlamaServer extends pulumi.ComponentResource {
  readonly container: docker.Container;

  constructor(name: string, args: LlamaServerArgs, opts?: pulumi.ComponentResourceOptions) {
    super("llm-server:serving:LlamaServer", name, {}, opts);
    const { plan } = args;
    this.container = new docker.Container(
      name,
      {
        ...hardened,
        name: args.containerName,
        image: args.imageId,
        labels: dockerLabels(args.labels),
        user: containerUser,
        envs: [...plan.envs],
        mounts: [{ type: args.hostPath === undefined ? "volume" : "bind", source: args.models, target: modelsDir, readOnly: true }],
        networksAdvanced: [{ name: args.networkName }],
        memory: plan.memoryMiB,
        memorySwap: plan.memoryMiB,
        cpus: plan.cpus,
        gpus: plan.gpus,
        stopTimeout: plan.stopTimeoutSec,
        restart: "unless-stopped",
        start: false,
        mustRun: false,
      },
      // An image that was built anew from the same inputs is not another release: a replacement under the same Pulumi name would stop the serving container first.
      { parent: this, ignoreChanges: ["image"] },
    );
    this.registerOutputs({ containerId: this.container.id });
  }
}
