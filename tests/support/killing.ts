import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { labels } from "../../plan/names.ts";
import { processesIn, processesUnder } from "./processes.ts";
import type { PulumiRun, StackProject } from "./stack-project.ts";

/** What is killed, by a part of its command line; `cli` is the process that the test started. */
const targets = {
  gate: "scripts/gates/",
  promote: "scripts/promote.ts",
  program: "pulumi-language-nodejs",
  provider: "pulumi-resource-command",
  cli: "",
};
/** A part of a rollout that is killed, an interrupt as from Ctrl-C, or nothing. */
export type Target = keyof typeof targets | "interrupt" | "nothing";
/** Every part, and the interrupt, once. */
export const eachTarget: readonly Target[] = ["gate", "promote", "program", "provider", "cli", "interrupt"];
/** All of them, the likelier ones more than once. */
export const allTargets: readonly Target[] = ["gate", "gate", "promote", "program", "provider", "cli", "cli", "interrupt", "nothing"];

/** Waits until a part of the rollout that the process `cli` runs is at work, or `isOver` says that it won't be any more. */
export async function untilAtWork(target: Target, cli: number, isOver: () => boolean): Promise<void> {
  if (target === "nothing" || target === "interrupt" || target === "cli") return;
  while (!isOver() && !(await processesUnder(cli)).some(({ command }) => command.includes(targets[target]))) await sleep(20);
}

/** Kills a part of the rollout that the process `cli` runs; one that is not there, or no longer, is not waited for. */
export async function killPart(target: Target, cli: number): Promise<void> {
  if (target === "nothing") return;
  if (target === "interrupt") signal(cli, "SIGINT");
  else if (target === "cli") signal(cli, "SIGKILL");
  else for (const { pid } of (await processesUnder(cli)).filter(({ command }) => command.includes(targets[target]))) signal(pid, "SIGKILL");
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error; // it ended by itself
  }
}

const containers = async (stack: string, role: string, ...args: readonly string[]): Promise<string[]> => {
  const filters = ["--filter", `label=${labels.stack}=${stack}`, "--filter", `label=${labels.role}=${role}`];
  const { stdout } = await execa("docker", ["ps", ...args, ...filters, "--format", "{{.Names}}"]);
  return stdout.split("\n").filter((name) => name !== "");
};

/** Locks that rollouts of a stack hold. */
export const locksOf = (stack: string): Promise<string[]> => containers(stack, "lock", "--all");

/** Servers of a stack that run. */
export const runningServers = (stack: string): Promise<string[]> => containers(stack, "server");

/** Locks, helpers and processes of Pulumi's program that a rollout should not have left; half a minute is given to the processes, which have to notice first. */
export async function leftoversOf({ stack, dir }: Pick<StackProject, "stack" | "dir">): Promise<string[]> {
  const programs = async (): Promise<string[]> =>
    (await processesIn(dir))
      .filter(({ command }) => command.includes("@pulumi/pulumi/cmd/run"))
      .map(({ pid, command }) => `${pid} ${command}`);
  for (const end = Date.now() + 30_000; (await programs()).length > 0 && Date.now() < end;) await sleep(200);
  return [...(await locksOf(stack)), ...(await containers(stack, "helper")), ...(await programs())];
}

/** Waits until no rollout of a stack holds a device any more. @throws {Error} naming what is there after a minute */
export async function untilQuiet(stack: string): Promise<void> {
  for (const end = Date.now() + 60_000; (await locksOf(stack)).length > 0;) {
    if (Date.now() > end) throw new Error(`still there after a minute: ${(await locksOf(stack)).join(", ")}`);
    await sleep(200);
  }
}

/** Runs `npm run recover` as a user would, who is told to wait while what a killed CLI left is still at work; a minute at most. */
export async function recover(project: StackProject): Promise<PulumiRun> {
  for (const end = Date.now() + 60_000; ;) {
    const run = await project.cli("recover", project.stack);
    if (!run.output.includes("a rollout is at work") || Date.now() > end) return run;
    await sleep(500);
  }
}
