import { existsSync } from "node:fs";
import { execa } from "execa";
import { z } from "zod";
import { projectName } from "../plan/config/stack-config.ts";
import { promotionSchema, type Promotion } from "../plan/promotion.ts";
import { readReleases } from "../plan/retained.ts";
import { projectDir, pulumiCommand } from "./paths.ts";
import { log } from "./program.ts";

/** The part of an exported state that is read here. */
const stateSchema = z.object({
  deployment: z.object({
    resources: z
      .array(z.object({ urn: z.string(), id: z.string().optional(), outputs: z.record(z.string(), z.unknown()).optional() }))
      .default([]),
  }),
});

/** @throws {Error} if set-up has not run yet */
export function requirePulumi(): void {
  if (!existsSync(pulumiCommand)) throw new Error(`${pulumiCommand} is not there; run: npm run setup`);
}

/** Runs `pulumi` with its output on this terminal, and returns its exit code. An interrupt reaches it too; it is waited for, because it cleans up. */
export async function runPulumi(args: readonly string[]): Promise<number> {
  requirePulumi();
  const ignore = (): void => log("stopping; a second Ctrl-C cancels what runs");
  process.on("SIGINT", ignore);
  try {
    const { exitCode } = await execa(pulumiCommand, [...args], { cwd: projectDir, stdio: "inherit", reject: false });
    return exitCode ?? 1;
  } finally {
    process.off("SIGINT", ignore);
  }
}

/** Standard output of a `pulumi` command. @throws {Error} with its standard error if it fails */
export async function readPulumi(args: readonly string[]): Promise<string> {
  requirePulumi();
  const { exitCode, stdout, stderr } = await execa(pulumiCommand, [...args, "--non-interactive"], { cwd: projectDir, reject: false });
  if (exitCode !== 0) throw new Error(`pulumi ${args.join(" ")}: ${explain(stderr.trim())}`);
  return stdout;
}

/**
 * Takes operations off a stack's state that a killed command had begun; no deployment does. Only the stack's own resource is refreshed for it: what serves is not looked at.
 */
export async function clearPending(stack: string): Promise<void> {
  const urn = `urn:pulumi:${stack}::${projectName}::pulumi:pulumi:Stack::${projectName}-${stack}`;
  await readPulumi(["refresh", "--yes", "--skip-preview", "--clear-pending-creates", "--target", urn, "--stack", stack]);
}

/** What Pulumi said, with what to do where that is known. */
function explain(message: string): string {
  if (/failed to load checkpoint: (.* unexpected )?EOF/.test(message))
    return `${message}\n  a pulumi command was killed while it wrote what lies beside a state; the state is whole; run: npm run recover`;
  if (!/incorrect passphrase/.test(message)) return message;
  return `${message}\n  the passphrase in PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE is not this stack's; the dev stack's is empty: unset both`;
}

/** What a stack's `promote` said last, from its state; null before the first promotion. */
export async function readPromotion(stack: string): Promise<Promotion | null> {
  return readPromoted(findPromote(await readPulumi(["stack", "export", "--stack", stack])));
}

type Resource = z.infer<typeof stateSchema>["deployment"]["resources"][number];

const findPromote = (state: string): Resource | undefined =>
  stateSchema.parse(JSON.parse(state)).deployment.resources.find(({ urn }) => urn.endsWith("command:local:Command::promote"));

function readPromoted(promote: Resource | undefined): Promotion | null {
  const line = promote?.outputs?.["stdout"];
  return typeof line === "string" ? promotionSchema.parse(JSON.parse(line)) : null;
}

/** What a stack's state says of what was deployed. */
export interface Deployed {
  /** Null before the first promotion. */
  readonly promotion: Promotion | null;
  /** Releases that took traffic and are kept, the serving one first; null: they can't be read without the stack's passphrase. */
  readonly kept: readonly string[] | null;
  /** Devices that its rollouts lock; empty before the first promotion. */
  readonly devices: readonly string[];
}

const devicesSchema = z.object({ rollout: z.object({ devices: z.array(z.string()) }) });

export async function readDeployed(stack: string): Promise<Deployed> {
  const [state, kept] = await Promise.all([readPulumi(["stack", "export", "--stack", stack]), readKept(stack)]);
  const promote = findPromote(state);
  const environment = z.record(z.string(), z.string()).safeParse(promote?.outputs?.["environment"]).data;
  return {
    promotion: readPromoted(promote),
    kept,
    devices: devicesSchema.safeParse(JSON.parse(environment?.["PROMOTE_INPUT"] ?? "null")).data?.rollout.devices ?? [],
  };
}

/** From the stack's output, which is marked as secret: what `stack export` shows of it is encrypted. */
async function readKept(stack: string): Promise<string[] | null> {
  try {
    const outputs: unknown = JSON.parse(await readPulumi(["stack", "output", "--json", "--show-secrets", "--stack", stack]));
    return readReleases(z.object({ releases: z.unknown().optional() }).parse(outputs).releases).map(({ releaseId }) => releaseId);
  } catch {
    return null;
  }
}

/** Provider ids of everything in a stack's state; empty for a stack that nothing was deployed to. @throws {Error} if there is no such stack in this backend */
export async function readStateIds(stack: string): Promise<Set<string>> {
  const { deployment } = stateSchema.parse(JSON.parse(await readPulumi(["stack", "export", "--stack", stack])));
  return new Set(deployment.resources.flatMap(({ id }) => (id === undefined ? [] : [id])));
}

/** Makes sure that a stack exists in the backend. @throws {Error} with Pulumi's message */
export async function ensureStack(stack: string): Promise<void> {
  await readPulumi(["stack", "select", "--create", "--stack", stack]);
}

const stacksSchema = z.array(z.object({ name: z.string() }));

/** Names of the backend's stacks of this project, without the organization that some backends put before them. */
export async function listStacks(): Promise<string[]> {
  const stacks = stacksSchema.parse(JSON.parse(await readPulumi(["stack", "ls", "--json"])));
  return stacks.map(({ name }) => name.split("/").at(-1) ?? name);
}
