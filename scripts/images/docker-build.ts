import { access, constants, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import { readBuildFailure } from "../../plan/images/build-failure.ts";
import type { BuildFailure } from "../../plan/images/build-failure.ts";

/** One build with BuildKit. Paths are relative to the working directory. */
export interface ImageBuild {
  readonly dockerfile: string;
  readonly context: string;
  readonly args: Readonly<Record<string, string>>;
  /** `@default` - none: the image is known by its id alone. */
  readonly tag?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** `@default` - the builder's own */
  readonly platform?: string;
  /** Stage to stop at. `@default` - the last one */
  readonly target?: string;
}

/** A build that failed, with what its output says of the cause. */
export class ImageBuildError extends Error {
  readonly failure: BuildFailure;

  constructor(failure: BuildFailure) {
    super(`${failure.message}\n${failure.lastLines.map((line) => `  | ${line}`).join("\n")}`);
    this.name = "ImageBuildError";
    this.failure = failure;
  }
}

/** Docker's own client has BuildKit built in up to major 20, and through the buildx plugin since 23. */
async function hasBuildKit(client: string): Promise<boolean> {
  const { stdout } = await execa(client, ["--version"], { reject: false });
  const major = Number(/version (\d+)\./.exec(stdout)?.[1]);
  return major <= 20 || (await execa(client, ["buildx", "version"], { reject: false })).exitCode === 0;
}

/** First docker client on the PATH that can build with BuildKit: there may be several. @throws {Error} if none can */
export async function findDockerClient(path = process.env["PATH"] ?? ""): Promise<string> {
  for (const folder of path.split(delimiter).filter((folder) => folder !== "")) {
    const client = join(folder, "docker");
    const isThere = await access(client, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere && (await hasBuildKit(client))) return client;
  }
  throw new Error("no docker client with BuildKit on the PATH; install docker-buildx (or docker.io 20.10, which has it built in)");
}

/** Command line of a build, without the client. */
export function buildCommand(build: ImageBuild, idFile: string): string[] {
  const pairs = (option: string, values: Readonly<Record<string, string>>) =>
    Object.entries(values).flatMap(([key, value]) => [option, `${key}=${value}`]);
  return [
    ...["build", "--progress=plain", "--iidfile", idFile, "--file", build.dockerfile],
    ...(build.tag === undefined ? [] : ["--tag", build.tag]),
    ...(build.platform === undefined ? [] : ["--platform", build.platform]),
    ...(build.target === undefined ? [] : ["--target", build.target]),
    ...pairs("--build-arg", build.args),
    ...pairs("--label", build.labels ?? {}),
    build.context,
  ];
}

/**
 * Builds an image and returns its id, `sha256:…`. `progress` gets the builder's lines as they come.
 * @throws {ImageBuildError} with the builder's last lines
 */
export async function buildImage(build: ImageBuild, progress: (line: string) => void, signal?: AbortSignal): Promise<string> {
  const client = await findDockerClient();
  const folder = await mkdtemp(join(tmpdir(), "llm-server-build-"));
  const idFile = join(folder, "id");
  try {
    const cancel = signal === undefined ? {} : { cancelSignal: signal };
    const run = execa(client, buildCommand(build, idFile), {
      env: { DOCKER_BUILDKIT: "1" },
      all: true,
      reject: false,
      stdin: "ignore",
      ...cancel,
    });
    for await (const line of run.iterable({ from: "all" })) progress(line);
    const result = await run;
    signal?.throwIfAborted();
    if (result.failed) throw new ImageBuildError(readBuildFailure(result.all));
    return (await readFile(idFile, "utf8")).trim();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
