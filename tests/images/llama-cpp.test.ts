import { randomUUID } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { imageLabels } from "../../plan/images/build-info.ts";
import { readBuildInfo } from "../../scripts/images/build-info.ts";
import { buildImage } from "../../scripts/images/docker-build.ts";
import { serverUrl } from "../../scripts/gates/candidate.ts";
import { baseImage } from "../../plan/stack.ts";
import { GitServer } from "../support/git-server.ts";
import { llamaRepository, realCommits, smallChange } from "../support/llama-sources.ts";
import { writeTinyModel } from "../support/tiny-model.ts";

/*
 * The real Dockerfile builds llama.cpp itself at two real commits, CPU backend, one x86-64 level: about half an hour on two cores.
 * Does not prove anything about CUDA or Vulkan, nor about speed or quality: the model that answers has random weights.
 */

const docker = new Docker();
const run = randomUUID().slice(0, 8);
const label = { "llm-server.test": `images-${run}` };
let server: GitServer;
let folder: string;
let changed: string;

async function build(ref: string, more: Record<string, string> = {}): Promise<{ id: string; seconds: number; lines: string[] }> {
  const bases = { BUILD_BASE: baseImage, RUNTIME_BASE: baseImage };
  const args = { ...bases, LLAMA_CPP_REPO: server.url, LLAMA_CPP_REF: ref, BACKEND: "cpu", CPU_VARIANTS: "x86-64-v3", ...more };
  const lines: string[] = [];
  const start = performance.now();
  const id = await buildImage({ dockerfile: "docker/Dockerfile.llama-cpp", context: "docker", args, labels: label }, (line) =>
    lines.push(line),
  );
  return { id, seconds: (performance.now() - start) / 1000, lines };
}

/** One chat request to a server of that image on the tiny model, in a container as locked down as the real ones. */
async function chat(image: string): Promise<{ content: string; fingerprint: string }> {
  const container = await docker.createContainer({
    Image: image,
    Cmd: ["--model", "/models/tiny.gguf", "--host", "0.0.0.0", "--port", "8080", "--ctx-size", "1024"],
    Labels: label,
    HostConfig: { ReadonlyRootfs: true, CapDrop: ["ALL"], SecurityOpt: ["no-new-privileges:true"], Binds: [`${folder}:/models:ro`] },
  });
  try {
    await container.start();
    const url = await serverUrl(container);
    const body = JSON.stringify({ messages: [{ role: "user", content: "hello" }], max_tokens: 8, temperature: 0 });
    for (let tries = 0; tries < 100; tries++) {
      const response = await fetch(`${url}/v1/chat/completions`, { method: "POST", body }).catch(() => undefined);
      if (response?.ok === true) {
        const answer = (await response.json()) as { choices: { message: { content: string } }[]; system_fingerprint: string };
        return { content: answer.choices[0]?.message.content ?? "", fingerprint: answer.system_fingerprint };
      }
      await delay(300);
    }
    throw new Error("no answer");
  } finally {
    await container.remove({ force: true });
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "llm-server-images-"));
  chmodSync(folder, 0o755);
  writeTinyModel(join(folder, "tiny.gguf"));
  const repository = await llamaRepository();
  changed = await smallChange(repository, folder);
  server = await GitServer.start(repository);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
  await docker.pruneImages({ filters: { label: [`llm-server.test=images-${run}`] } });
});

describe.each(["newer", "older"] as const)("llama.cpp at the %s commit", (name) => {
  const { commit } = realCommits[name];
  let id: string;

  it("builds, and says which commit it is", async () => {
    ({ id } = await build(commit));
    const { Config } = await docker.getImage(id).inspect();
    expect(Config.Labels[imageLabels.revision]).toBe(commit);
    const info = await readBuildInfo(docker, id);
    expect(info).toMatchObject({ commit, backend: "cpu", buildNumber: 0 });
    expect(info.flags).toEqual(expect.arrayContaining(["--ctx-size", "--n-cpu-moe", "--fit", "--parallel"]));
    expect(info.environment).toEqual(expect.arrayContaining(["LLAMA_ARG_CTX_SIZE", "LLAMA_ARG_N_CPU_MOE"]));
  });

  it("answers a chat request", async () => {
    const { content, fingerprint } = await chat(id);
    expect(content).toMatch(/^[a-z .,]{8}$/);
    expect(fingerprint).toBe(`b0-${commit.slice(0, 9)}`);
  });

  it("builds nothing a second time", async () => {
    const again = await build(commit);
    expect(again.id).toBe(id);
    expect(again.lines.filter((line) => /Building CXX object|apt-get update.*Get:/.test(line))).toEqual([]);
  });
});

it("rebuilds after a small change in at most a quarter of a first build's time", async () => {
  const cold = { CCACHE_NAMESPACE: run };
  const first = await build(realCommits.newer.commit, cold);
  const next = await build(changed, cold);
  expect((await readBuildInfo(docker, next.id)).commit).toBe(changed);
  expect(next.seconds).toBeLessThanOrEqual(first.seconds / 4);
});
