import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type Docker from "dockerode";
import type { EngineHost } from "../../scripts/gguf/engine.ts";

const folder = fileURLToPath(new URL(".", import.meta.url));

/** Image that the oracle is built on; `ORACLE_BASE_IMAGE` names another Debian. */
const baseImage = process.env["ORACLE_BASE_IMAGE"] ?? "debian:forky";
/** An image built before, used as it is. */
const readyImage = process.env["ORACLE_IMAGE"];

/** Why the engine can't be asked here, or null. */
export async function whyNoEngine(docker: Docker): Promise<string | null> {
  try {
    await docker.ping();
    await docker.getImage(readyImage ?? baseImage).inspect();
    return null;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `${reason}: start Docker, and name a Debian image (ORACLE_BASE_IMAGE) or a built oracle (ORACLE_IMAGE)`;
  }
}

/** The engine on a software Vulkan device that says it has `vramMiB`; builds its image first (cached by the daemon). */
export function prepareEngine(docker: Docker, vramMiB: number): EngineHost {
  const image = readyImage ?? buildImage();
  return {
    docker,
    image,
    gpus: [],
    env: {
      GGML_VK_VISIBLE_DEVICES: "0",
      GGML_VK_FORCE_MAX_BUFFER_SIZE: String(2 ** 40),
      GGML_VK_FORCE_MAX_ALLOCATION_SIZE: String(2 ** 40),
      ORACLE_VRAM_MIB: String(vramMiB),
      PRELOAD: "/opt/oracle/vulkan-limits.so /usr/lib/x86_64-linux-gnu/libvulkan.so.1",
    },
  };
}

function buildImage(): string {
  const tag = "llm-server/oracle:test";
  const args = [
    "build",
    "--quiet",
    "--network",
    "host",
    "--label",
    "llm-server.role=oracle",
    "--build-arg",
    `BASE_IMAGE=${baseImage}`,
    "-t",
    tag,
    folder,
  ];
  // the classic builder: a docker client without buildx can't use the other
  execFileSync("docker", args, { env: { ...process.env, DOCKER_BUILDKIT: "0" }, stdio: ["ignore", "ignore", "pipe"] });
  return tag;
}
