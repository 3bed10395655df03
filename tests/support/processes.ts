import { readdir, readFile, readlink } from "node:fs/promises";

/** A process of this machine. */
export interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

/** Every process whose working directory is this one, or below it. */
export async function processesIn(dir: string): Promise<Process[]> {
  const there = await Promise.all(
    (await readProcesses()).map(async (process) => {
      const cwd = await readlink(`/proc/${process.pid}/cwd`).catch(() => "");
      return cwd === dir || cwd.startsWith(`${dir}/`) ? process : undefined;
    }),
  );
  return there.filter((process) => process !== undefined);
}

/** Every process that descends from `root`, itself not included. */
export async function processesUnder(root: number): Promise<Process[]> {
  const all = await readProcesses();
  const below = (parent: number): Process[] =>
    all.filter((process) => process.parent === parent).flatMap((child) => [child, ...below(child.pid)]);
  return below(root);
}

async function readProcesses(): Promise<Process[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  return (await Promise.all(pids.map(readProcess))).filter((process) => process !== undefined);
}

async function readProcess(pid: number): Promise<Process | undefined> {
  try {
    const [stat, command] = await Promise.all([readFile(`/proc/${pid}/stat`, "utf8"), readFile(`/proc/${pid}/cmdline`, "utf8")]);
    return { pid, parent: Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]), command: command.replaceAll("\0", " ") };
  } catch {
    return undefined; // gone meanwhile
  }
}
