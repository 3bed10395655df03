import { z } from "zod";
import { probeRequest } from "../../plan/drift/answer.ts";
import type { Completion } from "../../plan/drift/observation.ts";
import { exchange, type ChatServer } from "../gates/chat-client.ts";
import { describeError } from "../program.ts";

/** Longest wait for what a server answers without generating, milliseconds; where a completion may take less, so may this. */
const describeMs = 10_000;

/** The wait for what needs no generation, where a completion may take `deadlineMs`. */
export const describeWaitMs = (deadlineMs: number): number => Math.min(describeMs, deadlineMs);

const tokenSchema = z.object({ token: z.string(), top_logprobs: z.array(z.object({ token: z.string() })).default([]) });
const answerSchema = z.object({
  choices: z
    .array(
      z.object({
        message: z.object({ content: z.string().nullish(), reasoning_content: z.string().nullish() }),
        logprobs: z.object({ content: z.array(tokenSchema).nullish() }).nullish(),
      }),
    )
    .min(1),
});

/**
 * A short completion by a deadline. One that comes late is no proof of a server that hangs: its counters say whether it worked on something. `workers` are the
 * servers that may answer, where a gateway is asked.
 */
export async function complete(
  server: ChatServer,
  deadlineMs: number,
  { question = probeRequest, workers = [server] }: { readonly question?: object; readonly workers?: readonly ChatServer[] } = {},
): Promise<Completion> {
  const countAll = (): Promise<(number | null)[]> => Promise.all(workers.map((worker) => countWork(worker, describeWaitMs(deadlineMs))));
  const before = countAll();
  const deadline = AbortSignal.timeout(deadlineMs);
  const startMs = performance.now();
  try {
    const { status, body } = await exchange(server, "/v1/chat/completions", question, deadline);
    if (status !== 200) return { kind: "failed", reason: `status ${status}: ${body.slice(0, 200)}` };
    const answer = answerSchema.safeParse(parseOrNull(body));
    if (!answer.success) return { kind: "failed", reason: `not a chat completion: ${body.slice(0, 200)}` };
    const [choice] = answer.data.choices;
    const tokens = (choice?.logprobs?.content ?? []).map(({ token, top_logprobs }) => ({
      text: token,
      likeliest: top_logprobs.map((top) => top.token),
    }));
    const text = choice?.message.content ?? choice?.message.reasoning_content ?? "";
    return { kind: "answered", text, tokens, wallMs: performance.now() - startMs };
  } catch (error) {
    if (!deadline.aborted) return { kind: "failed", reason: describeError(error) };
    const [earlier, now] = [await before, await countAll()];
    return { kind: "late", afterMs: deadlineMs, isWorking: now.some((count, at) => isMore(count, earlier[at] ?? null)) };
  }
}

/** What JSON says; null where it is none, as a completion never is. */
function parseOrNull(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}

const isMore = (now: number | null, earlier: number | null): boolean => now !== null && earlier !== null && now > earlier;

/** Everything that a server counts while it works: it only stands still where nothing is done. */
const workCounters = /^llamacpp:(?:prompt_tokens_total|tokens_predicted_total|n_decode_total) (\d+)/gm;

/** Sum of a server's work counters; null where it does not tell them in time. */
async function countWork(server: ChatServer, waitMs: number): Promise<number | null> {
  try {
    const response = await fetch(`${server.url}/metrics`, { headers: server.headers, signal: AbortSignal.timeout(waitMs) });
    return response.ok ? [...(await response.text()).matchAll(workCounters)].reduce((sum, [, count]) => sum + Number(count), 0) : null;
  } catch {
    return null;
  }
}
