import { z } from "zod";

/** What came back for one request: the HTTP status, or null where the connection broke; then `body` says how. */
export interface VisionReply {
  readonly status: number | null;
  readonly body: string;
}

const answerSchema = z.object({
  choices: z.tuple(
    [z.object({ message: z.object({ content: z.string().nullish(), reasoning_content: z.string().nullish() }) })],
    z.unknown(),
  ),
  usage: z.object({ prompt_tokens: z.number() }),
});
type Answer = z.infer<typeof answerSchema>;

/** Longest part of a body that a reason quotes, in characters; the evidence keeps all of it. */
const quotedChars = 300;

/** The answer of a reply, or what is wrong with it as a string. */
function readAnswer({ status, body }: VisionReply, what: string): Answer | string {
  const came = body.slice(0, quotedChars);
  if (status === null) return `vision: the server broke off ${what}: ${came}; see the end of its log`;
  if (status !== 200) return `vision: got status ${status} to ${what}, expected 200: ${came}`;
  const answer = answerSchema.safeParse(parseJson(body));
  return answer.success ? answer.data : `vision: got no chat completion with its usage to ${what}: ${came}`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // then no schema fits, and the reason quotes the body
  }
}

const textOf = ({ choices: [{ message }] }: Answer): string => `${message.content ?? ""}${message.reasoning_content ?? ""}`.trim();

/**
 * What shows that a server does not see a picture, as the reason of a gate; null: it sees. It has to answer with text (thinking counts), and its prompt
 * has to be longer than that of the same request without the picture. Whether the answer fits the picture is not judged.
 */
export function findVisionProblem(withPicture: VisionReply, withoutPicture: VisionReply): string | null {
  const without = readAnswer(withoutPicture, "the request without the picture");
  if (typeof without === "string") return without;
  const answer = readAnswer(withPicture, "the request with a picture");
  if (typeof answer === "string") return answer;
  const [tokens, tokensWithout] = [answer.usage.prompt_tokens, without.usage.prompt_tokens];
  if (tokens <= tokensWithout)
    return `vision: got a prompt of ${tokens} tokens with a picture and ${tokensWithout} without, expected more with it: the server ignores pictures`;
  return textOf(answer) === "" ? "vision: got an empty answer to the request with a picture, expected text" : null;
}
