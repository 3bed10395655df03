import process from "node:process";
import { Command } from "commander";
import {
  exitCodeOfQuality,
  failedQualityRow,
  formatQuality,
  planQualityRow,
  type QualityReference,
  type QualityRow,
} from "../../plan/gates/quality.ts";
import type { PerplexityReading } from "../../plan/gates/perplexity-gate.ts";
import { openEvidence, type StackEvidence } from "../gates/evidence.ts";
import { findModel, QualityRun, untilStopped, type MeasurableModel, type QualityOptions } from "../gates/quality-run.ts";
import { findReference } from "../gates/references.ts";
import { describeError, log } from "../program.ts";
import { wholeNumber } from "./arguments.ts";

interface Options extends QualityOptions {
  readonly stack: string;
  readonly recorded?: boolean;
  readonly json?: boolean;
}

/** `npm run quality`: the perplexity of several quants of a model, as a table. */
export function qualityCommand(): Command {
  return new Command("quality")
    .description("perplexity of quants of a model, each against the first one, paired per chunk: a table with verdicts")
    .argument("<models...>", "ids of configs/models.yaml in the stack's models, or absolute paths of .gguf files on the Docker host")
    .option("-s, --stack <stack>", "stack whose image, models and corpus are used", "dev")
    .option("--recorded", "compare all with the family's recorded reference (npm run models -- reference), not with the first")
    .option("--corpus <name>", "corpus of configs/corpora.yaml; default: the stack's")
    .option("--chunks <n>", "chunks of the corpus; default: the stack's", wholeNumber(2))
    .option("--context <tokens>", "tokens per chunk; default: the stack's", wholeNumber(8))
    .option("--json", "print it as JSON")
    .addHelpText("after", "\nExit codes: 0 all within the margin, 1 one is not or could not be measured, 2 too few chunks to tell, 3 usage")
    .action(compare);
}

async function compare(names: readonly string[], options: Options): Promise<void> {
  const signal = untilStopped();
  await using evidence = await openEvidence(options.stack, "quality");
  const { alpha, quantMarginPercent: marginPercent } = evidence.plan.perplexity.input.thresholds;
  const run = await QualityRun.prepare(evidence, options, signal);
  const models: MeasurableModel[] = [];
  for (const name of names) models.push(await findModel(name, evidence.plan, run.docker));
  let reference = options.recorded === true ? await recordedReference(evidence, run, models[0]) : null;
  const rows: QualityRow[] = [];
  for (const [index, model] of models.entries()) {
    log(`quality: ${index + 1} of ${models.length}: ${model.name}, ${run.chunks} chunks of ${run.ctxSize} tokens of ${run.corpus.name}`);
    const reading = await measure(run, model, signal);
    if (typeof reading === "string") {
      rows.push(failedQualityRow(model.name, reading));
      if (index === 0 && reference === null) break; // nothing is left to compare the others with
      continue;
    }
    const isReference = reference === null;
    reference ??= { name: model.name, chunks: reading.chunks };
    rows.push(planQualityRow(model.name, reading, reference, { alpha, marginPercent }, isReference));
  }
  const { corpus, chunks, ctxSize } = run;
  const document = { stack: options.stack, corpus: { name: corpus.name, sha256: run.text.sha256 }, chunks, ctxSize, imageId: run.imageId };
  process.stdout.write(
    options.json === true
      ? `${JSON.stringify({ ...document, against: reference?.name ?? null, marginPercent, alpha, rows }, null, 2)}\n`
      : `${formatQuality(rows, reference, { marginPercent, alpha })}\n`,
  );
  process.exitCode = exitCodeOfQuality(rows);
}

/** What was measured, or why it could not be. @throws {Error} if the run was stopped */
async function measure(run: QualityRun, model: MeasurableModel, signal: AbortSignal): Promise<PerplexityReading | string> {
  try {
    return await run.measure(model);
  } catch (error) {
    signal.throwIfAborted();
    return describeError(error).replaceAll(/\s*\n\s*/g, " | ");
  }
}

/** The family's reference in the volume, else the committed one. @throws {Error} if none applies, saying why */
async function recordedReference(
  { plan, store }: StackEvidence,
  run: QualityRun,
  model: MeasurableModel | undefined,
): Promise<QualityReference> {
  const family = model?.family ?? plan.perplexity.input.family;
  const fit = { family, corpus: { name: run.corpus.name, sha256: run.text.sha256 }, ctxSize: run.ctxSize, chunks: run.chunks };
  const { found, refused } = await findReference(store, plan.perplexity.input.committedReference, fit);
  if (found !== undefined) return { name: found.name, chunks: found.reference.chunks };
  const record = `record one: npm run models -- reference ${model?.name ?? "MODEL"} --stack ${plan.stack}`;
  throw new Error(`--recorded: no reference for ${family} on ${run.corpus.name} applies; ${[...refused, record].join("; ")}`);
}
