import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { normalRestart } from "../plan/rollout/types.ts";
import { containerUser, modelsDir, type ServerPlan } from "../plan/server-container.ts";
import { hardened } from "./hardening.ts";
import { dockerLabels } from "./inputs.ts";

export interface LlamaServerArgs {
  readonly plan: ServerPlan;
  readonly imageId: pulumi.Input<string>;
  /** Volume name or absolute host path of the models, mounted read-only. */
  readonly models: pulumi.Input<string>;
  /** Set where `models` is a host path. */
  readonly hostPath?: string | undefined;
  readonly networkName: pulumi.Input<string>;
  /** A release that was replaced and is kept: its container stays as it was made. */
  readonly isRetained: boolean;
}

/**
 * One release's llama-server in one hardened container, created stopped: the rollout starts it, so that Pulumi never restarts a server behind the
 * gates' back. Replaced when image, flags, limits or volume change; the release id in its name then changes too.
 */
export class LlamaServer extends pulumi.ComponentResource {
  readonly container: docker.Container;

  constructor(name: string, args: LlamaServerArgs, opts?: pulumi.ComponentResourceOptions) {
    super("llm-server:serving:LlamaServer", name, {}, opts);
    const { container, containerName, labels } = args.plan;
    const inputs = {
      ...hardened,
      name: containerName, // also the host name on the servers network
      image: args.imageId,
      labels: dockerLabels(labels),
      user: containerUser,
      envs: [...container.envs],
      mounts: [{ type: args.hostPath === undefined ? "volume" : "bind", source: args.models, target: modelsDir, readOnly: true }],
      networksAdvanced: [{ name: args.networkName }],
      memory: container.memoryMiB,
      memorySwap: container.memoryMiB,
      cpus: container.cpus,
      gpus: container.gpus,
      stopTimeout: container.stopTimeoutSec,
      restart: normalRestart, // the rollout changes it while it tries the candidate
      start: false,
      mustRun: false,
    } satisfies docker.ContainerArgs;
    // An image that was built anew from the same inputs is not another release: a replacement under the same Pulumi name would stop the serving container first.
    const ignoreChanges = args.isRetained ? Object.keys(inputs) : ["image"];
    this.container = new docker.Container(name, inputs, { parent: this, ignoreChanges });
    this.registerOutputs({ containerId: this.container.id });
  }
}
