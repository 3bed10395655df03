import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { Command, InvalidArgumentError } from "commander";
import type Docker from "dockerode";
import { parse } from "yaml";
import { z } from "zod";
import type { EndEntry } from "../../plan/bench/journal.ts";
import { describeSeconds } from "../../plan/bench/outcome.ts";
import { benchModelsVolume, benchStack, type StackSettings } from "../../plan/bench/settings.ts";
import { parseAxis, type Axis, type Variant } from "../../plan/bench/variants.ts";
import { gatewayName } from "../../plan/names.ts";
import { requestKey } from "../bench/journal-file.ts";
import type { BenchRequest } from "../bench/request.ts";
import { runBench, type BenchSummary } from "../bench/run.ts";
import { findVariants } from "../bench/find-variants.ts";
import { removeInterrupted, removeKept } from "../bench/interrupted.ts";
import { occupantsOf } from "../bench/occupants.ts";
import { readRecords } from "../bench/records.ts";
import { stopOnSignal } from "../bench/stop-signal.ts";
import { benchedProfile, workDirOf } from "../bench/work-dir.ts";
import { connectDocker, exists } from "../docker/host.ts";
import { projectDir } from "../paths.ts";
import { describeError, log } from "../program.ts";
import { readStackPlan } from "../images/stack-plan.ts";
import { requirePulumi } from "../pulumi.ts";
import { Pause } from "../rollout/pause.ts";
import { requireStack } from "./known-stack.ts";

interface BenchOptions {
  readonly all?: boolean;
  readonly matrix: readonly Axis[];
  readonly settings: string;
  readonly pause?: string;
  readonly keep?: boolean;
  readonly remove?: boolean;
  readonly fresh?: boolean;
  readonly json?: boolean;
}

const usageExitCode = 3;
const inconclusiveExitCode = 2;

/** `npm run bench`: one stack per profile, measured and taken away again. */
export function benchCommand(): Command {
  return new Command("bench")
    .description("measure profiles, each in a stack of its own: result files in benchmarks/, then npm run report")
    .argument("[profiles...]", "profile ids")
    .option("--all", "every profile of configs/")
    .option(
      "--matrix <key=value,value>",
      "every profile with every one of these values, e.g. ubatch=512,4096; may be repeated",
      collectAxis,
      [],
    )
    .option("--settings <stack>", "whose Pulumi.<stack>.yaml the stacks share", "bench")
    .option("--pause <stack>", "stop this stack's server for the time of the run and start it again: its requests wait")
    .option("--keep", "leave the stack up, of one profile")
    .option("--remove", "measure nothing: take away the stacks of these profiles that --keep left up")
    .option("--fresh", "begin anew where an earlier run was interrupted")
    .option("--json", "print what came of each profile as JSON")
    .addHelpText("after", "\nExit codes: 0 all measured, 1 none measured or an error, 2 some could not be measured, 3 usage.")
    .action(benchAction);
}

async function benchAction(named: readonly string[], options: BenchOptions): Promise<void> {
  const variants = await findVariants(options.all === true ? null : named, options.matrix);
  const refusal = typeof variants === "string" ? variants : refuseKept(variants, options);
  if (typeof variants === "string" || refusal !== null) {
    log(`bench: ${refusal ?? ""}`);
    process.exitCode = usageExitCode;
    return;
  }
  const surroundings = await benchSurroundings(options.settings);
  await removeInterrupted(surroundings, log);
  if (options.remove === true) {
    await removeKept(surroundings, variants, log);
    return;
  }
  const signal = stopOnSignal(afterStop(options.pause));
  await refuseOccupied(surroundings, variants, options.pause);
  await using pause = options.pause === undefined ? undefined : await pauseStack(surroundings.docker, options.pause, signal);
  const request = {
    ...surroundings,
    variants,
    key: requestKey([variants, surroundings.settings]),
    journal: "bench" as const,
    goesOn: false,
    isKept: options.keep === true,
    isFresh: options.fresh === true,
    pulumi: { env: pause?.env ?? {} },
  };
  const summary = await runBench(request, signal);
  process.stdout.write(options.json === true ? `${JSON.stringify(summary)}\n` : format(summary));
  const measured = summary.done.filter(({ outcome }) => outcome === "measured").length;
  process.exitCode = measured === summary.done.length ? 0 : measured === 0 ? 1 : inconclusiveExitCode;
}

/** What is wrong with `--keep` here; null: nothing. */
function refuseKept(variants: readonly Variant[], { keep, remove }: BenchOptions): string | null {
  if (keep !== true) return null;
  if (remove === true) return "got --keep and --remove, expected one of them";
  if (variants.length === 1) return null;
  return `--keep: got ${variants.length} profiles, expected one: a stack that stays up holds the gateway's port, which the next one wants`;
}

/** What a stopped run does before it ends. */
export const afterStop = (paused: string | undefined): string =>
  `what is measured is ended${paused === undefined ? "" : `, then ${paused} serves again`}; once more ends this at once`;

const deviceSchema = z.object({ gpus: z.array(z.string()).default([]) });

/** @throws {Error} if another stack serves on a GPU that is to be measured, naming what makes it stop */
export async function refuseOccupied(
  { docker, settings, projectDir: dir }: Pick<BenchRequest, "docker" | "settings" | "projectDir">,
  variants: readonly Variant[],
  paused: string | undefined,
): Promise<void> {
  const { gpus } = deviceSchema.parse(settings["llm-server:device"] ?? {});
  const own = new Set([...variants.map(({ id }) => benchStack(id)), ...(paused === undefined ? [] : [paused])]);
  const [occupant] = await occupantsOf(docker, gpus, own);
  if (occupant === undefined) return;
  const kept = await benchedProfile(workDirOf(dir), occupant);
  const remedy =
    kept === null
      ? `stop it for the time with --pause ${occupant}`
      : `it is the bench of ${kept}, kept up; take it away: npm run bench -- ${kept} --remove`;
  throw new Error(`stack ${occupant} serves on GPU ${gpus.join(", ")}, which would be measured with it; ${remedy}`);
}

/**
 * Stops a stack as its own configuration says; it serves again when the pause ends, however that is.
 * @throws {Error} if there is no such stack, or nothing of it that could be paused
 */
export async function pauseStack(docker: Docker, stack: string, signal: AbortSignal): Promise<Pause> {
  await requireStack(docker, stack);
  if (!(await exists(docker.getContainer(gatewayName(stack)))))
    throw new Error(`--pause: stack ${stack} has no gateway on this Docker host, so nothing of it serves; leave --pause out`);
  const { devices, lockWaitSec, readyTimeoutSec, drainSec } = (await readStackPlan(stack)).rollout;
  return Pause.start(docker, stack, { devices, lockWaitSec, readyTimeoutSec, drainSec, signal, progress: (line) => log(`pause: ${line}`) });
}

export type BenchSurroundings = Omit<BenchRequest, "variants" | "key" | "journal" | "goesOn" | "isKept" | "isFresh">;

/** What every bench of this machine shares: settings, models, Docker, and how long profiles took before. */
export async function benchSurroundings(stack: string): Promise<BenchSurroundings> {
  requirePulumi();
  const docker = connectDocker(null);
  const records = await readRecords(join(projectDir, "benchmarks"));
  const settings = await readSettings(stack);
  const named = modelsSchema.safeParse(settings["llm-server:models"]);
  return {
    projectDir,
    settings,
    modelsPath: named.success ? named.data.path : await sharedModels(docker),
    docker,
    pulumi: { env: {} },
    expected: expectedSeconds(records),
  };
}

const modelsSchema = z.object({ path: z.string() });
const settingsSchema = z.object({ config: z.record(z.string(), z.unknown()) });

/** @throws {Error} naming the stacks that have a file, if this one has none */
async function readSettings(stack: string): Promise<StackSettings> {
  const stacks = (await readdir(projectDir)).flatMap((name) => /^Pulumi\.(.+)\.yaml$/.exec(name)?.[1] ?? []).sort();
  if (!stacks.includes(stack))
    throw new Error(`--settings: got ${stack}, expected a stack that has a file Pulumi.<stack>.yaml: ${stacks.join(", ")}`);
  return settingsSchema.parse(parse(await readFile(join(projectDir, `Pulumi.${stack}.yaml`), "utf8"))).config;
}

/** Folder on the Docker host of the volume with the models of all bench stacks; the volume is made if there is none. */
async function sharedModels(docker: Docker): Promise<string> {
  await docker.createVolume({ Name: benchModelsVolume });
  return (await docker.getVolume(benchModelsVolume).inspect()).Mountpoint;
}

/** How long each profile took the last time it was measured. */
const expectedSeconds = (records: Awaited<ReturnType<typeof readRecords>>): Map<string, number> =>
  new Map(records.filter(({ outcome }) => outcome === "measured").map(({ profile, wallSec }) => [profile, wallSec]));

function format({ done, wallSec, measuredSec, resumed }: BenchSummary): string {
  const width = Math.max(...done.map(({ profile }) => profile.length));
  const line = ({ profile, outcome, wallSec: sec, record }: EndEntry): string =>
    `${profile.padEnd(width)}  ${outcome.padEnd(13)}  ${describeSeconds(sec).padStart(12)}  benchmarks/${record}`;
  const share =
    measuredSec === 0 ? "" : `, ${((100 * (wallSec - measuredSec)) / measuredSec).toFixed(1)} % on top of building, fetching and measuring`;
  const before = resumed === 0 ? "" : `; ${resumed} were done before`;
  return `${done.map(line).join("\n")}\n${describeSeconds(wallSec)}${share}${before}; npm run report makes a page of it\n`;
}

function collectAxis(text: string, before: readonly Axis[]): Axis[] {
  try {
    return [...before, parseAxis(text)];
  } catch (error) {
    throw new InvalidArgumentError(describeError(error));
  }
}
