import { readFile } from "node:fs/promises";
import { hostname, userInfo } from "node:os";
import type { Owner } from "../../plan/rollout/records.ts";

/** Start of the names of Pulumi's provider processes, as the kernel cuts them. */
const providerName = "pulumi-resource";

interface ProcessStat {
  readonly name: string;
  readonly parent: number;
  readonly startTicks: string;
}

/**
 * One process from /proc; undefined if there is none, or only what its parent has not asked for yet (a zombie).
 * @see proc(5): fields 2, 3, 4 and 22 of /proc/<pid>/stat; the name may hold anything, so it is cut off first
 */
export async function readStat(pid: number): Promise<ProcessStat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const end = text.lastIndexOf(")");
  const fields = text.slice(end + 2).split(" ");
  if (fields[0] === "Z" || fields[0] === "X") return undefined;
  return { name: text.slice(text.indexOf("(") + 1, end), parent: Number(fields[1]), startTicks: fields[19] ?? "" };
}

const readBootId = async (): Promise<string> => (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();

/** This very process. */
export const thisProcess = (): Promise<Owner> => describeProcess(process.pid);

/** Environment variable of `scripts/run-program.sh`: process ids of the shell around this program, its parent, and that one's parent. */
const startedByVariable = "LLM_SERVER_STARTED_BY";
/** Parent of this process when it began to run; all that is known of a program that was started by hand. */
const firstParent = process.ppid;

/** Whether the processes that started this one are still there: one that ends gives its child another parent. */
export async function isStarterThere(): Promise<boolean> {
  const started = process.env[startedByVariable];
  if (started === undefined) return process.ppid === firstParent;
  const [shell = 0, parent = 0, grandparent = 0] = started.split(" ").map(Number);
  if (process.ppid !== shell) return false;
  const [ofShell, ofParent] = await Promise.all([readStat(shell), readStat(parent)]);
  return ofShell?.parent === parent && ofParent?.parent === grandparent;
}

/**
 * The process that this rollout lives and dies with: Pulumi's provider, which runs every program of the chain, as a child of the CLI. Without one (a program
 * run by hand) it is this process.
 * @throws {Error} if a process that started this one is gone: nobody would give the candidate the traffic
 */
export async function rolloutOwner(): Promise<Owner> {
  if (!(await isStarterThere())) throw new Error("a process that started this one is gone, so nothing was stopped");
  for (let pid = process.ppid; pid > 1;) {
    const stat = await readStat(pid);
    if (stat === undefined) break;
    if (stat.name.startsWith(providerName)) return { ...(await describeProcess(pid)), parent: stat.parent };
    pid = stat.parent;
  }
  return thisProcess();
}

/** What tells one process from every other, also of another boot. */
export async function describeProcess(pid: number): Promise<Owner> {
  const { startTicks = "" } = (await readStat(pid)) ?? {};
  return { pid, startTicks, bootId: await readBootId(), hostname: hostname(), user: userInfo().username };
}

/**
 * `alive`, `dead`, or `unknown` where it ran on another machine. A provider whose CLI was killed is dead: it may stay, but gets nothing more to do.
 */
export async function livenessOf(owner: Owner): Promise<"alive" | "dead" | "unknown"> {
  if (owner.hostname !== hostname()) return "unknown";
  if (owner.bootId !== (await readBootId())) return "dead";
  const stat = await readStat(owner.pid);
  const hasParent = owner.parent === undefined || stat?.parent === owner.parent;
  return stat?.startTicks === owner.startTicks && hasParent ? "alive" : "dead";
}

/** Ends a process at once; does nothing to one that is gone, or ran on another machine. */
export async function endOwner(owner: Owner): Promise<void> {
  if ((await livenessOf(owner)) !== "alive") return;
  try {
    process.kill(owner.pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error; // it ended just now
  }
}

/** Whether two records name one and the same process. */
export const isSameOwner = (a: Owner, b: Owner): boolean =>
  a.pid === b.pid && a.startTicks === b.startTicks && a.bootId === b.bootId && a.hostname === b.hostname;

/** Whether a process of this machine runs. */
export const isRunning = async (pid: number): Promise<boolean> => (await readStat(pid)) !== undefined;
