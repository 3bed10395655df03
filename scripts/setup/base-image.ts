import { createReadStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type Docker from "dockerode";
import { execa } from "execa";
import { baseImage } from "../../plan/stack.ts";
import { exists } from "../docker/host.ts";
import { describeError, log } from "../program.ts";
import { aptInstall, canInstall } from "./apt.ts";

/** Longest wait for an image registry, milliseconds: one that can't be reached must cost seconds. */
const pullTimeoutMs = 120_000;

/**
 * The base image on the Docker host: there already, pulled, or made from Debian's packages under the same tag.
 * @throws {Error} with both reasons where it can neither be pulled nor made
 */
export async function setUpBaseImage(docker: Docker): Promise<"there" | "pulled" | "mmdebstrap"> {
  if (await exists(docker.getImage(baseImage))) return "there";
  try {
    log(`setup: base image: pulling ${baseImage}`);
    await pull(docker);
    return "pulled";
  } catch (error) {
    const reason = describeError(error).split("\n")[0] ?? "";
    if (!canInstall())
      throw new Error(
        `base image ${baseImage} could not be pulled: ${reason}; pull or load it on the Docker host, or run this as root on Debian, which makes it from packages`,
        { cause: error },
      );
    log(`setup: base image: could not be pulled (${reason}); making it from Debian's packages, about 20 s`);
    await makeFromPackages(docker);
    return "mmdebstrap";
  }
}

async function pull(docker: Docker): Promise<void> {
  const abortSignal = AbortSignal.timeout(pullTimeoutMs);
  const stream = await docker.pull(baseImage, { abortSignal });
  await new Promise<void>((resolve, reject) =>
    docker.modem.followProgress(stream, (error) => (error === null ? resolve() : reject(error))),
  );
}

async function makeFromPackages(docker: Docker): Promise<void> {
  const [repo, tag] = baseImage.split(":") as [string, string];
  const folder = await mkdtemp(join(tmpdir(), "llm-server-base-"));
  try {
    await aptInstall(["mmdebstrap"]);
    const tar = join(folder, "base.tar");
    // a frozen mirror serves an index past its date; the image keeps none of this setting
    await execa("mmdebstrap", [
      "--quiet",
      "--mode=root",
      "--variant=minbase",
      '--aptopt=Acquire::Check-Valid-Until "false"',
      "--include=ca-certificates",
      tag,
      tar,
    ]);
    const stream = await docker.importImage(createReadStream(tar), { repo, tag, message: "made from Debian's packages by mmdebstrap" });
    await new Promise<void>((resolve, reject) =>
      docker.modem.followProgress(stream, (error) => (error === null ? resolve() : reject(error))),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
