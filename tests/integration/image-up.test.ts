/**
 * Images built from source by `pulumi up` and looked at by `pulumi preview`, with each provider set: what the operator reads when a build can't succeed. The source is a tiny
 * project that takes llama.cpp's place, so no release of it can pass a gate: that llama.cpp itself builds and serves is shown in tests/images.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Docker from "dockerode";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { imageLabels } from "../../plan/images/build-info.ts";
import { llamaImageTag } from "../../plan/names.ts";
import { baseImage } from "../../plan/stack.ts";
import { readBuildInfo } from "../../scripts/images/build-info.ts";
import { GitServer } from "../support/git-server.ts";
import { removeImagesOf } from "../support/image-tags.ts";
import { chat } from "../support/load.ts";
import { prepareModels } from "../support/models.ts";
import { mainProviderSets } from "../support/provider-sets.ts";
import { StackProject, type PulumiRun } from "../support/stack-project.ts";
import { StandInRepo } from "../support/stand-in-repo.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";

const sets = await mainProviderSets();
const nowhere = "git://127.0.0.1:9/llama.cpp.git";

describe.each(sets)("an image from source, with the $name providers", (set) => {
  let repo: StandInRepo;
  let server: GitServer;
  let project: StackProject;
  let first: string;
  let broken: string;
  let serving: string;

  beforeAll(async () => {
    await buildTestImage();
    await prepareModels(testImage);
    repo = await StandInRepo.create();
    first = (await repo.git("rev-parse", "HEAD")).trim();
    await repo.git("tag", "b12000");
    broken = await repo.commit({ "speed.c": "int speed(void) { return }\n" }, "does not compile");
    await repo.git("tag", "b12011");
    server = await GitServer.start(repo.path);
    project = await StackProject.create(set, { fast: true });
    serving = await project.deploy();
  });

  afterAll(async () => {
    await project[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await removeImagesOf(server.url);
    repo[Symbol.dispose]();
  });

  /** Has the stack serve from an image that is built from this source; its tag is the stack's name, so that nobody else's moves. */
  async function useSource(source: { readonly ref: string; readonly repo?: string }, more: object = {}): Promise<string> {
    const entry = {
      kind: "source",
      description: "a stand-in",
      dockerfile: "docker/Dockerfile.llama-cpp",
      backend: "cpu",
      source: { repo: server.url, build: 12000, pinnedAt: "2026-01-01", ...source },
      baseImages: { build: baseImage, runtime: baseImage },
      cpuVariants: "x86-64-v3",
      capabilities: "b11669-debian",
      ...more,
    };
    const file = join(project.dir, "configs", "images.yaml");
    const others = parse(await readFile(file, "utf8")) as Record<string, unknown>;
    const text = stringify({ ...others, [project.stack]: entry });
    await writeFile(file, text);
    await project.writeProfile("stand-in", (profile) => profile.replace("IMAGE=debian", `IMAGE=${project.stack}`));
    await project.set("profile", "stand-in");
    return text;
  }

  const preview = () => project.pulumi("preview", "--stack", project.stack);

  /** A failed run that says these things, while the release of before goes on answering. */
  async function expectFailure({ exitCode, output }: PulumiRun, ...texts: string[]): Promise<void> {
    for (const text of texts) expect(output).toContain(text);
    expect(exitCode).not.toBe(0);
    expect((await chat(project.endpoint)).upstream).toContain(serving);
  }

  it("is compared with upstream by a preview, which moves no pin", async () => {
    const text = await useSource({ ref: "b12000" });
    const { exitCode, output } = await preview();
    expect(output).toContain(
      `image ${project.stack} is 11 commits behind upstream (b12000, newest b12011); npm run pin -- ${project.stack} moves it`,
    );
    expect(exitCode).toBe(0);
    expect(await readFile(join(project.dir, "configs", "images.yaml"), "utf8")).toBe(text);
  });

  it("is previewed all the same where upstream can't be reached", async () => {
    await useSource({ ref: "b12000", repo: nowhere });
    const { exitCode, output } = await preview();
    expect(output).toContain(
      `image ${project.stack}: ${nowhere} can't be reached, so nobody knows how far the pin is behind; it stays as it is`,
    );
    expect(exitCode).toBe(0);
  });

  it("fails on an unknown backend before anything is built", async () => {
    await useSource({ ref: "b12000" }, { backend: "rocm" });
    await expectFailure(await project.up(), 'backend: got "rocm", expected cpu, cuda or vulkan');
  });

  it.skipIf(process.getuid?.() !== 0)("fails on a full disk before its first build, which takes root to make", async () => {
    await useSource({ ref: "b12000" });
    const { stdout: root } = await execa("docker", ["info", "--format", "{{.DockerRootDir}}"]);
    // a small disk where Docker's is, in a mount namespace of its own: for the CLI alone, not for the engine
    const script = `mount -t tmpfs -o size=16m tmpfs "$0" && exec pulumi up --yes --skip-preview --non-interactive --stack "$1"`;
    const { exitCode, all } = await execa("unshare", ["--mount", "sh", "-c", script, root, project.stack], {
      cwd: project.dir,
      env: project.env,
      all: true,
      reject: false,
    });
    await expectFailure(
      { exitCode: exitCode ?? -1, output: all },
      `${root} has 0.0 GiB free, expected at least 1.0 GiB`,
      "docker system df",
    );
  });

  it("fails on a ref that the repository has not", async () => {
    await useSource({ ref: "b9999" });
    await expectFailure(
      await project.up(),
      "  | fatal: couldn't find remote ref refs/tags/b9999",
      `LLAMA_CPP_REF: b9999 not found in ${server.url}; expected a tag or all 40 digits of a commit there`,
      `nothing was stopped: release ${serving} serves`,
    );
  });

  it("fails on a repository that can't be reached", async () => {
    await useSource({ ref: "b12000", repo: nowhere });
    await expectFailure(
      await project.up(),
      `LLAMA_CPP_REPO: ${nowhere} can't be reached from the build; check the address and the builder's network`,
      `nothing was stopped: release ${serving} serves`,
    );
  });

  it("fails on a commit that does not compile, with the compiler's own words", async () => {
    await useSource({ ref: broken });
    await expectFailure(await project.up(), "expected expression before", `llama.cpp ${broken} failed while compiled for BACKEND=cpu`);
  });

  it("is built at its commit, and not again when nothing changed", async () => {
    await useSource({ ref: "b12000" });
    const { output } = await project.up(); // a gate refuses the stand-in, which is no server
    expect(output).toMatch(/Image llama-image (?:created|updated|replaced)/);
    const docker = new Docker();
    const tag = llamaImageTag(project.stack);
    const { Config } = await docker.getImage(tag).inspect();
    expect(Config.Labels).toMatchObject({ [imageLabels.version]: "b12000", [imageLabels.source]: server.url });
    expect(await readBuildInfo(docker, tag)).toMatchObject({ commit: first, buildNumber: 12000 });
    expect((await project.up()).output).not.toMatch(/Image llama-image (?:created|updated|replaced)|scripts\/images\/build\.ts/);
  });
});
