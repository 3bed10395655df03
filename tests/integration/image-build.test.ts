import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { imageLabels, parseBuildInfo } from "../../plan/images/build-info.ts";
import type { BuildFailure } from "../../plan/images/build-failure.ts";
import { readBuildInfo } from "../../scripts/images/build-info.ts";
import { buildImage, findDockerClient, ImageBuildError } from "../../scripts/images/docker-build.ts";
import { baseImage } from "../../plan/stack.ts";
import { GitServer } from "../support/git-server.ts";
import { StandInRepo } from "../support/stand-in-repo.ts";

/*
 * The quick parts of the real Dockerfile and its script, on the real Docker daemon, with a tiny stand-in repository on a real git server.
 * Does not prove that llama.cpp itself builds or answers: tests/images does. Doesn't prove anything about CUDA and Vulkan.
 */

const docker = new Docker();
const label = { "llm-server.test": "image-build" };
const tag = "llm-server-test/image-build:stand-in";
let repo: StandInRepo;
let server: GitServer;
let firstCommit: string;

type Arguments = Record<string, string>;
const argumentsFor = (changed: Arguments): Arguments => ({
  BUILD_BASE: baseImage,
  RUNTIME_BASE: baseImage,
  LLAMA_CPP_REPO: server.url,
  BACKEND: "cpu",
  CPU_VARIANTS: "x86-64-v3",
  ...changed,
});

const build = (changed: Arguments, dockerfile = "docker/Dockerfile.llama-cpp") =>
  buildImage({ dockerfile, context: "docker", args: argumentsFor(changed), labels: label, tag }, () => undefined);

/** How a build failed; a build that succeeds fails the test. */
async function failureOf(running: Promise<string>): Promise<BuildFailure> {
  const error = await running.then(
    (id) => new Error(`built ${id}, expected a failure`),
    (cause: unknown) => cause,
  );
  if (error instanceof ImageBuildError) return error.failure;
  throw error;
}

beforeAll(async () => {
  repo = await StandInRepo.create();
  firstCommit = (await repo.git("rev-parse", "HEAD")).trim();
  await repo.git("tag", "b8149");
  server = await GitServer.start(repo.path);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  repo[Symbol.dispose]();
  await docker.pruneImages({ filters: { label: ["llm-server.test=image-build"], dangling: ["true"] } });
  await execa("docker", ["image", "rm", "--force", tag], { reject: false }); // a run of some of the tests may not have built it
});

describe("an image build with wrong arguments", () => {
  it("fails without LLAMA_CPP_REF, saying how to pin one", async () => {
    expect(await failureOf(build({}))).toMatchObject({
      kind: "arguments",
      message:
        "LLAMA_CPP_REF: got nothing, expected a full commit or a tag such as b8149; pass --build-arg LLAMA_CPP_REF=..., or pin one with npm run pin",
    });
  });

  it("fails naming every wrong argument at once", async () => {
    const { kind, message } = await failureOf(
      build({ LLAMA_CPP_REF: "refs/heads/x y", BACKEND: "rocm", CPU_VARIANTS: "native", LLAMA_CPP_COMMIT: "abc" }),
    );
    expect(kind).toBe("arguments");
    expect(message.split("; ")).toEqual([
      "LLAMA_CPP_REF: got 'refs/heads/x y', expected a full commit or a tag's bare name (letters, digits, dot, dash, underscore)",
      "LLAMA_CPP_COMMIT: got 'abc', expected 40 hex digits",
      "BACKEND: got 'rocm', expected cpu, cuda or vulkan",
      "CPU_VARIANTS: got 'native', expected all or x86-64-v3",
    ]);
  });

  it("fails for cuda without architectures", async () => {
    const { message } = await failureOf(build({ LLAMA_CPP_REF: "b8149", BACKEND: "cuda" }));
    expect(message).toMatch(/^CUDA_ARCHITECTURES: got nothing, BACKEND=cuda needs the compute capability/);
  });

  it("fails with the parser's own line on a broken Dockerfile", async () => {
    const folder = mkdtempSync(join(tmpdir(), "llm-server-test-"));
    writeFileSync(join(folder, "Dockerfile"), "FROM scratch\nRUNN true\n");
    const failure = await failureOf(build({ LLAMA_CPP_REF: "b8149" }, join(folder, "Dockerfile")));
    rmSync(folder, { recursive: true });
    expect(failure.kind).toBe("arguments");
    expect(failure.message).toMatch(/unknown instruction: RUNN/);
  });

  it("fails naming a base image that can't be had", async () => {
    const failure = await failureOf(build({ LLAMA_CPP_REF: "b8149", BUILD_BASE: "llm-server-test/not-there:none" }));
    expect(failure.kind).toBe("host");
    expect(failure.message).toMatch(/llm-server-test\/not-there:none/);
  });
});

describe("an image build from a repository", () => {
  it("fails when the repository can't be reached", async () => {
    const { kind, message } = await failureOf(build({ LLAMA_CPP_REF: "b8149", LLAMA_CPP_REPO: "git://127.0.0.1:9/nothing.git" }));
    expect(kind).toBe("host");
    expect(message).toMatch(/LLAMA_CPP_REPO: git:\/\/127\.0\.0\.1:9\/nothing\.git can't be reached from the build/);
  });

  it.each(["b9999", "f".repeat(40)])("fails when it has no %s", async (ref) => {
    const { kind, message } = await failureOf(build({ LLAMA_CPP_REF: ref }));
    expect(kind).toBe("source");
    expect(message).toContain(`LLAMA_CPP_REF: ${ref} not found in ${server.url}; expected a tag or all 40 digits of a commit there`);
  });

  it("fails for a branch, because branches move", async () => {
    const { kind, message } = await failureOf(build({ LLAMA_CPP_REF: "master" }));
    expect(kind).toBe("source");
    expect(message).toContain("LLAMA_CPP_REF: master is a branch, and branches move; pin its commit with npm run pin -- IMAGE master");
  });

  it("fails when a tag names another commit than the pin says", async () => {
    const { kind, message } = await failureOf(build({ LLAMA_CPP_REF: "b8149", LLAMA_CPP_COMMIT: "a".repeat(40) }));
    expect(kind).toBe("source");
    expect(message).toContain(`b8149 is ${firstCommit} now, the pin says ${"a".repeat(40)}; the tag moved`);
  });

  it("fails as a compile error, which another commit may not have", async () => {
    const broken = await repo.commit({ "speed.c": "int speed(void) { return }\n" }, "does not compile");
    const { kind, message, lastLines } = await failureOf(build({ LLAMA_CPP_REF: broken }));
    expect(kind).toBe("compile");
    expect(message).toBe(`llama.cpp ${broken} failed while compiled for BACKEND=cpu; the cause stands above`);
    expect(lastLines.join("\n")).toMatch(/speed\.c/);
  });

  it("makes an image that says what it is, in labels and in its build file", async () => {
    const id = await build({
      LLAMA_CPP_REF: "b8149",
      LLAMA_CPP_COMMIT: firstCommit,
      LLAMA_BUILD_NUMBER: "8149",
      RUNTIME_BASE_ID: "sha256:abc",
    });
    const { Config } = await docker.getImage(id).inspect();
    expect(Config.User).toBe("10001:10001");
    expect(Config.Entrypoint).toEqual(["llama-server"]);
    expect(Config.Labels).toMatchObject({
      [imageLabels.revision]: firstCommit,
      [imageLabels.version]: "b8149",
      [imageLabels.source]: server.url,
      [imageLabels.buildNumber]: "8149",
      [imageLabels.backend]: "cpu",
      "llm-server.base-id": "sha256:abc",
    });
    const info = await readBuildInfo(docker, id);
    expect(info).toMatchObject({
      repo: server.url,
      ref: "b8149",
      commit: firstCommit,
      buildNumber: 8149,
      backend: "cpu",
      flags: ["-h", "--help", "--usage", "-c", "--ctx-size", "--perf", "--no-perf"],
      environment: ["LLAMA_ARG_CTX_SIZE", "LLAMA_ARG_PERF"],
    });
    expect(info.commitTime).toBe(Number(await repo.git("log", "-1", "--format=%ct", firstCommit)));
    expect(info.cmakeArguments).toEqual(
      expect.arrayContaining(["-DGGML_RPC=OFF", "-DGGML_NATIVE=OFF", "-DLLAMA_BUILD_NUMBER=8149", "-DGGML_AVX2=ON"]),
    );
    expect(Object.keys(info.files)).toEqual([
      "libstand-in.so",
      "llama-bench",
      "llama-fit-params",
      "llama-perplexity",
      "llama-quantize",
      "llama-server",
    ]);
  });

  it("builds nothing a second time, and makes the same image where it has to build again", async () => {
    const first = await build({ LLAMA_CPP_REF: firstCommit });
    expect(await build({ LLAMA_CPP_REF: firstCommit })).toBe(first);
    expect(await build({ LLAMA_CPP_REF: firstCommit, BUILD_JOBS: "1" })).toBe(first);
  });
});

describe("the build script outside of an image build", () => {
  let client: string;
  let toolchain: string;

  beforeAll(async () => {
    client = await findDockerClient();
    const file = ["-f", "docker/Dockerfile.llama-cpp", "--target", "toolchain"];
    const values = Object.entries(argumentsFor({})).flatMap(([key, value]) => ["--build-arg", `${key}=${value}`]);
    const { stdout } = await execa(client, ["build", "-q", ...file, ...values, "docker"], { env: { DOCKER_BUILDKIT: "1" } });
    toolchain = stdout.trim();
  });

  /** Runs the script's steps in a container of the toolchain stage. */
  const inToolchain = (steps: string, environment: readonly string[] = [], options: readonly string[] = []) => {
    const variables = ["LLAMA_CPP_REF=b8149", `LLAMA_CPP_REPO=${server.url}`, "BACKEND=cpu", "CPU_VARIANTS=x86-64-v3", ...environment];
    const mount = ["--volume", `${process.cwd()}/docker/build-llama-cpp.sh:/build.sh:ro`];
    const given = variables.flatMap((entry) => ["--env", entry]);
    return execa(client, ["run", "--rm", ...options, ...mount, ...given, toolchain, "sh", "-c", steps], { reject: false });
  };

  it("makes the same bytes without the compiler cache", async () => {
    const { files } = await readBuildInfo(docker, await build({ LLAMA_CPP_REF: "b8149" }));
    const steps = "sh /build.sh fetch /src && sh /build.sh build /src /opt/llama.cpp && cat /opt/llama.cpp/build.json";
    const { stdout } = await inToolchain(steps, ["CCACHE_DISABLE=1"]);
    expect(parseBuildInfo(stdout.slice(stdout.indexOf("\n{\n"))).files).toEqual(files);
  });

  it("fails on a full disk with what is full and how to make room", async () => {
    const steps = "sh /build.sh fetch /src && sh /build.sh build /src /out";
    const { exitCode, stderr } = await inToolchain(steps, ["BUILD_DIR=/small"], ["--tmpfs", "/small:size=64k,exec"]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^error: no space: 0 MiB left in \/small while llama\.cpp was configured; free some \(docker system df/m);
  });
});
