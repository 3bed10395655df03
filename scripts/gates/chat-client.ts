import { readFile } from "node:fs/promises";
import http from "node:http";
import https from "node:https";

import { createParser } from "eventsource-parser";
import { z } from "zod";

import type { RequestSample } from "../../plan/benchmark/result.ts";

/** One message of a conversation. */
export interface ChatMessage {
  readonly role: "user" | "assistant";
  readonly content: string;
}

/** Where a server is and the headers it wants. Every request has a connection of its own: a kept one may be closed by the server unseen. */
export interface ChatServer {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Whom to trust where the address is an `https:` one; `@default` who the machine trusts. */
  readonly tls?: Pick<https.RequestOptions, "ca" | "servername" | "checkServerIdentity" | "allowPartialTrustChain"> | undefined;
}

/** The server at a base URL, with the API key of a file where one is given. */
export async function describeServer(url: string, apiKeyFile: string | null): Promise<ChatServer> {
  const key = apiKeyFile === null ? undefined : (await readFile(apiKeyFile, "utf8")).trim().split("\n")[0];
  return { url, headers: key === undefined ? {} : { authorization: `Bearer ${key}` } };
}

const timingsSchema = z.object({
  cache_n: z.number(),
  prompt_n: z.number(),
  prompt_ms: z.number(),
  predicted_n: z.number(),
  predicted_ms: z.number(),
});

const chunkSchema = z.object({
  choices: z.array(z.object({ delta: z.object({ content: z.string().nullish(), reasoning_content: z.string().nullish() }) })),
  timings: timingsSchema.optional(),
});

/** Sends one request (POST if there is a body) and returns the response's head, whatever its status. */
async function open(server: ChatServer, path: string, body: unknown, signal: AbortSignal): Promise<http.IncomingMessage> {
  const method = body === undefined ? "GET" : "POST";
  const payload = body === undefined ? "" : JSON.stringify(body);
  const headers = { ...server.headers, "content-type": "application/json", "content-length": Buffer.byteLength(payload) };
  return new Promise<http.IncomingMessage>((resolve, reject) => {
    const url = new URL(path, server.url);
    const { request: send } = url.protocol === "https:" ? https : http;
    const request = send(url, { method, agent: false, headers, signal, ...server.tls }, resolve);
    request.on("error", reject);
    request.end(payload);
  });
}

/** As `open`. @throws {Error} on a status other than 200, with the body's start. */
async function send(server: ChatServer, path: string, body: unknown, signal: AbortSignal): Promise<http.IncomingMessage> {
  const response = await open(server, path, body, signal);
  if (response.statusCode === 200) return response;
  const text = await readText(response);
  const method = body === undefined ? "GET" : "POST";
  throw new Error(`${method} ${path}: got status ${response.statusCode ?? 0}, expected 200: ${text.slice(0, 300)}`);
}

/** What a server answered, whatever it was. */
export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** Sends one JSON request, a GET without a body, and returns what came. @throws {Error} only if the connection breaks or `signal` aborts. */
export async function exchange(server: ChatServer, path: string, body: object | undefined, signal: AbortSignal): Promise<Answer> {
  const response = await open(server, path, body, signal);
  return { status: response.statusCode ?? 0, headers: response.headers, body: await readText(response) };
}

async function readText(response: http.IncomingMessage): Promise<string> {
  let text = "";
  response.setEncoding("utf8");
  for await (const part of response) text += String(part);
  return text;
}

/** Sends one JSON request and reads the JSON answer by a schema; without a body it is a GET. */
export async function postJson<S extends z.ZodType>(
  server: ChatServer,
  path: string,
  body: unknown,
  schema: S,
  signal: AbortSignal,
): Promise<z.infer<S>> {
  return schema.parse(JSON.parse(await readText(await send(server, path, body, signal))));
}

/** Reads the JSON at a path by a schema. */
export async function getJson<S extends z.ZodType>(server: ChatServer, path: string, schema: S, signal: AbortSignal): Promise<z.infer<S>> {
  return postJson(server, path, undefined, schema, signal);
}

interface Ticks {
  readonly first: { readonly atMs: number; readonly tokens: number };
  readonly last: { readonly atMs: number; readonly tokens: number };
  readonly timings: z.infer<typeof timingsSchema>;
  readonly text: string;
}

/** Collects what a stream of server-sent events says about when its tokens came, counted by the server's per-token timings. */
class TickReader {
  #first: Ticks["first"] | undefined;
  #last: Ticks["last"] | undefined;
  #timings: Ticks["timings"] | undefined;
  #text = "";
  #isDone = false;

  event(data: string, atMs: number): void {
    if (data.startsWith('{"error"')) throw new Error(`the stream broke off: ${data.slice(0, 300)}`);
    if (data === "[DONE]") {
      this.#isDone = true;
      return;
    }
    const chunk = chunkSchema.parse(JSON.parse(data));
    this.#timings = chunk.timings ?? this.#timings;
    const delta = chunk.choices[0]?.delta;
    if (delta === undefined || chunk.timings === undefined) return;
    this.#text += delta.content ?? delta.reasoning_content ?? "";
    this.#last = { atMs, tokens: chunk.timings.predicted_n };
    this.#first ??= this.#last;
  }

  finish(): Ticks {
    if (!this.#isDone || this.#first === undefined || this.#last === undefined || this.#timings === undefined)
      throw new Error("the stream ended without tokens, timings or its end mark");
    return { first: this.#first, last: this.#last, timings: this.#timings, text: this.#text };
  }
}

/** Reads a stream to its end. The time of a token is when the client was handed its bytes, before it parses them. */
async function readTicks(response: http.IncomingMessage): Promise<Ticks> {
  const reader = new TickReader();
  let nowMs = 0;
  const parser = createParser({ onEvent: ({ data }) => reader.event(data, nowMs) });
  response.setEncoding("utf8");
  for await (const part of response) {
    nowMs = performance.now();
    parser.feed(String(part));
  }
  return reader.finish();
}

/** Shortest time taken for a stream: tokens that a starved client reads all at once would divide by zero. */
const clockStepMs = 0.001;

/** One request of a scenario: greedy, of exactly `generateTokens` tokens. */
export interface ChatRequest {
  readonly scenario: string;
  readonly turn: number;
  readonly messages: readonly ChatMessage[];
  readonly generateTokens: number;
  readonly cachePrompt: boolean;
  readonly seed: number;
}

/**
 * Streams one chat completion and measures it.
 * @throws {Error} if the server answers anything but a whole stream of the wanted number of tokens with its timings.
 */
export async function measureChat(
  server: ChatServer,
  request: ChatRequest,
  signal: AbortSignal,
): Promise<{ sample: RequestSample; text: string }> {
  const startMs = performance.now();
  const response = await send(server, "/v1/chat/completions", chatBody(request), signal);
  const { first, last, timings, text } = await readTicks(response);
  if (timings.predicted_n !== request.generateTokens || last.tokens === first.tokens)
    throw new Error(`${request.scenario}: got ${timings.predicted_n} tokens, expected ${request.generateTokens} in single chunks`);
  const firstTokenMs = first.atMs - startMs;
  const sample: RequestSample = {
    scenario: request.scenario,
    turn: request.turn,
    firstTokenMs,
    totalMs: last.atMs - startMs,
    decodeTokensPerSec: ((last.tokens - first.tokens) * 1000) / Math.max(last.atMs - first.atMs, clockStepMs),
    promptTokensPerSec: (timings.prompt_n * 1000) / firstTokenMs,
    promptTokens: timings.prompt_n,
    cachedTokens: timings.cache_n,
    generatedTokens: timings.predicted_n,
    serverDecodeTokensPerSec: ((timings.predicted_n - 1) * 1000) / timings.predicted_ms,
    serverPromptTokensPerSec: (timings.prompt_n * 1000) / timings.prompt_ms,
  };
  return { sample, text };
}

function chatBody(request: ChatRequest): object {
  return {
    messages: request.messages,
    max_tokens: request.generateTokens,
    stream: true,
    temperature: 0,
    seed: request.seed,
    ignore_eos: true,
    cache_prompt: request.cachePrompt,
    timings_per_token: true,
  };
}
