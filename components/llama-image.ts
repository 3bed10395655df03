import * as command from "@pulumi/command";
import type * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { LlamaImagePlan } from "../plan/llama-image.ts";
import { scriptCommand } from "./inputs.ts";
import { createLocalImage } from "./local-image.ts";

export interface LlamaImageArgs {
  /** Stack that waits for it; a build that fails says what serves there. */
  readonly stack: string;
  readonly plan: LlamaImagePlan;
  /** Hash of the arguments and of the files that the build reads. */
  readonly inputs: string;
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
    const { stack, plan, inputs } = args;
    const bases = Object.entries(plan.bases).flatMap(([argument, reference]) => [
      [argument, reference],
      [`${argument}_ID`, args.baseId(reference)],
    ]);
    const { tag, dockerfile, context, platform } = plan;
    const buildArgs = { ...plan.buildArgs, ...(Object.fromEntries(bases) as Record<string, pulumi.Input<string>>) };
    const build = new command.local.Command(
      `${name}-build`,
      {
        ...scriptCommand("scripts/images/build.ts"),
        environment: { BUILD_INPUT: pulumi.jsonStringify({ stack, tag, dockerfile, context, platform, args: buildArgs, inputs }) },
      },
      { parent: this },
    );
    this.image = createLocalImage(
      name,
      { ...plan, buildArgs },
      // After the build that can say why it failed, out of its cache. Other stacks and retained releases may run from it: images are pruned on purpose only.
      { parent: this, dependsOn: build, retainOnDelete: true },
    );
    this.imageId = this.image.repoDigest;
    this.registerOutputs({ imageId: this.imageId });
  }
}
