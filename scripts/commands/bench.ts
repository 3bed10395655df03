import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { Command } from "commander";
import type Docker from "dockerode";
import { parse } from "yaml";
import { z } from "zod";
import type { EndEntry } from "../../plan/bench/journal.ts";
import { describeSeconds } from "../../plan/bench/outcome.ts";
import { benchModelsVolume, type StackSettings } from "../../plan/bench/settings.ts";
import { parseAxis, planVariants, type Axis } from "../../plan/bench/variants.ts";
import { requestKey } from "../bench/journal-file.ts";
import { runBench, type BenchRequest, type BenchSummary } from "../bench/run.ts";
import { readRecords } from "../bench/records.ts";
import { connectDocker } from "../docker/host.ts";
import { projectDir } from "../paths.ts";
import { log } from "../program.ts";
import { requirePulumi } from "../pulumi.ts";

interface BenchOptions {
  readonly all?: boolean;
  readonly matrix: readonly Axis[];
  readonly settings: string;
  readonly keep?: boolean;
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
    .option("--keep", "leave the stacks up")
    .option("--fresh", "begin anew where an earlier run was interrupted")
    .option("--json", "print what came of each profile as JSON")
    .addHelpText("after", "\nExit codes: 0 all measured, 1 none measured or an error, 2 some could not be measured, 3 usage.")
    .action(benchAction);
}

async function benchAction(named: readonly string[], options: BenchOptions): Promise<void> {
  const known = await profileIds();
  const wrong = named.filter((id) => !known.includes(id));
  if (wrong.length > 0 || (named.length === 0 && options.all !== true)) {
    log(`bench: got ${wrong.length === 0 ? "no profile" : `profile ${wrong.join(", ")}`}, allowed are ${known.join(", ")}, or --all`);
    process.exitCode = usageExitCode;
    return;
  }
  const variants = planVariants(options.all === true ? known : named, options.matrix);
  const surroundings = await benchSurroundings(options.settings);
  const abort = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(name, () => abort.abort(new Error(`stopped by ${name}; the same command goes on from here`)));
  const summary = await runBench(
    {
      ...surroundings,
      variants,
      key: requestKey([variants, surroundings.settings]),
      isKept: options.keep === true,
      isFresh: options.fresh === true,
    },
    abort.signal,
  );
  process.stdout.write(options.json === true ? `${JSON.stringify(summary)}\n` : format(summary));
  const measured = summary.done.filter(({ outcome }) => outcome === "measured").length;
  process.exitCode = measured === summary.done.length ? 0 : measured === 0 ? 1 : inconclusiveExitCode;
}

/** What every bench of this machine shares: settings, models, Docker, and how long profiles took before. */
export async function benchSurroundings(stack: string): Promise<Omit<BenchRequest, "variants" | "key" | "isKept" | "isFresh">> {
  requirePulumi();
  const docker = connectDocker(null);
  const records = await readRecords(join(projectDir, "benchmarks"));
  return {
    projectDir,
    settings: await readSettings(stack),
    modelsPath: await modelsPath(docker),
    docker,
    pulumi: { env: {} },
    expected: expectedSeconds(records),
  };
}

async function profileIds(): Promise<string[]> {
  return (await readdir(join(projectDir, "configs"))).flatMap((name) => /^llama-cpp-(.+)\.env$/.exec(name)?.[1] ?? []).sort();
}

const settingsSchema = z.object({ config: z.record(z.string(), z.unknown()) });

async function readSettings(stack: string): Promise<StackSettings> {
  return settingsSchema.parse(parse(await readFile(join(projectDir, `Pulumi.${stack}.yaml`), "utf8"))).config;
}

/** Folder on the Docker host of the volume with the models of all bench stacks; the volume is made if there is none. */
async function modelsPath(docker: Docker): Promise<string> {
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
  return [...before, parseAxis(text)];
}
