import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";

/** The part of the program's output that is for people. */
const distancesSchema = z.array(z.object({ message: z.string() }));

/**
 * How far the pins of these images of `configs/images.yaml` are behind upstream, one line each; empty for no images. For previews only: it asks the
 * network. The program that asks waits 2 s at most, and an image whose repository gives no answer has a line that says so.
 * Whatever goes wrong is no reason for a preview to fail: then there are no lines, and `--debug` has the reason.
 */
export async function readUpstreamDistances(images: readonly string[]): Promise<string[]> {
  if (images.length === 0) return [];
  try {
    const { stdout } = await command.local.run({
      command: `node scripts/images/distance-program.ts ${images.join(" ")}`,
      logging: "none",
    });
    return distancesSchema.parse(JSON.parse(stdout)).map(({ message }) => message);
  } catch (error) {
    await pulumi.log.debug(`upstream was not asked: ${String(error)}`);
    return [];
  }
}
