import { PassThrough } from "node:stream";
import { buffer, text } from "node:stream/consumers";

import type Docker from "dockerode";
import tar from "tar-stream";

import { helperLabels } from "../docker/helper-labels.ts";
import { guardContainer } from "./guarded.ts";

/** A tool run in a container of its own, which is gone when it returns. */
export interface OneOff {
  readonly host: string | null;
  readonly image: string;
  readonly stack: string;
  readonly command: readonly [string, ...string[]];
  readonly mounts: readonly { readonly source: string; readonly target: string }[];
  /** A file that the tool reads, at `/work/<name>`. */
  readonly file: { readonly name: string; readonly content: Buffer };
  readonly memoryMiB: number | null;
  readonly cpus: number | null;
  readonly gpus: readonly string[];
}

/** Exit code and output of a tool; `isOutOfMemory` when the kernel ended it for its memory. */
export interface OneOffResult {
  readonly exitCode: number;
  readonly isOutOfMemory: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

const workFolder = "/work";
/** User of every container that runs models; it owns nothing on the host. */
const user = "10001:10001";

function createOptions(run: OneOff, ownLabels: Record<string, string>): Docker.ContainerCreateOptions {
  const [entrypoint, ...arguments_] = run.command;
  const memory = run.memoryMiB === null ? {} : { Memory: run.memoryMiB * 2 ** 20, MemorySwap: run.memoryMiB * 2 ** 20 };
  const gpus = run.gpus.length === 0 ? {} : { DeviceRequests: [{ Driver: "", DeviceIDs: [...run.gpus], Capabilities: [["gpu"]] }] };
  return {
    Image: run.image,
    Entrypoint: [entrypoint],
    Cmd: arguments_,
    User: user,
    // waiting OpenMP threads that spin starve each other on shared cores: decode fell from 48 to 5 tok/s beside other load
    Env: ["OMP_WAIT_POLICY=passive", "GOMP_SPINCOUNT=0"],
    Labels: ownLabels,
    HostConfig: {
      ...memory,
      ...gpus,
      ...(run.cpus === null ? {} : { NanoCpus: Math.round(run.cpus * 1e9) }),
      NetworkMode: "none",
      ReadonlyRootfs: true,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges:true"],
      PidsLimit: 256,
      Init: true,
      Tmpfs: { "/tmp": "rw,noexec,nosuid,size=64m" },
      LogConfig: { Type: "json-file", Config: { "max-size": "10m", "max-file": "1" } },
      Mounts: [
        ...run.mounts.map(({ source, target }) => ({
          Type: source.startsWith("/") ? ("bind" as const) : ("volume" as const),
          Source: source,
          Target: target,
          ReadOnly: true,
        })),
        // an unnamed volume, removed with the container: a read-only root takes no archive, a volume does
        { Type: "volume", Source: "", Target: workFolder },
      ],
    },
  };
}

async function putFile(container: Docker.Container, file: OneOff["file"]): Promise<void> {
  const pack = tar.pack();
  pack.entry({ name: file.name, mode: 0o444 }, file.content);
  pack.finalize();
  await container.putArchive(await buffer(pack), { path: workFolder });
}

async function readLogs(docker: Docker, container: Docker.Container): Promise<{ stdout: string; stderr: string }> {
  const stream = await container.logs({ follow: true, stdout: true, stderr: true });
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  docker.modem.demuxStream(stream, stdout, stderr);
  stream.once("end", () => (stdout.end(), stderr.end()));
  const [out, err] = await Promise.all([text(stdout), text(stderr)]);
  return { stdout: out, stderr: err };
}

/**
 * Runs a tool to its end: no network, user 10001, read-only root, no capability, models read-only.
 * @throws {Error} if it can't be started (no such tool in the image, no such image), or `signal` aborts.
 */
export async function runOneOff(docker: Docker, run: OneOff, signal: AbortSignal): Promise<OneOffResult> {
  const container = await docker.createContainer(createOptions(run, await helperLabels(run.stack)));
  const endGuard = guardContainer(run.host, container.id);
  const stop = (): void => void container.kill().catch(() => undefined);
  try {
    await putFile(container, run.file);
    await container.start();
    signal.addEventListener("abort", stop, { once: true });
    const output = await readLogs(docker, container);
    await container.wait();
    signal.throwIfAborted();
    const { State } = await container.inspect();
    return { exitCode: State.ExitCode, isOutOfMemory: State.OOMKilled, ...output };
  } finally {
    signal.removeEventListener("abort", stop);
    await container.remove({ force: true, v: true });
    endGuard();
  }
}
