import { createHash } from "node:crypto";

import type Docker from "dockerode";
import { z } from "zod";

import type { Host } from "../../plan/benchmark/result.ts";
import { execText } from "../docker/exec.ts";

const infoSchema = z.object({
  Name: z.string(),
  NCPU: z.number(),
  MemTotal: z.number(),
  KernelVersion: z.string(),
  ServerVersion: z.string(),
  Architecture: z.string(),
});

/** SHA-256 of a value's JSON, as 16 hex digits. */
export function shortHash(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);
}

/** The GPUs a container sees; empty without `nvidia-smi`. */
async function readGpus(container: Docker.Container): Promise<Host["gpus"]> {
  const text = await execText(container, ["nvidia-smi", "--query-gpu=memory.total,name", "--format=csv,noheader,nounits"]);
  return [...(text ?? "").matchAll(/^(\d+), (.+)$/gm)].map(([, memory = "", name = ""]) => ({
    name: name.trim(),
    memoryMiB: Number(memory),
  }));
}

/** The GPUs a container sees, by name. */
export async function gpuNames(container: Docker.Container): Promise<string[]> {
  return (await readGpus(container)).map(({ name }) => name);
}

/**
 * The Docker host as seen from inside the candidate. The fingerprint covers what speed depends on (CPU model and count, memory,
 * GPUs), not names or kernel versions, so that the same machine set up again keeps its baselines.
 */
export async function describeHost(docker: Docker, container: Docker.Container): Promise<Host> {
  const [info, cpuinfo = "", gpus] = await Promise.all([
    docker.info().then((answer) => infoSchema.parse(answer)),
    execText(container, ["cat", "/proc/cpuinfo"]),
    readGpus(container),
  ]);
  const cpu = /^model name\s*:\s*(.+)$/m.exec(cpuinfo)?.[1] ?? info.Architecture;
  const memoryMiB = Math.round(info.MemTotal / 2 ** 20);
  return {
    fingerprint: shortHash([cpu, info.NCPU, Math.round(memoryMiB / 1024), gpus.map(({ name }) => name)]),
    name: info.Name,
    cpu,
    cpus: info.NCPU,
    memoryMiB,
    kernel: info.KernelVersion,
    docker: info.ServerVersion,
    gpus,
  };
}
