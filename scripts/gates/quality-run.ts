import { readFile } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, posix } from "node:path";
import process from "node:process";

import type Docker from "dockerode";

import { corpusOf, parseCorpora, type Corpus } from "../../plan/config/corpora.ts";
import { parseModels } from "../../plan/config/models.ts";
import type { PerplexityReading } from "../../plan/gates/perplexity-gate.ts";
import { planModelFiles } from "../../plan/models/store.ts";
import { baseImage, type StackPlan } from "../../plan/stack.ts";
import { Helper, storeDir } from "../docker/helper.ts";
import { connectDocker, dockerStatus } from "../docker/host.ts";
import { projectDir } from "../paths.ts";
import { log } from "../program.ts";
import { readCorpus, type CorpusText } from "./corpus.ts";
import type { StackEvidence } from "./evidence.ts";
import { measurePerplexity } from "./perplexity-run.ts";

/** A model file that can be measured: `mount` is a volume or a folder of the Docker host, `path` is below it. */
export interface MeasurableModel {
  readonly name: string;
  /** Null for a file that `configs/models.yaml` does not list. */
  readonly family: string | null;
  readonly mount: string;
  readonly path: string;
  readonly sha256: string | null;
}

/** How much of which text is measured; what is undefined is as the stack's gate has it. */
export interface QualityOptions {
  readonly corpus?: string | undefined;
  readonly chunks?: number | undefined;
  readonly context?: number | undefined;
}

/** Aborts when this process is told to stop, so that what it started is removed before it ends. */
export function untilStopped(): AbortSignal {
  const abort = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => abort.abort(new Error(`stopped by ${name}`)));
  return abort.signal;
}

/**
 * A model by its id in `configs/models.yaml`, in the stack's models, or a GGUF file of the Docker host by its path.
 * @throws {Error} if it is neither, or not there
 */
export async function findModel(text: string, plan: StackPlan, docker: Docker): Promise<MeasurableModel> {
  const models = parseModels(await readFile(join(projectDir, "configs", "models.yaml"), "utf8"));
  const entry = Object.hasOwn(models, text) ? models[text] : undefined;
  const file = entry === undefined ? undefined : planModelFiles(text, entry)[0];
  const found: MeasurableModel =
    entry !== undefined && file !== undefined
      ? { name: text, family: entry.family, mount: plan.volume.source, path: file.path, sha256: file.sha256 ?? null }
      : fileModel(text, Object.keys(models));
  if (await isThere(found, plan, docker)) return found;
  throw new Error(
    `model ${text}: no ${found.path} in ${found.mount}; fetch it with a stack that serves it, or give the path of a file that is there`,
  );
}

async function isThere({ mount, path }: MeasurableModel, { stack }: StackPlan, docker: Docker): Promise<boolean> {
  const hostPath = isAbsolute(mount) ? mount : undefined;
  try {
    await using helper = await Helper.start(docker, baseImage, { stack, source: mount, hostPath });
    return (await helper.run(["test", "-f", posix.join(storeDir, path)])).code === 0;
  } catch (error) {
    if (dockerStatus(error) === 400 && hostPath !== undefined) return false; // Docker refuses to mount a folder that is not there
    throw error;
  }
}

function fileModel(text: string, ids: readonly string[]): MeasurableModel {
  if (!isAbsolute(text) || !text.endsWith(".gguf"))
    throw new Error(
      `model: got ${JSON.stringify(text)}, expected an id of configs/models.yaml (${ids.join(", ")}) or the absolute path of a .gguf file on the Docker host`,
    );
  return { name: basename(text), family: null, mount: dirname(text), path: basename(text), sha256: null };
}

/** Checksum of a model's file, read where it is. */
export async function checksumOf({ mount, path, sha256 }: MeasurableModel, plan: StackPlan, docker: Docker): Promise<string> {
  if (sha256 !== null) return sha256;
  log(`reading ${path} for its checksum`);
  const hostPath = isAbsolute(mount) ? mount : undefined;
  await using helper = await Helper.start(docker, baseImage, { stack: plan.stack, source: mount, hostPath });
  return (await helper.read(["sha256sum", posix.join(storeDir, path)])).slice(0, 64);
}

/** `llama-perplexity` of a stack's image on its corpus, for any model. */
export class QualityRun {
  readonly docker = connectDocker(null);
  readonly corpus: Corpus;
  readonly chunks: number;
  readonly ctxSize: number;
  readonly imageId: string;
  readonly text: CorpusText;
  readonly #plan: StackPlan;
  readonly #signal: AbortSignal;

  private constructor(plan: StackPlan, text: CorpusText, imageId: string, options: QualityOptions, corpus: Corpus, signal: AbortSignal) {
    this.corpus = corpus;
    this.chunks = options.chunks ?? plan.perplexity.input.chunks;
    this.ctxSize = options.context ?? plan.perplexity.input.ctxSize;
    this.imageId = imageId;
    this.text = text;
    this.#plan = plan;
    this.#signal = signal;
  }

  /** @throws {Error} if the stack's image is not on the Docker host, or the corpus can't be had */
  static async prepare({ plan, store }: StackEvidence, options: QualityOptions, signal: AbortSignal): Promise<QualityRun> {
    const imageId = await imageOf(plan);
    const corpora = parseCorpora(await readFile(join(projectDir, "configs", "corpora.yaml"), "utf8"));
    const corpus = options.corpus === undefined ? plan.perplexity.corpus : corpusOf(corpora, options.corpus);
    const text = await readCorpus(corpus, { store, signal, startedAt: new Date().toISOString(), progress: log });
    return new QualityRun(plan, text, imageId, options, corpus, signal);
  }

  /** Perplexity of one model, chunk by chunk. @throws {Error} if the tool fails or its output does not read as expected */
  async measure({ mount, path }: MeasurableModel): Promise<PerplexityReading> {
    const { input } = this.#plan.perplexity;
    const run = { ...input, imageId: this.imageId, modelVolume: mount, modelPath: path, ctxSize: this.ctxSize, chunks: this.chunks };
    return measurePerplexity(run, this.text, { docker: this.docker, signal: this.#signal, evidence: {} });
  }
}

async function imageOf({ stack, image }: StackPlan): Promise<string> {
  try {
    return (await connectDocker(null).getImage(image.tag).inspect()).Id;
  } catch (cause) {
    if (dockerStatus(cause) !== 404) throw cause;
    throw new Error(`image ${image.tag} is not on the Docker host; build it: npm run up -- ${stack}`, { cause });
  }
}
