import process from "node:process";
import { z } from "zod";
import { describeBuildFailure } from "../../plan/images/build-failure.ts";
import { connectDocker } from "../docker/host.ts";
import { log, runProgram } from "../program.ts";
import { readServing } from "../serving.ts";
import { buildImage, findDockerClient, ImageBuildError } from "./docker-build.ts";

/** Input of this program, from the environment variable `BUILD_INPUT`. */
const buildInputSchema = z.strictObject({
  stack: z.string(),
  tag: z.string(),
  dockerfile: z.string(),
  context: z.string(),
  platform: z.string(),
  args: z.record(z.string(), z.string()),
  /** Hash of all that decides about the image; another one runs this program again. */
  inputs: z.string(),
});

/** Time between two lines of progress, milliseconds: Pulumi repeats them all when the build fails, and a build has thousands. */
const progressMs = 5000;

/** Passes a line on if none was for {@link progressMs}. */
function occasionally(show: (line: string) => void): (line: string) => void {
  let last = 0;
  return (line) => {
    if (line.trim() === "" || Date.now() - last < progressMs) return;
    last = Date.now();
    show(line);
  };
}

/**
 * Builds an image into the builder's cache before the Docker provider builds it from there, and prints the image id. Where the build fails, the operator is told
 * why in the builder's last lines, and what serves: the official provider fails with an exit code alone. Without a docker client that has BuildKit it does
 * nothing, since the provider needs none.
 */
await runProgram(async (signal) => {
  const { stack, tag, dockerfile, context, platform, args } = buildInputSchema.parse(JSON.parse(process.env["BUILD_INPUT"] ?? "null"));
  const client = await findDockerClient().catch((error: unknown) => {
    log(`${tag}: ${error instanceof Error ? error.message : String(error)}; built by the Docker provider, whose messages say less`);
    return undefined;
  });
  if (client === undefined) return { imageId: null };
  try {
    return { imageId: await buildImage({ dockerfile, context, platform, args }, occasionally(log), signal) };
  } catch (error) {
    if (!(error instanceof ImageBuildError)) throw error;
    throw new Error(describeBuildFailure(tag, error.failure, await readServing(connectDocker(null), stack)));
  }
});
