import { z } from "zod";

import type { AnswerPosition } from "../../plan/gates/answers-gate.ts";
import { postJson } from "./chat-client.ts";
import type { ChatServer } from "./chat-client.ts";

const tokensSchema = z.object({ tokens: z.array(z.number().int()) });
const positionSchema = z.object({
  id: z.number().int(),
  top_logprobs: z.array(z.object({ id: z.number().int(), logprob: z.number() })).min(1),
});
const completionSchema = z.object({ completion_probabilities: z.array(positionSchema).min(1) });

/** How answers are asked for. */
export interface AnswersQuestion {
  readonly generateTokens: number;
  readonly topTokens: number;
  readonly requestTimeoutSec: number;
}

async function generate(
  server: ChatServer,
  prompt: readonly number[],
  tokens: number,
  reusesPrompt: boolean,
  question: AnswersQuestion,
  signal: AbortSignal,
): Promise<AnswerPosition[]> {
  const body = {
    prompt,
    n_predict: tokens,
    temperature: 0,
    ignore_eos: true,
    n_probs: question.topTokens,
    cache_prompt: reusesPrompt,
    stream: false,
  };
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(question.requestTimeoutSec * 1000)]);
  const { completion_probabilities: positions } = await postJson(server, "/completion", body, completionSchema, deadline);
  if (positions.length !== tokens) throw new Error(`/completion: got ${positions.length} tokens with probabilities, expected ${tokens}`);
  return positions.map(({ id, top_logprobs: top }) => ({
    token: id,
    top: top.map((entry) => ({ token: entry.id, logprob: entry.logprob })),
  }));
}

/**
 * The greedy answer to a prompt. With a reference answer every position is generated after the reference's tokens: where the candidate
 * differs, it is put back on the reference's text and goes on from there, from the prompt that it has read: a long one is read once.
 */
export async function answer(
  server: ChatServer,
  prompt: string,
  reference: readonly AnswerPosition[] | undefined,
  question: AnswersQuestion,
  signal: AbortSignal,
): Promise<AnswerPosition[]> {
  const { tokens } = await postJson(server, "/tokenize", { content: prompt, add_special: true }, tokensSchema, signal);
  if (reference === undefined) return generate(server, tokens, question.generateTokens, false, question, signal);
  const positions: AnswerPosition[] = [];
  while (positions.length < reference.length) {
    const before = reference.slice(0, positions.length).map(({ token }) => token);
    const isPutBack = before.length > 0;
    const next = await generate(server, [...tokens, ...before], reference.length - before.length, isPutBack, question, signal);
    const start = positions.length;
    const differing = next.findIndex((position, index) => position.token !== reference[start + index]?.token);
    positions.push(...next.slice(0, differing === -1 ? next.length : differing + 1));
  }
  return positions;
}
