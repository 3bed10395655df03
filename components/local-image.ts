import * as docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";

/** What a local image is built from. */
export interface LocalImageArgs {
  /** Tag for people; nothing in the project refers to it. */
  readonly tag: string;
  /** Dockerfile, relative to the project. */
  readonly dockerfile: string;
  /** Build context, relative to the project. Its content decides about rebuilding, never its timestamps. */
  readonly context: string;
  /** Of the Docker host, e.g. `linux/amd64`. */
  readonly platform: string;
  readonly buildArgs: Readonly<Record<string, pulumi.Input<string>>>;
}

/** The build of an image that stays on the Docker host: BuildKit, no push. `repoDigest` is the image id then. */
export function createLocalImage(name: string, args: LocalImageArgs, opts: pulumi.CustomResourceOptions): docker.Image {
  return new docker.Image(
    name,
    {
      imageName: args.tag,
      skipPush: true,
      build: {
        builderVersion: "BuilderBuildKit",
        context: args.context,
        platform: args.platform,
        dockerfile: args.dockerfile,
        args: { ...args.buildArgs },
      },
    },
    opts,
  );
}
