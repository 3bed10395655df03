import { Command, InvalidArgumentError, Option } from "commander";
import { isDrift } from "../../plan/drift/finding.ts";
import { exitCodeOf, formatReport, type DriftReport } from "../../plan/drift/report.ts";
import { connectDocker } from "../docker/host.ts";
import { checkDrift, type CheckOptions } from "../drift/check.ts";
import { notify, type Hooks } from "../drift/notify.ts";
import { redeploy, whileAlone, type Redeployment } from "../drift/redeploy.ts";
import { timerCommand } from "../drift/timer.ts";
import { describeError, log } from "../program.ts";
import { removeTornAttributes } from "../rollout/state-attributes.ts";

interface DriftOptions {
  readonly stack: string;
  readonly json?: boolean;
  readonly speed?: boolean;
  readonly redeploy?: boolean;
  readonly deadline: number;
  readonly hash: "auto" | "always" | "never";
  readonly hashDays: number;
  readonly notifyCommand?: string;
  readonly notifyUrl?: string;
}

/** Seconds that a short completion may take: it waits behind the requests of others. */
const defaultDeadlineSec = 30;
/** Days after which a model file is read whole although its metadata did not change. */
const defaultHashDays = 7;
const dayMs = 24 * 3600 * 1000;

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError("expected a number greater than 0");
  return value;
}

/** `npm run drift`: what a stack's host has that was not deployed, and the way back through the gates. */
export function driftCommand(): Command {
  return new Command("drift")
    .description("compare a stack's host with what was deployed; exit code 0: the same, 2: drift, 1: could not be looked at, 3: usage")
    .option("-s, --stack <stack>", "stack name", "dev")
    .option("--json", "print the report as JSON")
    .option("--speed", "also probe the decode speed, which takes some seconds and generates tokens")
    .option("--redeploy", "bring the stack back through its gates; without it nothing is changed")
    .addOption(new Option("--deadline <seconds>", "longest wait for a short completion").default(defaultDeadlineSec).argParser(positive))
    .addOption(
      new Option("--hash <when>", "when model files are read whole; auto: after a change and every --hash-days")
        .choices(["auto", "always", "never"])
        .default("auto"),
    )
    .addOption(
      new Option("--hash-days <days>", "days between two readings of an unchanged file").default(defaultHashDays).argParser(positive),
    )
    .option("--notify-command <command>", "shell command that gets the JSON of a report with drift on its standard input")
    .addOption(
      new Option("--notify-url <url>", "address that the JSON of a report with drift is posted to; never shown").env(
        "LLM_SERVER_NOTIFY_URL",
      ),
    )
    .action(run)
    .addCommand(timerCommand());
}

async function run(options: DriftOptions): Promise<void> {
  const hooks: Hooks = { command: options.notifyCommand, url: options.notifyUrl };
  try {
    const { report, redeployment } =
      options.redeploy === true ? await checkAndRedeploy(options) : { report: await check(options), redeployment: null };
    const document = redeployment === null ? report : { ...report, redeployment };
    process.stdout.write(options.json === true ? `${JSON.stringify(document, null, 2)}\n` : formatReport(report));
    if (typeof redeployment?.problem === "string") log(`drift: the redeployment failed: ${redeployment.problem}`);
    process.exitCode = redeployment?.isDone === false ? 1 : exitCodeOf(report);
    if (report.isDrift || redeployment !== null) await notify(hooks, document);
  } catch (error) {
    await notify(hooks, { version: 1, stack: options.stack, error: describeError(error) });
    throw error;
  }
}

function check({ stack, deadline, hash, hashDays, speed }: DriftOptions, ownLock?: string): Promise<DriftReport> {
  const options: CheckOptions = {
    deadlineMs: deadline * 1000,
    hash: { mode: hash, everyMs: hashDays * dayMs },
    withSpeed: speed === true,
    ownLock,
  };
  return checkDrift(connectDocker(null), stack, options);
}

/** Checks, mends, and checks again: the last report is what counts. */
async function checkAndRedeploy(options: DriftOptions): Promise<{ report: DriftReport; redeployment: Redeployment | null }> {
  const docker = connectDocker(null);
  await removeTornAttributes((line) => log(`redeploy: ${line}`)); // with one of them, no pulumi command reads the stack
  return whileAlone(docker, options.stack, async (lock) => {
    const before = await check(options, lock);
    if (before.activity.kind === "running" || !isDrift(before.findings)) return { report: before, redeployment: null };
    log(formatReport(before));
    const redeployment = await redeploy(docker, options.stack, before.findings);
    return { report: await check(options, lock), redeployment };
  });
}
