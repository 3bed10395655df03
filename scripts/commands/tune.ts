import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { Command, InvalidArgumentError } from "commander";
import { slug } from "../../plan/bench/variants.ts";
import { flagSpecs } from "../../plan/config/flags.ts";
import { removeInterrupted } from "../bench/interrupted.ts";
import { requestKey } from "../bench/journal-file.ts";
import { stopOnSignal } from "../bench/stop-signal.ts";
import { projectDir } from "../paths.ts";
import { log } from "../program.ts";
import { benchJudge, roofline } from "../tune/judges.ts";
import { readTuneInput, type TuneInput } from "../tune/read.ts";
import { tune, type TuneResult } from "../tune/run.ts";
import { afterStop, benchSurroundings, pauseStack, refuseOccupied } from "./bench.ts";

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
  readonly pause?: string;
  readonly simulate?: boolean;
  readonly write?: string;
  readonly fresh?: boolean;
  readonly json?: boolean;
}

/** What a planned speed may be off by, per cent: the roofline is within 3 % of the seed's rows. @see plan/memory/speed.ts */
const planErrorPercent = 3;
const inconclusiveExitCode = 2;
const usageExitCode = 3;

/** `npm run tune`: searches the fastest profile of a model that fits a card. */
export function tuneCommand(): Command {
  return new Command("tune")
    .description("search placement, ubatch, slots, cache types and --fit for a model and a card: the planner filters, benches judge")
    .requiredOption("--model <id>", "model of configs/models.yaml that a profile serves")
    .requiredOption("--vram <MiB>", "memory of the GPU", parseWhole)
    .option("--ram <MiB>", "memory of the host that servers may use; not judged if it isn't given", parseWhole)
    .option("--profile <id>", "profile to start from; else the model's one that is planned to be the fastest")
    .option("--image <name>", "image of configs/images.yaml instead of the profile's")
    .option("--ubatch <list>", "ubatch sizes, tokens", numbersOf("LLAMA_ARG_UBATCH"), [512, 1024, 2048, 4096])
    .option("--slots <list>", "numbers of slots; else the profile's: fewer serve fewer callers at once", numbersOf("LLAMA_ARG_N_PARALLEL"))
    .option("--cache-types <list>", "types of the KV cache; those below q8_0 cost quality", valuesOf("LLAMA_ARG_CACHE_TYPE_K"), [
      "q8_0",
      "f16",
    ])
    .option("--no-fit", "leave --fit out")
    .option("--budget <minutes>", "time for benches", parseWhole, 240)
    .option("--settings <stack>", "whose Pulumi.<stack>.yaml the benches share", "bench")
    .option("--simulate", "believe the planner's roofline instead of benching")
    .option("--pause <stack>", "stop this stack's server for the time of the search and start it again: its requests wait")
    .option("--write <id>", "write the proposal to configs/llama-cpp-<id>.env", parseNewId)
    .option("--fresh", "begin anew where an earlier search was interrupted")
    .option("--json", "print everything as JSON")
    .addHelpText("after", "\nExit codes: 0 a profile is proposed, 1 an error, 2 nothing could be measured, 3 usage.")
    .action(tuneAction);
}

async function tuneAction(options: TuneOptions): Promise<void> {
  const { vram } = options;
  const input = await readInput(options);
  if (typeof input === "string") {
    log(input);
    process.exitCode = usageExitCode;
    return;
  }
  const slots = options.slots ?? [Number(input.base.flags["LLAMA_ARG_N_PARALLEL"] ?? 1)];
  const axes = { ubatch: options.ubatch, slots, cacheTypes: options.cacheTypes, fit: options.fit && input.memory.budget.gpus.length > 0 };
  const signal = stopOnSignal(afterStop(options.pause));
  const surroundings = options.simulate === true ? null : await benchSurroundings(options.settings);
  if (surroundings !== null) {
    await removeInterrupted(surroundings, log);
    await refuseOccupied(surroundings, [], options.pause);
  }
  await using pause =
    surroundings === null || options.pause === undefined ? undefined : await pauseStack(surroundings.docker, options.pause, signal);
  const judge =
    surroundings === null
      ? roofline
      : benchJudge(input.base.id, {
          ...surroundings,
          key: requestKey([input.base.id, input.start, input.memory.budget, axes, surroundings.settings]),
          isFresh: options.fresh === true,
          pulumi: { env: pause?.env ?? {} },
        });
  const ask = { vramMiB: vram, date: new Date().toISOString().slice(0, 10) };
  const result = await tune(input, axes, { budgetSec: options.budget * 60, planErrorPercent }, judge, ask, signal);
  if (options.write !== undefined && result.profile !== null) await writeProposal(options.write, result.profile);
  process.stdout.write(options.json === true ? `${JSON.stringify(result, null, 2)}\n` : format(result));
  if (result.best === null) process.exitCode = inconclusiveExitCode;
}

/** What is tuned, or what is wrong with the arguments. */
async function readInput({ model, vram, ram, profile, image }: TuneOptions): Promise<TuneInput | string> {
  try {
    return await readTuneInput({
      folder: projectDir,
      model,
      vramMiB: vram,
      ...(ram === undefined ? {} : { hostMiB: ram }),
      ...(profile === undefined ? {} : { profile }),
      ...(image === undefined ? {} : { image }),
    });
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
}

const profileFile = (id: string): string => `configs/llama-cpp-${id}.env`;

async function writeProposal(id: string, text: string): Promise<void> {
  const file = profileFile(id);
  await writeFile(join(projectDir, file), text, { flag: "wx" }); // one may have been written meanwhile
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

/** Values of a flag, joined by commas, as a profile may have them. */
const valuesOf =
  (env: string) =>
  (text: string): string[] =>
    text.split(",").map((value) => {
      const spec = flagSpecs.get(env);
      const canonical = spec?.value.canonical(value);
      if (typeof canonical === "string") return canonical;
      throw new InvalidArgumentError(`got "${value}", expected ${spec?.value.allowed ?? "nothing"}; several are joined by commas`);
    });

const numbersOf =
  (env: string) =>
  (text: string): number[] =>
    valuesOf(env)(text).map(Number);

/** An id that no profile has yet: what somebody wrote is not written over. */
function parseNewId(id: string): string {
  if (slug(id) !== id) throw new InvalidArgumentError("expected lower case, digits and single dashes");
  if (existsSync(join(projectDir, profileFile(id))))
    throw new InvalidArgumentError(`${profileFile(id)} is there already; choose another id`);
  return id;
}
