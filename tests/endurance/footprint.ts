import { readdir, readFile } from "node:fs/promises";
import { execa } from "execa";
import { median } from "simple-statistics";
import { gatewayName } from "../../plan/names.ts";
import { processesIn } from "../support/processes.ts";
import type { StackProject } from "../support/stack-project.ts";

/** What a stack takes of its host at one moment. */
export interface Footprint {
  readonly atSec: number;
  /** Process id of the gateway's Caddy, its open files, and its memory that is not a file's, MiB. */
  readonly gateway: { readonly pid: number; readonly files: number; readonly memoryMiB: number };
  readonly containers: number;
  readonly helpers: number;
  readonly volumes: number;
  readonly networks: number;
  /** Processes that work in the stack's folder, or below it. */
  readonly processes: number;
}

/** Looks at a stack. */
export async function readFootprint(project: StackProject, atSec: number): Promise<Footprint> {
  const [gateway, containers, helpers, volumes, networks, processes] = await Promise.all([
    readGateway(project.stack),
    project.onHost("container"),
    helpersOf(project.stack),
    project.onHost("volume"),
    project.onHost("network"),
    processesIn(project.dir),
  ]);
  const counts = { helpers: helpers.length, volumes: volumes.length, networks: networks.length, processes: processes.length };
  return { atSec, gateway, containers: containers.length, ...counts };
}

async function helpersOf(stack: string): Promise<string[]> {
  const labels = ["--filter", `label=llm-server.stack=${stack}`, "--filter", "label=llm-server.role=helper"];
  return lines((await execa("docker", ["ps", "--all", "--quiet", ...labels])).stdout);
}

/** Volumes without a name and without a container, as a helper leaves them that is not removed with its volumes. */
export async function namelessVolumes(): Promise<string[]> {
  const { stdout } = await execa("docker", ["volume", "ls", "--quiet", "--filter", "dangling=true"]);
  return lines(stdout).filter((name) => /^[0-9a-f]{64}$/.test(name));
}

async function readGateway(stack: string): Promise<Footprint["gateway"]> {
  const { stdout } = await execa("docker", ["top", gatewayName(stack), "-o", "pid,comm"]);
  const pid = Number(/^\s*(\d+)\s+caddy$/m.exec(stdout)?.[1]);
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const memoryMiB = Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
  return { pid, files: (await readdir(`/proc/${pid}/fd`)).length, memoryMiB };
}

/** Bytes of all files below a folder. */
export async function bytesBelow(dir: string): Promise<number> {
  return Number((await execa("du", ["--summarize", "--bytes", dir])).stdout.split("\t")[0]);
}

/**
 * How much a quantity grew over a run: the median slope between its samples (Theil–Sen), times the time between first and last. A saw-tooth, as a garbage
 * collector makes it, or a few outliers don't move it; a leak does.
 */
export function growth(samples: readonly (readonly [atSec: number, value: number])[]): number {
  const slopes = samples.flatMap(([at, value], index) => samples.slice(index + 1).map(([later, next]) => (next - value) / (later - at)));
  const [first, last] = [samples.at(0), samples.at(-1)];
  return slopes.length === 0 || first === undefined || last === undefined ? 0 : median(slopes) * (last[0] - first[0]);
}

const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");
