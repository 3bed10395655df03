import { posix } from "node:path";
import type Docker from "dockerode";
import { labels } from "../../plan/names.ts";
import { modelsDir } from "../../plan/server-container.ts";
import { statPath } from "../docker/files.ts";
import { exists } from "../docker/host.ts";
import { describeError } from "../program.ts";
import { runOneOff, type OneOff } from "./one-off.ts";

/** Why the engine does not take a model, in its own words. */
const refusal = /error loading model: (.+)$/m;
/** Tokens that the model is asked for: how many does not matter, but without a number it is all that it was trained for. */
const ctxSize = 512;

/** What Docker Engine gives a container whose image sets no `PATH` (`DefaultPathEnv` of its container package). */
const enginePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** A release of a stack. */
interface Release {
  readonly stack: string;
  readonly releaseId: string;
}

/**
 * Whether a release could be started and measured on this host, as its own containers were made: its image is there and has the `tools`, its build takes the
 * model, and the GPUs that it is to have can be given to a container. All is asked while what serves goes on. `host` is what `docker` connects to.
 * @throws {Error} with the engine's or Docker's reason
 */
export async function checkRelease(
  docker: Docker,
  release: Release,
  { host, tools, signal }: { readonly host: string | null; readonly tools: readonly string[]; readonly signal: AbortSignal },
): Promise<void> {
  const servers = await inspectServers(docker, release);
  const [first] = servers;
  if (first === undefined)
    throw new Error(
      `no container of release ${release.releaseId} is there, so nothing was stopped; make it again: npm run up -- ${release.stack} -- --refresh`,
    );
  if (!(await exists(docker.getImage(first.Image))))
    throw new Error(`image ${first.Image.slice(0, 19)} of release ${release.releaseId} is not on the Docker host, so nothing was stopped`);
  const gpus = servers.flatMap(({ HostConfig }) => HostConfig.DeviceRequests?.flatMap(({ DeviceIDs }) => DeviceIDs ?? []) ?? []);
  const run = onCpu(first, release.stack, host);
  await checkGpus(docker, run, gpus, signal);
  for (const tool of tools) await checkTool(docker, first, tool);
  await checkModel(docker, run, readVariable(first, "LLAMA_ARG_MODEL"), signal);
}

async function inspectServers(docker: Docker, { stack, releaseId }: Release): Promise<Docker.ContainerInspectInfo[]> {
  const label = [`${labels.stack}=${stack}`, `${labels.role}=server`, `${labels.release}=${releaseId}`];
  const listed = await docker.listContainers({ all: true, filters: { label } });
  return Promise.all(listed.map(({ Id }) => docker.getContainer(Id).inspect()));
}

const readVariable = ({ Config }: Docker.ContainerInspectInfo, name: string): string =>
  Config.Env.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";

/** A tool of a server's image beside the server's models, on the CPU only: the GPU is the old release's. */
function onCpu({ Image: image, Mounts, HostConfig }: Docker.ContainerInspectInfo, stack: string, host: string | null): OneOff {
  const models = Mounts.find(({ Destination }) => Destination === modelsDir);
  const { Memory = 0, NanoCpus = 0 } = HostConfig;
  return {
    host,
    image,
    stack,
    command: ["true"],
    mounts: models === undefined ? [] : [{ source: models.Name ?? models.Source, target: modelsDir }],
    file: { name: "none", content: Buffer.alloc(0) },
    memoryMiB: Memory === 0 ? null : Memory / 2 ** 20,
    cpus: NanoCpus === 0 ? null : NanoCpus / 1e9,
    gpus: [],
  };
}

/** The engine starts a container with GPUs only where it has their runtime and they are there; nothing is allocated on them. */
async function checkGpus(docker: Docker, run: OneOff, gpus: readonly string[], signal: AbortSignal): Promise<void> {
  if (gpus.length === 0) return;
  try {
    await runOneOff(docker, { ...run, gpus }, signal);
  } catch (error) {
    signal.throwIfAborted();
    const wanted = gpus.join(", ");
    throw new Error(
      `the Docker host can't give GPU ${wanted} to a container, so nothing was stopped: ${describeError(error)}; look with nvidia-smi whether it is there, install nvidia-container-toolkit and restart Docker, or name others in llm-server:device.gpus`,
    );
  }
}

/** Looks for a tool where the image's `PATH` says: what it would do is found out when it is needed. */
async function checkTool(docker: Docker, server: Docker.ContainerInspectInfo, tool: string): Promise<void> {
  const container = docker.getContainer(server.Id);
  const folders = (readVariable(server, "PATH") || enginePath).split(":");
  const found = await Promise.all(folders.map((folder) => statPath(container, posix.join(folder, tool))));
  if (found.some((entry) => entry !== undefined)) return;
  throw new Error(
    `the candidate's image has no ${tool} in ${folders.join(", ")}, so nothing was stopped; take an image that is built with it`,
  );
}

/**
 * `llama-fit-params` reads the header, the architecture and every tensor's shape, and allocates nothing. `--fit-print` leaves out the search for what fits this
 * host, which is not asked here; builds before it look at GPUs only, and none is given.
 */
async function checkModel(docker: Docker, run: OneOff, model: string, signal: AbortSignal): Promise<void> {
  const tool = ["llama-fit-params", "-m", model, "-c", String(ctxSize), "-ngl", "0"] as const;
  const ask = async (...more: string[]): Promise<string | undefined> => {
    const { exitCode, stdout, stderr } = await runOneOff(docker, { ...run, command: [...tool, ...more] }, signal);
    return exitCode === 0 ? undefined : `${stdout}\n${stderr}`.trim();
  };
  let refused = await ask("--fit-print", "on");
  if (refused?.includes("invalid argument: --fit-print") === true) refused = await ask();
  if (refused === undefined) return;
  const reason = refusal.exec(refused)?.[1] ?? refused.split("\n").slice(-3).join(" | ");
  throw new Error(`the build of the candidate's image does not take the model, so nothing was stopped: ${reason}`);
}
