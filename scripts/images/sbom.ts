import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { Command } from "commander";
import type Docker from "dockerode";
import tar from "tar-stream";
import { imageLabels } from "../../plan/images/build-info.ts";
import { osReleasePath, packagesPath, readDistribution, readPackages, spdxDocument } from "../../plan/images/sbom.ts";
import { labels } from "../../plan/names.ts";
import { connectDocker } from "../docker/host.ts";

/** `npm run sbom`: what is in an image. */
export function sbomCommand(): Command {
  return new Command("sbom")
    .description("print the bill of materials of an image on the Docker host, as SPDX 2.3 in JSON")
    .argument("<image>", "image id or tag, e.g. llm-server/llama-cpp:latest")
    .action(async (image: string) => {
      process.stdout.write(`${JSON.stringify(await readSbom(connectDocker(null), image), null, 2)}\n`);
    });
}

/**
 * The bill of materials of an image, read out of a container that is created and never started: it works on hosts that can't run the image.
 * @throws {Error} if there is no such image or it has no list of packages
 */
export async function readSbom(docker: Docker, image: string): Promise<object> {
  const { Id, Config } = await docker.getImage(image).inspect();
  const container = await docker.createContainer({ Image: Id, Entrypoint: ["true"], Labels: { [labels.role]: "helper" } });
  try {
    const packages = readPackages(await readFileOf(container, packagesPath));
    const distribution = readDistribution(await readFileOf(container, osReleasePath));
    const { [imageLabels.revision]: commit, [imageLabels.source]: repo } = (Config.Labels as Record<string, string> | null) ?? {};
    const source = commit === undefined || repo === undefined ? undefined : { repo, commit };
    return spdxDocument({ image, imageId: Id, source, distribution }, packages, new Date().toISOString());
  } catch (cause) {
    throw new Error(`image ${image}: its packages can't be listed; only Debian's and Ubuntu's are read`, { cause });
  } finally {
    await container.remove({ force: true });
  }
}

async function readFileOf(container: Docker.Container, path: string): Promise<string> {
  const extract = tar.extract();
  const texts: string[] = [];
  extract.on("entry", (_header, stream, next) => {
    buffer(stream).then((bytes) => {
      texts.push(bytes.toString("utf8"));
      next();
    }, next);
  });
  await pipeline(await container.getArchive({ path }), extract);
  return texts.join("");
}
