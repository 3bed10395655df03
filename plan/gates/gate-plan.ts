import type { ScenarioSet } from "../benchmark/protocol.ts";
import { corpusOf, type Corpora, type Corpus } from "../config/corpora.ts";
import type { StackConfig } from "../config/stack-config.ts";
import type { ModelFilePlan } from "../models/store.ts";
import { hashOf } from "../release.ts";
import type { DeviceConfig } from "../server-container.ts";
import { promptsOf, questionSetOf, type Questions } from "./answers-questions.ts";
import type { AnswersInput, BenchmarkInput, PerplexityInput } from "./gate-input.ts";
import type { StatedSpeeds } from "./stated-speeds.ts";
import type { AnswersThresholds } from "./thresholds.ts";

/** What a gate's input gets only when resources exist: the rest is planned. */
type Late = "releaseId" | "imageId" | "modelSha256" | "helperImage" | "evidenceVolume" | "rollout";

/** Input of the benchmark gate but for what the resources bring. */
export type BenchmarkPlan = Omit<BenchmarkInput, Late | "container">;

/** Input of the answers gate but for what the resources bring. */
export type AnswersPlan = Omit<AnswersInput, Late | "container">;

/** Input of the perplexity gate but for what the resources bring; `key` names everything that moves perplexity and is known before an image is built. */
export interface PerplexityPlan {
  readonly key: string;
  /** Whether an image that became another one out of the same inputs is measured again: not for a release that has passed with the one it runs from. */
  readonly measuresNewImage: boolean;
  readonly input: Omit<PerplexityInput, Late | "modelVolume" | "corpus">;
  readonly corpus: Corpus;
}

interface Subject {
  readonly stack: string;
  readonly profile: string;
  readonly flags: Readonly<Record<string, string>>;
  readonly device: DeviceConfig;
}

/** Folder of the result files, relative to the project. */
const resultsFolder = "benchmarks";

/** The benchmark gate of one release; `stated` are committed speeds of its profile, for a host that measures it for the first time. */
export function planBenchmark(
  subject: Subject,
  config: StackConfig["gates"]["benchmark"],
  protocol: ScenarioSet,
  stated: StatedSpeeds | null = null,
): BenchmarkPlan {
  return {
    gate: "benchmark",
    stack: subject.stack,
    profile: subject.profile,
    flags: { ...subject.flags },
    host: null,
    dryRun: config.dryRun,
    deadlineSec: config.timeoutSec,
    apiKeyFile: null,
    scenarioSet: config.scenarioSet,
    protocol,
    thresholds: config.thresholds,
    resultsFolder,
    stated,
    committedBaseline: null,
  };
}

/** What a stack's configuration says of its answers gate; `reference` is a committed one, used while the Docker host has none. */
export interface AnswersConfig {
  readonly questions: string;
  readonly timeoutSec: number;
  readonly dryRun: boolean;
  readonly reference?: string | undefined;
  readonly thresholds: AnswersThresholds;
}

/**
 * The answers gate of one release of a model family.
 * @throws {ConfigError} if there is no such set of questions
 */
export function planAnswers(subject: Subject & { readonly family: string }, config: AnswersConfig, questions: Questions): AnswersPlan {
  const set = questionSetOf(questions, config.questions);
  const { generateTokens, topTokens, requestTimeoutSec, readyTimeoutSec } = set;
  return {
    gate: "answers",
    stack: subject.stack,
    profile: subject.profile,
    flags: { ...subject.flags },
    host: null,
    dryRun: config.dryRun,
    deadlineSec: config.timeoutSec,
    apiKeyFile: null,
    prompts: promptsOf(set),
    generateTokens,
    topTokens,
    requestTimeoutSec,
    readyTimeoutSec,
    thresholds: config.thresholds,
    family: subject.family,
    committedReference: config.reference ?? null,
  };
}

/** Flags of the server that move perplexity or its need of memory, with their names on llama-perplexity's command line. */
const perplexityFlags: Readonly<Record<string, string>> = {
  LLAMA_ARG_CACHE_TYPE_K: "--cache-type-k",
  LLAMA_ARG_CACHE_TYPE_V: "--cache-type-v",
  LLAMA_ARG_FLASH_ATTN: "--flash-attn",
  LLAMA_ARG_N_GPU_LAYERS: "--n-gpu-layers",
  LLAMA_ARG_N_CPU_MOE: "--n-cpu-moe",
};
/** Of those, what only places tensors: the numbers stay the same, so the gate's key leaves them out. */
const placementFlags = new Set(["LLAMA_ARG_N_GPU_LAYERS", "LLAMA_ARG_N_CPU_MOE"]);

interface PerplexitySubject extends Subject {
  /** Hash of the image's build inputs. */
  readonly imageInputs: string;
  readonly family: string;
  readonly files: readonly ModelFilePlan[];
  /** Whether the release took traffic before, and goes on with the image that it has. */
  readonly isKnown: boolean;
}

/** The perplexity gate of one image, model and cache type: a change of placement, slots or batch alone does not run it again. */
export function planPerplexity(subject: PerplexitySubject, config: StackConfig["gates"]["perplexity"], corpora: Corpora): PerplexityPlan {
  const { flags, device, files } = subject;
  const corpus = corpusOf(corpora, config.corpus);
  const named = Object.entries(perplexityFlags).flatMap(([env, name]) =>
    flags[env] === undefined ? [] : [{ env, words: [name, flags[env]] }],
  );
  const numeric = named.filter(({ env }) => !placementFlags.has(env)).map(({ words }) => words);
  const models = files.map(({ id, sha256 }) => sha256 ?? id);
  const key = hashOf([subject.imageInputs, models, numeric, corpus.sha256, config.contextTokens, config.chunks]).slice(0, 10);
  return {
    key,
    measuresNewImage: !subject.isKnown,
    corpus,
    input: {
      gate: "perplexity",
      stack: subject.stack,
      profile: subject.profile,
      flags: { ...flags },
      host: null,
      dryRun: config.dryRun,
      deadlineSec: config.timeoutSec,
      modelPath: files[0]?.path ?? "",
      ctxSize: config.contextTokens,
      chunks: config.chunks,
      arguments: named.flatMap(({ words }) => words),
      memoryMiB: device.memoryMiB,
      cpus: device.cpus ?? null,
      gpus: [...device.gpus],
      thresholds: config.thresholds,
      family: subject.family,
      committedReference: config.reference ?? null,
    },
  };
}
