import type { Completion, Remembered, Token } from "./observation.ts";

/** The request of a completion probe: short, greedy, the same in every check. The tokens it gives are what checks compare. */
export const probeRequest = {
  messages: [{ role: "user", content: "What is the capital of France?" }],
  max_tokens: 8,
  temperature: 0,
  seed: 5,
  logprobs: true,
  top_logprobs: 10,
  cache_prompt: false,
} as const;

/** Characters that an answer must at least have before their sameness says anything. */
const minRubbishCharacters = 6;

/**
 * Why an answer is no answer, or undefined. Without an earlier answer only what no model says counts: nothing at all, one character over and over,
 * bytes that are no text. With one, the first token decides, because it alone has the same text before it whatever was generated:
 * the likeliest then has to be among the ten likeliest now, and the other way round. Other kernels and quants keep that; another or a broken model does not.
 */
export function findRubbish(
  { text, tokens }: Extract<Completion, { kind: "answered" }>,
  earlier: NonNullable<Remembered["answer"]>["tokens"] | null,
): string | undefined {
  const shown = JSON.stringify(text);
  const said = text.trim();
  if (text === "" && tokens.length === 0) return "an empty answer";
  if (said.length >= minRubbishCharacters && said === said.charAt(0).repeat(said.length)) return `one character over and over: ${shown}`;
  if ((said.match(/\uFFFD/g) ?? []).length * 2 > said.length) return `bytes that are no text: ${shown}`;
  return isOther(tokens[0], earlier?.[0])
    ? `${shown}; its first token ${JSON.stringify(tokens[0]?.text)} and the earlier ${JSON.stringify(earlier?.[0]?.text)} are not likely to each other`
    : undefined;
}

function isOther(now: Token | undefined, then: Token | undefined): boolean {
  if (now === undefined || then === undefined || now.likeliest.length === 0 || then.likeliest.length === 0) return false;
  const [likeliestNow, likeliestThen] = [now.likeliest[0] ?? "", then.likeliest[0] ?? ""];
  return !now.likeliest.includes(likeliestThen) || !then.likeliest.includes(likeliestNow);
}
