import type * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { LlamaImagePlan } from "../plan/llama-image.ts";
import { createLocalImage } from "./local-image.ts";

export interface LlamaImageArgs {
  readonly plan: LlamaImagePlan;
  /** Image id of a base by its reference; a base that moved under its tag is another build. */
  readonly baseId: (reference: string) => pulumi.Input<string>;
}

/** A llama.cpp image, built on the Docker host from one entry of `configs/images.yaml`. Rebuilt when Dockerfile, context, arguments or base change. */
export class LlamaImage extends pulumi.ComponentResource {
  /** Image id, `sha256:…`; what containers refer to. */
  readonly imageId: pulumi.Output<string>;
  readonly image: docker.Image;

  constructor(name: string, args: LlamaImageArgs, opts?: pulumi.ComponentResourceOptions) {
    super("llm-server:images:LlamaImage", name, {}, opts);
    const { plan } = args;
    const bases = Object.entries(plan.bases).flatMap(([argument, reference]) => [
      [argument, reference],
      [`${argument}_ID`, args.baseId(reference)],
    ]);
    this.image = createLocalImage(
      name,
      { ...plan, buildArgs: { ...plan.buildArgs, ...(Object.fromEntries(bases) as Record<string, pulumi.Input<string>>) } },
      { parent: this, retainOnDelete: true }, // other stacks and retained releases may run from it; images are pruned on purpose only
    );
    this.imageId = this.image.repoDigest;
    this.registerOutputs({ imageId: this.imageId });
  }
}
