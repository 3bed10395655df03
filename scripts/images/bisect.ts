import { Command, Option } from "commander";
import { nextBisectStep, outcomeOf, stepsLeft } from "../../plan/images/bisect.ts";
import type { CommitOutcome } from "../../plan/images/bisect.ts";
import type { Verdict } from "../../plan/gates/verdict.ts";
import { log } from "../program.ts";
import { ImageBuildError } from "./docker-build.ts";
import { History } from "./git.ts";
import { GateJudge } from "./gate-judge.ts";
import { resolveRemoteRef } from "./pin.ts";

/** How commits are measured; the search itself knows no Docker. */
export interface BisectJudge {
  /** Builds the good commit and measures what the others are compared with. @throws {Error} if that can't be done */
  reference(commit: string): Promise<void>;
  /** Builds and measures a commit against the reference. @throws {ImageBuildError} if it does not build */
  judge(commit: string): Promise<Verdict>;
}

/** Where a search ended. `outcomes` holds each commit that was measured. */
export interface BisectResult {
  readonly suspects: readonly string[];
  readonly outcomes: ReadonlyMap<string, CommitOutcome>;
}

/** A commit that does not build is skipped; a host that can't build, or arguments that are wrong, would fail for every commit. */
async function measure(commit: string, judge: BisectJudge, progress: (line: string) => void): Promise<CommitOutcome> {
  try {
    const verdict = await judge.judge(commit);
    progress(`${commit.slice(0, 9)}: ${verdict}`);
    return outcomeOf(verdict);
  } catch (error) {
    if (!(error instanceof ImageBuildError) || error.failure.kind === "host" || error.failure.kind === "arguments") throw error;
    progress(`${commit.slice(0, 9)}: skipped, ${error.failure.message}`);
    return "skip";
  }
}

/**
 * Finds the commit that made things worse among `commits` (oldest first, the bad end last). Both ends are measured first: a search between ends that
 * don't differ would blame somebody at random.
 * @throws {Error} if the bad end is not measurably worse than the good one, or a later commit was good again
 */
export async function bisectCommits(
  good: string,
  commits: readonly string[],
  judge: BisectJudge,
  progress: (line: string) => void,
): Promise<BisectResult> {
  const bad = commits.at(-1);
  if (bad === undefined) throw new Error("--good and --bad are the same commit: there is nothing between them");
  await judge.reference(good);
  const worst = await measure(bad, judge, progress);
  if (worst !== "bad") {
    const found = worst === "good" ? "is within the gate's margins of the good one" : "could not be measured against the good one";
    throw new Error(
      `the bad end ${bad.slice(0, 9)} ${found}: nothing to search for; check the profile, the margins, and that this is the host that showed it`,
    );
  }
  const outcomes = new Map<string, CommitOutcome>();
  for (;;) {
    const step = nextBisectStep(commits, outcomes);
    if (step.kind === "found") return { suspects: step.suspects, outcomes: outcomes.set(bad, "bad") };
    progress(`${step.remaining} commits open, about ${stepsLeft(step.remaining)} measurements to go; next ${step.commit.slice(0, 9)}`);
    outcomes.set(step.commit, await measure(step.commit, judge, progress));
  }
}

interface BisectOptions {
  readonly good: string;
  readonly bad: string;
  readonly profile: string;
  readonly stack: string;
  readonly image?: string;
  readonly gate: "benchmark" | "perplexity";
  readonly json?: boolean;
}

/** `bisect --good REF --bad REF --profile P`: which upstream commit made a profile slower or worse, by the gates' own measure. Changes no pin and no stack. */
export function bisectCommand(): Command {
  return new Command("bisect")
    .description("find the llama.cpp commit that made a profile slower or worse")
    .requiredOption("--good <ref>", "tag or full commit that was fine")
    .requiredOption("--bad <ref>", "tag or full commit that is not")
    .requiredOption("--profile <id>", "profile that shows it, as in configs/llama-cpp-<id>.env")
    .option("--stack <name>", "stack whose device, models and thresholds apply", "bench")
    .option("--image <name>", "image of configs/images.yaml whose backend and bases are built (default: the profile's)")
    .addOption(
      new Option("--gate <name>", "benchmark: slower; perplexity: worse").choices(["benchmark", "perplexity"]).default("benchmark"),
    )
    .option("--json", "print one JSON document")
    .action(async (options: BisectOptions) => {
      const { suspects, subjects } = await runBisect(options);
      if (options.json === true) process.stdout.write(`${JSON.stringify({ suspects })}\n`);
      else process.stdout.write(`${describeSuspects(suspects, subjects)}\n`);
    });
}

/** Ctrl-C and SIGTERM end the search by its own clean-up: no container and no volume stays behind. */
function stopSignal(): AbortSignal {
  const abort = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => abort.abort(new Error(`stopped by ${name}`)));
  return abort.signal;
}

async function runBisect(options: BisectOptions): Promise<{ suspects: readonly string[]; subjects: readonly string[] }> {
  const signal = stopSignal();
  await using judge = await GateJudge.open(options, log, signal);
  const good = await resolveRemoteRef(judge.repo, options.good, signal);
  const bad = await resolveRemoteRef(judge.repo, options.bad, signal);
  await using history = await History.open(judge.repo);
  const commits = await history.between(good.commit, bad.commit, signal);
  log(`${commits.length} commits between ${options.good} and ${options.bad}`);
  const { suspects } = await bisectCommits(good.commit, commits, judge, log);
  return { suspects, subjects: await Promise.all(suspects.map((commit) => history.subject(commit))) };
}

function describeSuspects(suspects: readonly string[], subjects: readonly string[]): string {
  const lines = suspects.map((commit, index) => `${commit} ${subjects[index] ?? ""}`);
  if (lines.length === 1) return `first bad commit: ${lines[0] ?? ""}`;
  return `one of these ${lines.length} commits, which could not all be measured:\n${lines.join("\n")}`;
}
