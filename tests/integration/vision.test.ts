/**
 * The benchmark gate on a real llama-server with a projector. Both models have random weights: this proves that the smoke test takes a server that reads
 * pictures and fails one that does not, not that any answer fits a picture. Their speed means nothing, so what the gate makes of it is left open.
 */
import { randomUUID } from "node:crypto";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { gateInputVariable } from "../../plan/gates/gate-input.ts";
import { VolumeStore } from "../../scripts/gates/volume-store.ts";
import { projectDir } from "../../scripts/paths.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";
import { writeTinyModel, writeTinyProjector } from "../support/tiny-model.ts";

const docker = new Docker();
const run = `vision-${randomUUID().slice(0, 8)}`;
const evidenceVolume = `llm-server-test-${run}`;
const blind = {
  LLAMA_ARG_HOST: "0.0.0.0",
  LLAMA_ARG_PORT: "8080",
  LLAMA_ARG_MODEL: "/models/tiny.gguf",
  LLAMA_ARG_CTX_SIZE: "1024",
};
const flags = { ...blind, LLAMA_ARG_MMPROJ: "/models/mmproj.gguf" };
let folder: string;

/** A candidate as a rollout leaves it for its gates: created, not started. */
async function createCandidate(env: Readonly<Record<string, string>>): Promise<Docker.Container> {
  return docker.createContainer({
    Image: testImage,
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    Labels: { "llm-server.test": run },
    HostConfig: { ReadonlyRootfs: true, CapDrop: ["ALL"], SecurityOpt: ["no-new-privileges:true"], Binds: [`${folder}:/models:ro`] },
  });
}

/** Runs the gate program on a candidate whose release names a projector. */
async function benchmark(container: Docker.Container): Promise<{ exitCode: number | undefined; stderr: string; evidence: unknown }> {
  const releaseId = container.id.slice(0, 12);
  const input = {
    gate: "benchmark",
    stack: run,
    profile: "tiny",
    releaseId,
    imageId: "sha256:unused",
    modelSha256: "unused",
    flags,
    host: null,
    rollout: null,
    evidenceVolume,
    helperImage: testImage,
    dryRun: false,
    deadlineSec: 120,
    container: container.id,
    scenarioSet: "tiny",
    protocol: {
      seed: 1,
      requestTimeoutSec: 30,
      readyTimeoutSec: 60,
      scenarios: [{ kind: "single", name: "short", promptTokens: 32, generateTokens: 64, requests: 2 }],
    },
    thresholds: { metrics: [{ scenario: "short", metric: "decode", floor: 0.001 }], looks: [2] },
    resultsFolder: null,
  };
  const { exitCode, stderr } = await execa(process.execPath, ["scripts/gates/benchmark.ts"], {
    cwd: projectDir,
    env: { [gateInputVariable]: JSON.stringify(input) },
    reject: false,
  });
  await using store = await VolumeStore.open(docker, evidenceVolume, testImage, run);
  return { exitCode, stderr, evidence: (await store.latest(`evidence/${releaseId}/benchmark`))?.document };
}

describe("the benchmark gate of a release with a projector", () => {
  beforeAll(async () => {
    await buildTestImage();
    folder = await mkdtemp(join(tmpdir(), "llm-server-vision-"));
    await chmod(folder, 0o755); // the server is another user
    writeTinyModel(join(folder, "tiny.gguf"));
    writeTinyProjector(join(folder, "mmproj.gguf"));
  });
  afterAll(async () => {
    const mine = await docker.listContainers({ all: true, filters: { label: [`llm-server.test=${run}`] } });
    for (const { Id } of mine) await docker.getContainer(Id).remove({ force: true });
    await docker.getVolume(evidenceVolume).remove({ force: true });
    await rm(folder, { recursive: true, force: true });
  });

  it("measures a server that sees, and keeps what it answered", async () => {
    const { stderr, evidence } = await benchmark(await createCandidate(flags));
    expect(stderr).toContain("vision: the server sees a picture");
    expect(stderr).toContain("start 1 of 2: ready in");
    expect(evidence).toMatchObject({
      vision: {
        problem: null,
        withPicture: { status: 200, body: expect.stringContaining('"prompt_tokens":96') as string },
        withoutPicture: { status: 200, body: expect.stringContaining('"prompt_tokens":59') as string },
      },
    });
  });

  it("fails a server that was started without its projector, before anything is measured, and stops it", async () => {
    const container = await createCandidate(blind);
    const { exitCode, stderr, evidence } = await benchmark(container);
    expect(stderr).toMatch(/benchmark gate failed: vision: got status 500 .*image input is not supported/);
    expect(stderr).not.toContain("start 1 of");
    expect(exitCode).toBe(1);
    expect(evidence).toMatchObject({ result: { verdict: "failed", samples: 0 }, vision: { withPicture: { status: 500 } } });
    expect((await container.inspect()).State.Running).toBe(false);
  });
});
