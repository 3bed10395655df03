import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import type Docker from "dockerode";
import tar from "tar-stream";
import { buildInfoPath, parseBuildInfo } from "../../plan/images/build-info.ts";
import type { BuildInfo } from "../../plan/images/build-info.ts";

/**
 * What an image knows of its own build, by image id or tag. Read out of a container that is created and never started, so it works on hosts that
 * can't run the image.
 * @throws {Error} if the image has no such file or it does not read as one
 */
export async function readBuildInfo(docker: Docker, image: string): Promise<BuildInfo> {
  const container = await docker.createContainer({ Image: image, Entrypoint: ["true"], Labels: { "llm-server.role": "helper" } });
  try {
    const archive = await container.getArchive({ path: buildInfoPath });
    const extract = tar.extract();
    let content = "";
    extract.on("entry", (_header, stream, next) => {
      buffer(stream).then((bytes) => {
        content = bytes.toString("utf8");
        next();
      }, next);
    });
    await pipeline(archive, extract);
    return parseBuildInfo(content);
  } catch (cause) {
    throw new Error(`image ${image}: ${buildInfoPath} can't be read; was it built by docker/Dockerfile.llama-cpp?`, { cause });
  } finally {
    await container.remove({ force: true });
  }
}
