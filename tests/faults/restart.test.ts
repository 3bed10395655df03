/**
 * Faults 3, 8 and 54 of docs/faults.md: an engine that ends and starts again while a release serves, a GPU that its container loses, and a power cut in the middle of a rollout, on an
 * engine of the test's own. Cannot prove: what a kernel that goes down does to files that were not synced, and what a real GPU that is lost does; here a script stands for nvidia-smi.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serverName } from "../../plan/names.ts";
import { baseImage } from "../../plan/stack.ts";
import { projectDir } from "../../scripts/paths.ts";
import { prepareModels } from "../support/models.ts";
import { providerSets } from "../support/provider-sets.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";
import { FaultStack } from "./fault-stack.ts";
import { OwnEngine } from "./own-engine.ts";

const sets = await providerSets();
const set = sets.find(({ name }) => name === "official") ?? sets[0];
const testGateway = "llm-server/test:gateway";

describe.skipIf(set === undefined || process.getuid?.() !== 0)("an engine that starts again", () => {
  const stack = new FaultStack();
  let engine: OwnEngine;
  beforeAll(async () => {
    if (set === undefined) return;
    await buildTestImage();
    await prepareModels(testImage);
    const args = ["--build-arg", `RUNTIME_BASE=${baseImage}`, "--quiet", "--tag", testGateway, "docker/gateway"];
    await execa("docker", ["build", ...args], { cwd: projectDir, env: { DOCKER_BUILDKIT: "0" } });
    engine = await OwnEngine.create(set.env["PATH"] ?? "", [baseImage, testImage, testGateway]);
    await stack.start({ ...set, env: { ...set.env, ...engine.env } });
    // its builds reach no mirror: they take what the machine's engine has built from the same files
    for (const [file, image] of [
      ["docker/Dockerfile.llama-cpp-debian", testImage],
      ["docker/gateway/Dockerfile", testGateway],
    ] as const)
      await writeFile(
        join(stack.project.dir, file),
        `ARG RUNTIME_BASE\nARG RUNTIME_BASE_ID\nFROM ${image}\nLABEL llm-server.runtime-base-id="$RUNTIME_BASE_ID"\n`,
      );
    await stack.deploy();
    await stack.addBrokenImage();
  });
  afterAll(async () => {
    await stack.end();
    await engine[Symbol.asyncDispose]();
  });

  const cli = async (...args: string[]): Promise<{ exitCode: number | undefined; output: string }> => {
    const { cwd, env } = { cwd: stack.project.dir, env: { ...stack.project.env, ...engine.env } };
    const { exitCode, all } = await engine.run([process.execPath, "scripts/cli.ts", ...args], { cwd, env });
    return { exitCode, output: all };
  };
  /** Status and server of an answer. */
  const ask = async (): Promise<string> => {
    const body = JSON.stringify({ messages: [{ role: "user", content: "hi" }], max_tokens: 2 });
    const wanted = ["--silent", "--max-time", "60", "--output", "/dev/null", "--write-out", "%{http_code} %header{x-llm-server-upstream}"];
    const { stdout } = await engine.run([
      "curl",
      ...wanted,
      "--header",
      "content-type: application/json",
      "--data",
      body,
      `${stack.project.endpoint}/v1/chat/completions`,
    ]);
    return stdout;
  };
  const setGpus = (gpus: readonly string[]): Promise<void> =>
    stack.configure((settings) => {
      settings["device"] = { ...settings["device"], gpus } as never;
    });
  const serves = (): string => `200 llm-server-${stack.project.stack}-server-${stack.release}:8080`;

  it("fault 3: in good order brings gateway and server back by itself", async () => {
    await engine.end("SIGTERM");
    await engine.start();
    await expect.poll(ask, { timeout: 60_000 }).toBe(serves());
    expect(await cli("status", stack.project.stack)).toMatchObject({ exitCode: 0 });
  });

  it("fault 3: after it was killed is degraded in the status at worst, and mended by a redeployment", async () => {
    await engine.end("SIGKILL");
    await engine.start();
    const status = await cli("status", stack.project.stack);
    expect([0, 2], status.output).toContain(status.exitCode);
    if (status.exitCode === 2) expect(status.output).toMatch(/degraded: .*; run: npm run/);
    const mended = await cli("drift", "--stack", stack.project.stack, "--redeploy");
    expect(mended.exitCode, mended.output).toBe(0);
    expect(await ask()).toBe(serves());
  });

  it("fault 8: a container that lost its GPU is found by drift, and mended by a redeployment through the gates", async () => {
    const before = stack.release;
    const dockerfile = join(stack.project.dir, "docker", "Dockerfile.llama-cpp-debian");
    const text = await readFile(dockerfile, "utf8");
    const [lost, asked] = ["test -e /tmp/lost && echo No devices were found && exit 6", "echo 16311, a card of this test"];
    await stack.changeImage(`printf '#!/bin/sh\\n${lost}\\n${asked}\\n' > /usr/bin/nvidia-smi && chmod 755 /usr/bin/nvidia-smi`);
    await stack.use("broken");
    await setGpus(["0"]);
    await stack.deploy();
    const server = serverName(stack.project.stack, stack.release);
    await execa("docker", ["exec", server, "touch", "/tmp/lost"], { env: engine.env });
    const found = await cli("drift", "--stack", stack.project.stack);
    expect(found.exitCode, found.output).toBe(2);
    expect(found.output).toContain("gpu-lost");
    expect(found.output).toContain("nvidia-smi in the container sees none");
    const mended = await cli("drift", "--stack", stack.project.stack, "--redeploy");
    expect(mended.exitCode, mended.output).toBe(0);
    expect(mended.output).toMatch(/benchmark gate: /);
    expect(await ask()).toBe(serves());
    await writeFile(dockerfile, text);
    await setGpus([]);
    await stack.use("tiny");
    await stack.deploy();
    expect(stack.release).toBe(before);
    expect(await ask()).toBe(serves());
  });

  it("fault 54: after a power cut in the middle of a rollout brings the release back that had passed its gates, before anybody looks", async () => {
    await stack.replaceTool("/usr/bin/llama-perplexity", "#!/bin/sh\nexec sleep 600\n");
    await stack.configure((settings) => {
      settings["rollout"] = { ...settings["rollout"], strategy: "recreate" } as never;
    });
    await stack.use("broken");
    const running = stack.up();
    const servers = async (): Promise<string> =>
      (await execa("docker", ["ps", "--format", '{{.Label "llm-server.role"}}'], { env: engine.env })).stdout;
    await expect.poll(servers, { timeout: 60_000 }).toMatch(/^(?!.*server)[\s\S]*helper/); // the old release is stopped, the candidate measured
    await engine.cutPower();
    expect((await running).exitCode).not.toBe(0);
    await engine.start();
    await expect.poll(ask, { timeout: 60_000 }).toBe(serves());
    const recovered = await cli("recover", stack.project.stack);
    expect(recovered.exitCode, recovered.output).toBe(0);
    expect(await cli("status", stack.project.stack)).toMatchObject({ exitCode: 0 });
    expect(await ask()).toBe(serves());
  });
});

if (set === undefined) it.skip("needs a provider set: install Go for toolchain/, or name a folder of archives in PULUMI_PLUGIN_ARCHIVES");
