import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { Command, InvalidArgumentError } from "commander";
import { compareSpeed } from "../../plan/bench/compare.ts";
import { formatComparison, type NamedResult } from "../../plan/bench/format-compare.ts";
import { benchmarkThresholdsSchema, type BenchmarkThresholds } from "../../plan/gates/thresholds.ts";
import { combineVerdicts, exitCodeOf } from "../../plan/gates/verdict.ts";
import { scenariosOf } from "../../plan/report/runs.ts";
import { projectDir } from "../paths.ts";
import { describeError, log } from "../program.ts";
import { readThresholds } from "../report/read.ts";
import { pairsOfBuilds, readResult, readResults } from "../report/results.ts";

interface CompareOptions {
  readonly folder: string;
  readonly profile?: string;
  readonly margin?: number;
  readonly anyway?: boolean;
  readonly json?: boolean;
}

const usageExitCode = 3;

/** `npm run compare -- A B`: the benchmark gate's statistics on two result files, or on the newest results of two builds. */
export function compareCommand(): Command {
  return new Command("compare")
    .description("is B as fast as A? The gate's statistics on two result files, or on the newest results of two builds")
    .argument("<baseline>", "a result file, or a build as in the results, e.g. b11669-Debian")
    .argument("<candidate>", "the same")
    .option("--folder <folder>", "where results of builds are looked for", join(projectDir, "benchmarks"))
    .option("--profile <id>", "of two builds, this profile only")
    .option("--margin <percent>", "largest accepted worsening; else that of the stack whose scenario set it is, else 5", parsePercent)
    .option("--anyway", "compare results of other hosts or questions too, or with a baseline that is too unsteady for the gate")
    .option("--json", "print it as JSON")
    .addHelpText("after", "\nExit codes: 0 as fast, 1 slower than the margin allows, 2 inconclusive or not comparable, 3 usage.")
    .action(compareAction);
}

async function compareAction(a: string, b: string, options: CompareOptions): Promise<void> {
  const pairs = await findPairs(a, b, options);
  if (typeof pairs === "string") {
    log(`compare: ${pairs}`);
    process.exitCode = usageExitCode;
    return;
  }
  const thresholds = await readThresholds(projectDir, (file, error) => {
    throw new Error(`${file}: does not read`, { cause: error });
  });
  const compared = pairs.map(([baseline, candidate]) => {
    const settings = settingsFor(baseline, thresholds.get(baseline.result.scenarioSet), options.margin);
    return { baseline, candidate, ...compareSpeed(baseline.result, candidate.result, settings, options.anyway) };
  });
  const verdict = combineVerdicts(compared.map((one) => one.verdict));
  if (options.json === true) {
    const shown = compared.map(({ baseline, candidate, ...rest }) => ({ baseline: baseline.file, candidate: candidate.file, ...rest }));
    process.stdout.write(`${JSON.stringify({ verdict, comparisons: shown }, null, 2)}\n`);
  } else process.stdout.write(`${compared.map((one) => formatComparison(one.baseline, one.candidate, one)).join("\n\n")}\n`);
  process.exitCode = exitCodeOf({ verdict, dryRun: false });
}

/** The pairs to compare, or what is wrong with the arguments. */
async function findPairs(a: string, b: string, { folder, profile }: CompareOptions): Promise<[NamedResult, NamedResult][] | string> {
  const same = "A and B are the same; a result is as fast as itself";
  if (existsSync(a) && existsSync(b)) return resolve(a) === resolve(b) ? same : readPair(a, b);
  const missing = [a, b].filter((name) => name.endsWith(".json") && !existsSync(name));
  if (missing.length > 0) return `got ${missing.join(" and ")}, expected a result file that is there`;
  const file = [a, b].find((name) => existsSync(name));
  if (file !== undefined) return `got the file ${file} and the build ${a === file ? b : a}, expected two files, or two builds`;
  if (a === b) return same;
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return `--folder: got ${folder}, expected a folder with results`;
  const all = await readResults(folder);
  const profiles = [...new Set(all.map(({ result }) => result.subject.profile))].sort();
  if (profile !== undefined && !profiles.includes(profile))
    return `got profile ${profile}, allowed are those of the results in ${folder}: ${listed(profiles)}`;
  const results = all.filter(({ result }) => profile === undefined || result.subject.profile === profile);
  const builds = [...new Set(results.map(({ result }) => result.build))].sort();
  const unknown = [a, b].filter((build) => !builds.includes(build));
  if (unknown.length > 0) return `got build ${unknown.join(" and ")}, allowed are those of the results in ${folder}: ${listed(builds)}`;
  const pairs = pairsOfBuilds(results, a, b);
  return pairs.length > 0 ? pairs : `builds ${a} and ${b} have no profile in common that was measured on the same host in the same way`;
}

/** Two result files, or why one of them is none. */
async function readPair(a: string, b: string): Promise<[NamedResult, NamedResult][] | string> {
  const [baseline, candidate] = await Promise.allSettled([readResult(a), readResult(b)]);
  if (baseline.status === "fulfilled" && candidate.status === "fulfilled") return [[baseline.value, candidate.value]];
  return [baseline, candidate].flatMap((one) => (one.status === "rejected" ? [describeError(one.reason)] : [])).join("\n");
}

const listed = (names: readonly string[]): string => (names.length === 0 ? "none yet" : names.join(", "));

/** The settings of the stack whose scenario set the results have; without one the gate's defaults, on decode speed. */
function settingsFor(
  { result }: NamedResult,
  stack: BenchmarkThresholds | undefined,
  marginPercent: number | undefined,
): BenchmarkThresholds {
  const metrics = scenariosOf(result).map((scenario) => ({ scenario, metric: "decode" as const }));
  const settings = stack ?? benchmarkThresholdsSchema.parse({ metrics });
  if (marginPercent === undefined) return settings;
  return { ...settings, marginPercent, metrics: settings.metrics.map(({ scenario, metric }) => ({ scenario, metric })) };
}

function parsePercent(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < 100)) throw new InvalidArgumentError("expected per cent above 0 and below 100, e.g. 5");
  return value;
}
