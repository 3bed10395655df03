import { readFile } from "node:fs/promises";

import { answersReferenceSchema } from "../../plan/gates/answers-gate.ts";
import type { AnswerPosition, AnswersReference } from "../../plan/gates/answers-gate.ts";
import type { AnswersInput } from "../../plan/gates/gate-input.ts";
import type { Comparison } from "../../plan/gates/verdict.ts";
import { labels } from "../../plan/names.ts";
import { describeError } from "../program.ts";
import { answer } from "./answers-run.ts";
import { answersFolder, answersKey } from "./answers-store.ts";
import { waitReady } from "./candidate.ts";
import type { ChatServer } from "./chat-client.ts";
import { isForgotten } from "./forgotten.ts";
import type { GateContext } from "./gate-program.ts";

/** A reference with where it came from. */
export interface FoundAnswers {
  readonly reference: AnswersReference;
  readonly comparedWith: Comparison;
}

/** What a running server answers to every prompt; `reference` as for `answer`, one for each prompt. */
export async function askAll(
  server: ChatServer,
  input: AnswersInput,
  reference: AnswersReference | undefined,
  signal: AbortSignal,
): Promise<AnswerPosition[][]> {
  const answers: AnswerPosition[][] = [];
  for (const [index, prompt] of input.prompts.entries())
    answers.push(await answer(server, prompt, reference?.answers[index], input, signal));
  return answers;
}

/** The server of a running container, once it answers. */
export async function readyServer(container: string, input: AnswersInput, context: GateContext): Promise<ChatServer> {
  const { apiKeyFile, readyTimeoutSec: timeoutSec } = input;
  const { server } = await waitReady(context.docker.getContainer(container), { apiKeyFile, timeoutSec, signal: context.signal });
  return server;
}

/** The stack's one other release that runs; undefined if there is none, or more than one, so that it can't be said which serves. */
async function findServing(input: AnswersInput, { docker }: GateContext): Promise<{ id: string; releaseId: string } | undefined> {
  const label = [`${labels.stack}=${input.stack}`, `${labels.role}=server`];
  const running = await docker.listContainers({ filters: { label, status: ["running"] } });
  const others = running.flatMap(({ Id: id, Labels }) => {
    const releaseId = Labels[labels.release];
    return releaseId === undefined || releaseId === input.releaseId ? [] : [{ id, releaseId }];
  });
  return new Set(others.map(({ releaseId }) => releaseId)).size === 1 ? others[0] : undefined;
}

/**
 * The answers of the release that serves, asked now and kept as the reference; undefined where none runs beside the candidate, or it does not
 * answer: then it has no answers to lose.
 */
async function askServing(input: AnswersInput, context: GateContext): Promise<FoundAnswers | undefined> {
  const serving = await findServing(input, context);
  if (serving === undefined) return undefined;
  const { id, releaseId } = serving;
  context.progress(`no reference answers yet: asking release ${releaseId}, which serves`);
  let answers: AnswerPosition[][];
  try {
    answers = await askAll(await readyServer(id, input, context), input, undefined, context.signal);
  } catch (error) {
    context.signal.throwIfAborted();
    context.progress(`release ${releaseId} runs but could not be asked: ${describeError(error)}`);
    return undefined;
  }
  const { startedAt: recordedAt } = context;
  const key = answersKey(input);
  const reference: AnswersReference = { version: 1, family: input.family, key, releaseId, modelSha256: null, recordedAt, answers };
  const name = await context.store.append(answersFolder(input), recordedAt, reference);
  return { reference, comparedWith: { source: "serving", name, recordedAt, releaseId } };
}

async function readCommitted(file: string, input: AnswersInput, context: GateContext): Promise<FoundAnswers | undefined> {
  const reference = answersReferenceSchema.parse(JSON.parse(await readFile(file, "utf8")));
  const { key, recordedAt, releaseId } = reference;
  if (key === answersKey(input)) return { reference, comparedWith: { source: "committed", name: file, recordedAt, releaseId } };
  context.progress(`${file} does not apply: it is of other prompts, lengths or family`);
  return undefined;
}

/**
 * What the candidate's answers are compared with: the reference in the volume, else the committed one, else the release that serves meanwhile.
 * Undefined on a first deploy. A reference that was reset counts as none.
 * @throws {Error} if one that is there doesn't read as a reference.
 */
export async function findAnswers(input: AnswersInput, context: GateContext): Promise<FoundAnswers | undefined> {
  const stored = await readAnswers(input, context);
  if (stored !== undefined) return stored;
  const committed = input.committedReference === null ? undefined : await readCommitted(input.committedReference, input, context);
  return committed ?? askServing(input, context);
}

async function readAnswers(input: AnswersInput, { store }: GateContext): Promise<FoundAnswers | undefined> {
  const stored = await store.latest(answersFolder(input));
  if (stored === undefined || isForgotten(stored.document)) return undefined;
  const reference = answersReferenceSchema.parse(stored.document);
  const { recordedAt, releaseId } = reference;
  return { reference, comparedWith: { source: "stored", name: stored.path, recordedAt, releaseId } };
}
