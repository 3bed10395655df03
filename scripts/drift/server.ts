import type Docker from "dockerode";
import { z } from "zod";
import { probeRequest } from "../../plan/drift/answer.ts";
import type { DeclaredContainer } from "../../plan/drift/declared.ts";
import type { Completion, SelfDescription, ServerSeen } from "../../plan/drift/observation.ts";
import { serverUrl } from "../gates/candidate.ts";
import { describeServer, exchange, getJson, type ChatServer } from "../gates/chat-client.ts";
import { gpuNames } from "../gates/host.ts";
import { describeError } from "../program.ts";

/** Longest wait for what a server answers without generating, milliseconds; where a completion may take less, so may this. */
const describeMs = 10_000;

/** The wait for what needs no generation, where a completion may take `deadlineMs`. */
export const describeWaitMs = (deadlineMs: number): number => Math.min(describeMs, deadlineMs);

/** Asks one running server everything; what it does not answer is null. */
export async function askServer(
  docker: Docker,
  declared: DeclaredContainer,
  apiKeyFile: string | null,
  deadlineMs: number,
): Promise<ServerSeen> {
  const container = docker.getContainer(declared.name);
  const gpus = declared.gpus === null ? null : await gpuNames(container);
  const base = { name: declared.name, gpus, speed: null };
  try {
    const server = await describeServer(await serverUrl(container), apiKeyFile);
    const [self, completion] = await Promise.all([describeSelf(server, describeWaitMs(deadlineMs)), complete(server, deadlineMs)]);
    return { ...base, self, completion };
  } catch (error) {
    return { ...base, self: null, completion: { kind: "failed", reason: describeError(error) } };
  }
}

const propsSchema = z.object({
  model_path: z.string().optional(),
  model_alias: z.string().optional(),
  total_slots: z.number().optional(),
  build_info: z.string().optional(),
  default_generation_settings: z.object({ n_ctx: z.number().optional() }).optional(),
});
const modelsSchema = z.object({
  data: z.array(z.object({ id: z.string(), meta: z.object({ n_params: z.number().optional() }).nullish() })),
});

async function describeSelf(server: ChatServer, waitMs: number): Promise<SelfDescription | null> {
  try {
    const signal = AbortSignal.timeout(waitMs);
    const [props, models] = await Promise.all([
      getJson(server, "/props", propsSchema, signal),
      getJson(server, "/v1/models", modelsSchema, signal),
    ]);
    return {
      modelPath: props.model_path ?? null,
      alias: props.model_alias ?? null,
      slots: props.total_slots ?? null,
      contextTokens: props.default_generation_settings?.n_ctx ?? null,
      build: props.build_info ?? null,
      models: models.data.map(({ id }) => id),
      parameters: models.data[0]?.meta?.n_params ?? null,
    };
  } catch {
    return null; // the completion says what is wrong
  }
}

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

/** A short completion by a deadline. One that comes late is no proof of a server that hangs: its counters say whether it worked on something. */
async function complete(server: ChatServer, deadlineMs: number): Promise<Completion> {
  const waitMs = describeWaitMs(deadlineMs);
  const before = countWork(server, waitMs);
  const deadline = AbortSignal.timeout(deadlineMs);
  const startMs = performance.now();
  try {
    const { status, body } = await exchange(server, "/v1/chat/completions", probeRequest, deadline);
    if (status !== 200) return { kind: "failed", reason: `status ${status}: ${body.slice(0, 200)}` };
    const answer = answerSchema.safeParse(JSON.parse(body));
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
    const [earlier, now] = [await before, await countWork(server, waitMs)];
    return { kind: "late", afterMs: deadlineMs, isWorking: earlier !== null && now !== null && now > earlier };
  }
}

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
