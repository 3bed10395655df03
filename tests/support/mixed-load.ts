import { setTimeout as sleep } from "node:timers/promises";

/** A kind of request: what is sent, and what has to come of it. */
export type RequestKind = "short" | "long" | "stream" | "cancelled" | "wrong";
const kinds: readonly RequestKind[] = ["short", "short", "short", "stream", "stream", "long", "cancelled", "wrong"];

/** One request that did not end as its kind has to. */
export interface Failure {
  readonly kind: RequestKind;
  /** Milliseconds since 1970. */
  readonly beganMs: number;
  readonly endedMs: number;
  readonly what: string;
  /** Whether the gateway said that no server took it in time, and when to come again. */
  readonly isHeldOut: boolean;
}

/** What became of all requests so far. */
export interface LoadFigures {
  /** Times of those that ended as they should, milliseconds, by kind. */
  readonly ms: Readonly<Record<RequestKind, readonly number[]>>;
  readonly failures: readonly Failure[];
}

const longPrompt = "Tell me of rivers that flow from the mountains to the sea, and of the towns along their banks. ".repeat(12);
/** Bodies that no server may take, each in a way of its own. */
const wrongBodies = ['{"messages": 5}', '{"messages": [{"role": "user"', "not JSON", '{"messages": [{"role": 7, "content": {}}]}', ""];

const body = (content: string, tokens: number, stream: boolean): string =>
  JSON.stringify({ messages: [{ role: "user", content }], max_tokens: tokens, stream, temperature: 0 });

class HeldOutError extends Error {}

/** Clients of all kinds, each sending one request after the other, in an order that the seed decides. */
export class MixedLoad {
  readonly figures: LoadFigures;
  readonly #endpoint: string;
  readonly #random: () => number;
  readonly #clients: Promise<void>[];
  #isOver = false;

  /** `pauseMs`: longest pause of a client between two requests; they are random, and half of it in the mean. */
  constructor(endpoint: string, random: () => number, { clients, pauseMs }: { readonly clients: number; readonly pauseMs: number }) {
    this.figures = { ms: { short: [], long: [], stream: [], cancelled: [], wrong: [] }, failures: [] };
    this.#endpoint = endpoint;
    this.#random = random;
    this.#clients = Array.from({ length: clients }, () => this.#client(pauseMs));
  }

  /** Sends nothing more, and waits for what was sent. */
  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#clients);
  }

  async #client(pauseMs: number): Promise<void> {
    while (!this.#isOver) {
      const kind = kinds[Math.floor(this.#random() * kinds.length)] ?? "short";
      const beganMs = Date.now();
      try {
        await this.#send(kind);
        (this.figures.ms[kind] as number[]).push(Date.now() - beganMs);
      } catch (error) {
        const what = error instanceof Error && error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : String(error);
        (this.figures.failures as Failure[]).push({ kind, beganMs, endedMs: Date.now(), what, isHeldOut: error instanceof HeldOutError });
      }
      await sleep(this.#random() * pauseMs);
    }
  }

  #send(kind: RequestKind): Promise<void> {
    switch (kind) {
      case "short":
        return this.#complete("What is the capital of France?", 8);
      case "long":
        return this.#complete(longPrompt, 32);
      case "stream":
        return this.#stream("Count to thirty.", 32);
      case "cancelled":
        return this.#cancel();
      case "wrong":
        return this.#sendWrong();
    }
  }

  async #post(content: string, signal: AbortSignal = AbortSignal.timeout(120_000)): Promise<Response> {
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${this.#endpoint}/v1/chat/completions`, { method: "POST", headers, body: content, signal });
    if (response.status === 503 && response.headers.has("retry-after")) throw new HeldOutError(await response.text());
    return response;
  }

  async #complete(content: string, tokens: number): Promise<void> {
    const response = await this.#post(body(content, tokens, false));
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${response.status} ${text.slice(0, 200)}`);
    const { choices } = JSON.parse(text) as { choices?: { message?: { content?: unknown } }[] };
    if (typeof choices?.[0]?.message?.content !== "string") throw new Error(`no choice in ${text.slice(0, 200)}`);
  }

  async #stream(content: string, tokens: number): Promise<void> {
    const response = await this.#post(body(content, tokens, true));
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${response.status} ${text.slice(0, 200)}`);
    if (!text.trimEnd().endsWith("data: [DONE]")) throw new Error(`a stream that was cut off: ${text.slice(-200)}`);
  }

  /** A client that goes away in the middle of its stream, or before it began. */
  async #cancel(): Promise<void> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), this.#random() * 800);
    try {
      const response = await this.#post(body(longPrompt, 200, true), abort.signal);
      await response.text();
    } catch (error) {
      if (!abort.signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #sendWrong(): Promise<void> {
    const response = await this.#post(wrongBodies[Math.floor(this.#random() * wrongBodies.length)] ?? "");
    const text = await response.text();
    // a server may call what it can't parse its own fault (500), but must say so in its own words and go on
    if (response.ok || !text.includes("error")) throw new Error(`got ${response.status} for a wrong body: ${text.slice(0, 200)}`);
  }
}
