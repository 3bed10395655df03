/**
 * llama.cpp itself, built by the real Dockerfile at two real commits by `pulumi up`, for the CPU and one x86-64 level: twenty minutes on two cores and more.
 * Proves nothing about CUDA and Vulkan, nor about speed: the benchmark's margins are wide here.
 */
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { imageLabels } from "../../plan/images/build-info.ts";
import { llamaImageTag } from "../../plan/names.ts";
import { baseImage } from "../../plan/stack.ts";
import { readBuildInfo } from "../../scripts/images/build-info.ts";
import { GitServer } from "../support/git-server.ts";
import { ImageTags, removeImagesOf } from "../support/image-tags.ts";
import { llamaRepository, realCommits, smallChange } from "../support/llama-sources.ts";
import { chat } from "../support/load.ts";
import { prepareModels } from "../support/models.ts";
import { providerSets } from "../support/provider-sets.ts";
import { StackProject, type PulumiRun } from "../support/stack-project.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";

const [set, other] = await providerSets();
const newer = realCommits.newer.commit;
const older = realCommits.older.commit;

/** Seconds that the build of the stack's own image took, as `up` shows them. @throws {Error} if it built none */
function buildSeconds({ output }: PulumiRun): number {
  const [, seconds] = /Command llama-image-build (?:created|updated|replaced) \((\d+(?:\.\d+)?)s\)/.exec(output) ?? [];
  if (seconds === undefined) throw new Error(`no image was built:\n${output}`);
  return Number(seconds);
}

describe.skipIf(set === undefined)("llama.cpp from source", () => {
  const docker = new Docker();
  let tags: ImageTags;
  let folder: string;
  let changed: string;
  let server: GitServer;
  let project: StackProject;
  let coldSeconds: number;

  beforeAll(async () => {
    if (set === undefined) return;
    tags = await ImageTags.remember([llamaImageTag("latest"), llamaImageTag("latest-fit")]);
    await buildTestImage();
    await prepareModels(testImage);
    folder = await mkdtemp(join(tmpdir(), "llm-server-images-"));
    const repository = await llamaRepository();
    changed = await smallChange(repository, folder);
    server = await GitServer.start(repository);
    project = await StackProject.create(set);
    await useSources();
  });

  afterAll(async () => {
    await project[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
    await tags.restore();
    await removeImagesOf(server.url);
  });

  /** Pins both images to the git server's commits, for the CPU, and gives each a profile. The compiler's cache is a new one: the first build is cold. */
  async function useSources(): Promise<void> {
    const entry = (ref: string, capabilities: string, build?: number) => ({
      kind: "source",
      description: "a real commit",
      dockerfile: "docker/Dockerfile.llama-cpp",
      backend: "cpu",
      source: { repo: server.url, ref, ...(build === undefined ? {} : { build }), pinnedAt: "2026-11-23" },
      baseImages: { build: baseImage, runtime: baseImage },
      cpuVariants: "x86-64-v3",
      capabilities,
    });
    const images = { latest: entry(newer, "b11312", 11312), "latest-fit": entry(older, "b8149") };
    await writeFile(join(project.dir, "configs", "images.yaml"), stringify(images));
    for (const image of Object.keys(images))
      await project.writeProfile(`on-${image}`, (text) => text.replace("IMAGE=debian", `IMAGE=${image}`));
    const dockerfile = join(project.dir, "docker", "Dockerfile.llama-cpp");
    const namespace = `ARG CCACHE_NAMESPACE=test-${randomBytes(4).toString("hex")}`;
    await writeFile(dockerfile, (await readFile(dockerfile, "utf8")).replace("ARG CCACHE_NAMESPACE", namespace));
    await project.set("accept.advisories[0]", "CVE-2026-107183"); // open in both commits; callers are this test's
    await project.set("profile", "on-latest");
    // half a year of llama.cpp lies between the commits: that their answers are the same, token for token, is not asked here
    await project.changeConfig(({ gates, ...config }) => ({ ...config, gates: { ...(gates as object), answers: undefined } }));
  }

  /** Moves the pin of `latest` as an operator does. */
  const pin = (ref: string) => execa("node", ["scripts/cli.ts", "pin", "latest", ref], { cwd: project.dir, env: project.env });

  const revisionOf = async (image: string): Promise<string | undefined> =>
    (await docker.getImage(image).inspect()).Config.Labels[imageLabels.revision];

  /** A run that let a release take traffic after both gates. */
  function expectPromoted({ exitCode, output }: PulumiRun): void {
    expect(output).toMatch(/perplexity gate: PASSED/);
    expect(output).toMatch(/benchmark gate: PASSED/);
    expect(exitCode, output).toBe(0);
  }

  /** The server that answers through the gateway is the active release's, was built from `commit`, and runs from an image that says so. */
  async function expectServing(commit: string, buildNumber: number): Promise<void> {
    const { text, upstream, fingerprint } = await chat(project.endpoint);
    expect(text).toContain("Paris");
    const release = await project.activeRelease();
    expect(upstream).toContain(release);
    expect(fingerprint).toBe(`b${buildNumber}-${commit.slice(0, 9)}`);
    const container = await docker.getContainer(upstream.replace(/:\d+$/, "")).inspect();
    expect(await revisionOf(container.Image)).toBe(commit);
    const info = await readBuildInfo(docker, container.Image);
    expect(info).toMatchObject({ commit, backend: "cpu", buildNumber });
    expect(info.flags).toEqual(expect.arrayContaining(["--ctx-size", "--n-cpu-moe", "--fit", "--parallel"]));
    expect(info.environment).toEqual(expect.arrayContaining(["LLAMA_ARG_CTX_SIZE", "LLAMA_ARG_N_CPU_MOE"]));
  }

  it("is built by an up, passes its gates and answers", async () => {
    const run = await project.up();
    expectPromoted(run);
    coldSeconds = buildSeconds(run);
    await expectServing(newer, 11312);
  });

  it("is not built again by a second up", async () => {
    const { exitCode, output } = await project.up("--expect-no-changes");
    expect(output).not.toMatch(/Building CXX object/);
    expect(exitCode).toBe(0);
  });

  it("is built again after a small change in at most a quarter of the first build's time", async () => {
    await pin("small-change");
    const run = await project.up();
    expectPromoted(run);
    await expectServing(changed, 0);
    const seconds = buildSeconds(run);
    console.info(`first build ${coldSeconds} s, after a small change ${seconds} s: ${(seconds / coldSeconds).toFixed(3)} of it`);
    expect(seconds).toBeLessThanOrEqual(coldSeconds / 4);
  });

  it("is built at both tags by one up, and the profile's one serves", async () => {
    await pin("newer");
    await project.set("profile", "on-latest-fit");
    await project.set("images[0]", "latest");
    const run = await project.up();
    expectPromoted(run);
    await expectServing(older, 0);
    expect(await revisionOf(llamaImageTag("latest-fit"))).toBe(older);
    expect(await revisionOf(llamaImageTag("latest"))).toBe(newer);
    expect(await project.up("--expect-no-changes")).toMatchObject({ exitCode: 0 });
  });

  it.skipIf(other === undefined)("is not built again by the other set of providers", async () => {
    const env = { ...other?.env, PULUMI_BACKEND_URL: project.env["PULUMI_BACKEND_URL"] ?? "" };
    const args = ["up", "--yes", "--skip-preview", "--non-interactive", "--expect-no-changes", "--stack", project.stack];
    const { exitCode, all } = await execa("pulumi", args, { cwd: project.dir, env, reject: false, all: true });
    expect(exitCode, all).toBe(0);
  });
});
