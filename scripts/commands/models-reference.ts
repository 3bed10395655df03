import { join } from "node:path";
import process from "node:process";
import { Command } from "commander";
import type { PerplexityReference } from "../../plan/gates/reference.ts";
import { writeFormattedJson } from "../config/formatted.ts";
import { openEvidence } from "../gates/evidence.ts";
import { checksumOf, findModel, QualityRun, untilStopped, type QualityOptions } from "../gates/quality-run.ts";
import { findReference, storeReference } from "../gates/references.ts";
import { projectDir } from "../paths.ts";
import { log } from "../program.ts";
import { wholeNumber } from "./arguments.ts";

interface Options extends QualityOptions {
  readonly stack: string;
  readonly family?: string;
  readonly write?: string;
  readonly note?: string;
  readonly json?: boolean;
}

/** `npm run models -- reference MODEL`: records what the perplexity of a model family is compared with. */
export function referenceCommand(): Command {
  return new Command("reference")
    .description("record the perplexity reference of a model's family on a corpus: later gates of the stack compare with it")
    .argument("<model>", "id of configs/models.yaml in the stack's models, or the absolute path of a .gguf file on the Docker host")
    .option("-s, --stack <stack>", "stack whose image, models and evidence volume are meant", "dev")
    .option("--family <name>", "family that a file by its path belongs to; default: that of the stack's model")
    .option("--corpus <name>", "corpus of configs/corpora.yaml; default: the stack's")
    .option("--chunks <n>", "chunks of the corpus; more than the stack's serve it too; default: the stack's", wholeNumber(2))
    .option("--context <tokens>", "tokens per chunk; default: the stack's", wholeNumber(8))
    .option("--write <file>", "write it to a file of the project too, to be committed, e.g. configs/references/<family>-<corpus>.json")
    .option("--note <text>", "what a reader should know")
    .option("--json", "print it as JSON")
    .action(record);
}

async function record(name: string, options: Options): Promise<void> {
  const signal = untilStopped();
  await using evidence = await openEvidence(options.stack, "models-reference");
  const { plan, store } = evidence;
  const run = await QualityRun.prepare(evidence, options, signal);
  const model = await findModel(name, plan, run.docker);
  const family = model.family ?? options.family ?? plan.perplexity.input.family;
  const corpus = { name: run.corpus.name, sha256: run.text.sha256 };
  const fit = { family, corpus, ctxSize: run.ctxSize, chunks: run.chunks };
  const { found: before } = await findReference(store, plan.perplexity.input.committedReference, fit);
  log(`models: ${model.name}, ${run.chunks} chunks of ${run.ctxSize} tokens of ${corpus.name}`);
  const { chunks, finalPerplexity } = await run.measure(model);
  const reference: PerplexityReference = {
    version: 1,
    family,
    corpus,
    ctxSize: run.ctxSize,
    chunks: [...chunks],
    finalPerplexity,
    modelSha256: await checksumOf(model, plan, run.docker),
    imageId: run.imageId,
    arguments: plan.perplexity.input.arguments,
    recordedAt: new Date().toISOString(),
    ...(options.note === undefined ? {} : { note: options.note }),
  };
  const path = await storeReference(store, reference);
  if (options.write !== undefined) await writeFormattedJson(join(projectDir, options.write), reference);
  const text = [
    `${family} on ${corpus.name}: perplexity ${finalPerplexity} of ${model.name} is the reference of stack ${options.stack} now: ${path}`,
    before === undefined ? "there was none before" : `before: ${before.reference.finalPerplexity}, ${before.name}`,
  ].join("\n");
  process.stdout.write(
    options.json === true ? `${JSON.stringify({ path, before: before?.name ?? null, reference }, null, 2)}\n` : `${text}\n`,
  );
}
