import * as command from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { fetchedFileSchema, type ModelFilePlan, type VolumePlan } from "../plan/models/store.ts";
import { dockerLabels, scriptCommand } from "./inputs.ts";

export interface ModelVolumeArgs {
  readonly volume: VolumePlan;
  /** Files to bring, each from the first of its sources that can be reached. */
  readonly files: readonly ModelFilePlan[];
  /** Image of the helper container that writes into the volume. */
  readonly helperImageId: pulumi.Input<string>;
}

/**
 * A volume with model files at content-addressed paths, so that a file can't be replaced under a running server. Files are fetched when
 * they are missing and verified (size, sha256, GGUF extents); nothing is ever removed here. The volume outlives the stack unless it is removed by hand.
 */
export class ModelVolume extends pulumi.ComponentResource {
  /** Name of the volume or absolute host path; known once every file is there and verified. */
  readonly source: pulumi.Output<string>;
  /** sha256 of the first file, the one that the server is given. */
  readonly sha256: pulumi.Output<string>;

  constructor(name: string, args: ModelVolumeArgs, opts?: pulumi.ComponentResourceOptions) {
    super("llm-server:models:ModelVolume", name, {}, opts);
    const { volume } = args;
    const managed =
      volume.hostPath === undefined
        ? new docker.Volume(
            name,
            { name: volume.source, labels: dockerLabels(volume.labels) },
            { parent: this, dependsOn: opts?.dependsOn, retainOnDelete: true },
          )
        : undefined;
    const fetches = args.files.map(
      (file) =>
        new command.local.Command(
          `${name}-${file.id}`,
          {
            ...scriptCommand("scripts/models/fetch.ts"),
            environment: {
              MODEL_INPUT: pulumi.jsonStringify({
                file,
                volume: { source: volume.source, hostPath: volume.hostPath, stack: volume.stack },
                helperImageId: args.helperImageId,
              }),
            },
            triggers: [managed?.id ?? volume.source],
          },
          { parent: this, dependsOn: opts?.dependsOn },
        ),
    );
    const fetched = pulumi
      .all(fetches.map((fetch) => fetch.stdout))
      .apply((lines) => lines.map((line) => fetchedFileSchema.parse(JSON.parse(line))));
    this.source = fetched.apply(() => volume.source);
    this.sha256 = fetched.apply(([first]) => first?.sha256 ?? "");
    this.registerOutputs({ source: this.source, sha256: this.sha256 });
  }
}
