import { mean } from "simple-statistics";
import { z } from "zod";

import type { AnswersThresholds } from "./thresholds.ts";
import type { MetricVerdict } from "./verdict.ts";

/** One generated position: the token that was chosen greedily, and the likeliest tokens with their log-probabilities, best first. */
export const answerPositionSchema = z.strictObject({
  token: z.number().int().nonnegative(),
  top: z.array(z.strictObject({ token: z.number().int().nonnegative(), logprob: z.number() })).min(1),
});
export type AnswerPosition = z.infer<typeof answerPositionSchema>;

/**
 * What a release answered greedily to each prompt; `key` hashes the prompts and how they were asked. `modelSha256` is null where the release that
 * served was asked, whose file the gate does not know.
 */
export const answersReferenceSchema = z.strictObject({
  version: z.literal(1),
  family: z.string(),
  key: z.string(),
  releaseId: z.string(),
  modelSha256: z.string().nullable(),
  recordedAt: z.string(),
  answers: z.array(z.array(answerPositionSchema).min(1)).min(1),
});
export type AnswersReference = z.infer<typeof answersReferenceSchema>;

/** Least log-probability that a token outside of a list of likeliest ones is charged with, in nats: the list says only "less than these". */
const leastLogprob = -20;

/**
 * Kullback-Leibler divergence of the candidate from the reference at one position, in nats, over the tokens that the reference lists and
 * all others together. A token that the candidate does not list counts as its least likely listed one, which estimates from below.
 */
export function divergence(reference: AnswerPosition, candidate: AnswerPosition): number {
  const known = new Map(candidate.top.map(({ token, logprob }) => [token, logprob]));
  const least = Math.min(...candidate.top.map(({ logprob }) => logprob));
  let total = 0;
  let restReference = 1;
  let restCandidate = 1;
  for (const { token, logprob } of reference.top) {
    const p = Math.exp(logprob);
    const q = Math.max(known.get(token) ?? least, leastLogprob);
    total += p * (logprob - q);
    restReference -= p;
    restCandidate -= Math.exp(q);
  }
  const floor = Math.exp(leastLogprob);
  const p = Math.max(restReference, floor);
  return Math.max(0, total + p * Math.log(p / Math.max(restCandidate, floor)));
}

/** Tokens at the start of an answer that equal the reference's. */
function equalLeading(reference: readonly AnswerPosition[], candidate: readonly AnswerPosition[]): number {
  const differing = reference.findIndex((position, index) => position.token !== candidate[index]?.token);
  return differing === -1 ? reference.length : differing;
}

/**
 * Three looks at whether a candidate says what the reference said. Every candidate position was generated after the reference's own
 * tokens, so one early difference does not hide what comes later.
 * @throws {RangeError} if the two do not have the same prompts and lengths.
 */
export function decideAnswers(
  reference: readonly (readonly AnswerPosition[])[],
  candidate: readonly (readonly AnswerPosition[])[],
  thresholds: Omit<AnswersThresholds, "quantMaxDivergenceNats">,
): MetricVerdict[] {
  if (reference.length !== candidate.length || reference.some((answer, index) => answer.length !== candidate[index]?.length))
    throw new RangeError("answers: got other prompts or lengths than the reference has");
  const pairs = reference.flatMap((answer, index) =>
    answer.map((position, at) => ({ reference: position, candidate: candidate[index]?.[at] ?? position })),
  );
  const leading = mean(reference.map((answer, index) => equalLeading(answer, candidate[index] ?? []) / answer.length));
  const agreement = mean(pairs.map((pair) => (pair.reference.token === pair.candidate.token ? 1 : 0)));
  const nats = mean(pairs.map((pair) => divergence(pair.reference, pair.candidate)));
  return [
    metric("equal leading tokens", "%", 100 * leading, thresholds.minEqualTokensPercent, "least"),
    metric("top token agreement", "%", 100 * agreement, thresholds.minTopTokenAgreementPercent, "least"),
    metric("divergence", "nats", nats, thresholds.maxDivergenceNats, "most"),
  ];
}

/** Least accepted mean number of different tokens in an answer of a release that nothing can be compared with: a broken build says one token for ever. */
const minDistinctTokens = 2;

/**
 * Answers without a reference: only that they are not one token over and over, as those of broken kernels are. It says that the release speaks,
 * not that it says what it should.
 */
export function decideFirstAnswers(answers: readonly (readonly AnswerPosition[])[]): MetricVerdict[] {
  const distinct = mean(answers.map((positions) => new Set(positions.map(({ token }) => token)).size));
  return [metric("distinct tokens per answer", "", distinct, minDistinctTokens, "least")];
}

function metric(name: string, unit: string, measured: number, limit: number, bound: "least" | "most"): MetricVerdict {
  const isWithin = bound === "least" ? measured >= limit : measured <= limit;
  return {
    name,
    unit,
    measured,
    baseline: null,
    differencePercent: null,
    intervalPercent: null,
    limitPercent: null,
    floor: bound === "least" ? limit : null,
    ceiling: bound === "most" ? limit : null,
    verdict: isWithin ? "passed" : "failed",
  };
}
