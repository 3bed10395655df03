import { execa } from "execa";
import { baseImage } from "../../plan/stack.ts";
import { projectDir } from "../../scripts/paths.ts";

/** Tag of the tests' own llama.cpp image, so that a tag of the user's never moves. */
export const testImage = "llm-server/test:llama-cpp";

/** Builds the tests' llama.cpp image from Debian's packages; the legacy builder is the one that every Docker client has. */
export async function buildTestImage(): Promise<void> {
  const args = ["--build-arg", `RUNTIME_BASE=${baseImage}`, "--file", "docker/Dockerfile.llama-cpp-debian", "docker"];
  await execa("docker", ["build", "--quiet", "--tag", testImage, ...args], { cwd: projectDir, env: { DOCKER_BUILDKIT: "0" } });
}
