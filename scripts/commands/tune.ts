import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { Command, InvalidArgumentError } from "commander";
import { parseProfile } from "../../plan/config/profile.ts";
import { projectDir } from "../paths.ts";
import { log } from "../program.ts";
import { benchJudge, roofline, type Judge } from "../tune/judges.ts";
import { readTuneInput, type TuneInput } from "../tune/read.ts";
import { tune, type TuneResult } from "../tune/run.ts";
import { benchSurroundings } from "./bench.ts";

interface TuneOptions {
  readonly model: string;
  readonly vram: number;
  readonly ram?: number;
  readonly profile?: string;
  readonly image?: string;
  readonly ubatch: readonly number[];
  readonly slots?: readonly number[];
  readonly cacheTypes: readonly string[];
  readonly fit: boolean;
  readonly budget: number;
  readonly settings: string;
  readonly simulate?: boolean;
  readonly write?: string;
  readonly json?: boolean;
}

/** What a planned speed may be off by, per cent: the roofline is within 3 % of the seed's rows. @see plan/memory/speed.ts */
const planErrorPercent = 3;
const inconclusiveExitCode = 2;

/** `npm run tune`: searches the fastest profile of a model that fits a card. */
export function tuneCommand(): Command {
  return new Command("tune")
    .description("search placement, ubatch, slots, cache types and --fit for a model and a card: the planner filters, benches judge")
    .requiredOption("--model <id>", "model of configs/models.yaml that a profile serves")
    .requiredOption("--vram <MiB>", "memory of the GPU", parseWhole)
    .option("--ram <MiB>", "memory of the host that servers may use; not judged if it isn't given", parseWhole)
    .option("--profile <id>", "profile to start from; else the model's one that is planned to be the fastest")
    .option("--image <name>", "image of configs/images.yaml instead of the profile's")
    .option("--ubatch <list>", "ubatch sizes, tokens", parseList, [512, 1024, 2048, 4096])
    .option("--slots <list>", "numbers of slots; else the profile's: fewer serve fewer callers at once", parseList)
    .option("--cache-types <list>", "types of the KV cache; those below q8_0 cost quality", parseWords, ["q8_0", "f16"])
    .option("--no-fit", "leave --fit out")
    .option("--budget <minutes>", "time for benches", parseWhole, 240)
    .option("--settings <stack>", "whose Pulumi.<stack>.yaml the benches share", "bench")
    .option("--simulate", "believe the planner's roofline instead of benching")
    .option("--write <id>", "write the proposal to configs/llama-cpp-<id>.env")
    .option("--json", "print everything as JSON")
    .addHelpText("after", "\nExit codes: 0 a profile is proposed, 1 an error, 2 nothing could be measured, 3 usage.")
    .action(tuneAction);
}

async function tuneAction(options: TuneOptions): Promise<void> {
  const { model, vram, ram, profile, image } = options;
  const input = await readTuneInput({
    folder: projectDir,
    model,
    vramMiB: vram,
    ...(ram === undefined ? {} : { hostMiB: ram }),
    ...(profile === undefined ? {} : { profile }),
    ...(image === undefined ? {} : { image }),
  });
  const slots = options.slots ?? [Number(input.base.flags["LLAMA_ARG_N_PARALLEL"] ?? 1)];
  const axes = { ubatch: options.ubatch, slots, cacheTypes: options.cacheTypes, fit: options.fit && input.memory.budget.gpus.length > 0 };
  const abort = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => abort.abort(new Error(`stopped by ${name}`)));
  const judge = options.simulate === true ? roofline : await realJudge(input, options.settings);
  const ask = { vramMiB: vram, date: new Date().toISOString().slice(0, 10) };
  const result = await tune(input, axes, { budgetSec: options.budget * 60, planErrorPercent }, judge, ask, abort.signal);
  if (options.write !== undefined && result.profile !== null) await writeProposal(options.write, result.profile);
  process.stdout.write(options.json === true ? `${JSON.stringify(result, null, 2)}\n` : format(result));
  if (result.best === null) process.exitCode = inconclusiveExitCode;
}

async function realJudge({ base }: TuneInput, settings: string): Promise<Judge> {
  const surroundings = await benchSurroundings(settings);
  return benchJudge(base.id, { ...surroundings, journal: "tune", isKept: false, isFresh: true });
}

async function writeProposal(id: string, text: string): Promise<void> {
  const file = `configs/llama-cpp-${id}.env`;
  parseProfile(text, { id, file });
  await writeFile(join(projectDir, file), text, { flag: "wx" }); // never over a profile that somebody wrote
  log(`tune: wrote ${file}`);
}

function format({ space, trials, stopped, findings, best, profile, isSimulated }: TuneResult): string {
  const lines = [
    `${space.planned} configurations planned, ${space.candidates} fit, ${trials.length} ${isSimulated ? "simulated" : "benched"}; stopped: ${stopped}`,
    ...space.refused.map((combination) => `nothing fits with ${combination}`),
    ...findings,
    ...(best === null ? ["nothing could be measured"] : [`best: ${best.candidate.label}`, "", profile ?? ""]),
  ];
  return `${lines.join("\n").trimEnd()}\n`;
}

function parseWhole(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("expected a whole number above 0");
  return Number(text);
}

const parseList = (text: string): number[] => text.split(",").map(parseWhole);

function parseWords(text: string): string[] {
  const words = text.split(",");
  if (!words.every((word) => /^[a-z][a-z0-9_]*$/.test(word)))
    throw new InvalidArgumentError("expected types joined by commas, e.g. q8_0,f16");
  return words;
}
