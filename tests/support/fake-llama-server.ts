import http from "node:http";
import type { AddressInfo } from "node:net";

/** How a fake server misbehaves; by default it answers as llama-server build 11669 does. */
export interface FakeBehaviour {
  /** Streams end after that many tokens, without end mark. */
  readonly breakAfterTokens?: number;
  /** Tokens generated in place of those asked for. */
  readonly tokens?: number;
  /** Status of every completion. */
  readonly status?: number;
  /** Sends this line in place of the second token. */
  readonly line?: string;
  /** What a picture gets; by default 256 prompt tokens, as with Gemma 3, and an answer. */
  readonly picture?: { readonly tokens?: number; readonly answer?: object; readonly refusal?: string; readonly breaks?: boolean };
}

/** A request that is answered in one piece: its one message has parts. */
interface FakePartsRequest {
  readonly messages: readonly { readonly content: readonly { readonly type: string; readonly text?: string }[] }[];
}

/** What a completion request asked for. */
export interface FakeRequest {
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly max_tokens: number;
  readonly temperature: number;
  readonly seed: number;
  readonly ignore_eos: boolean;
  readonly cache_prompt: boolean;
  readonly stream: boolean;
}

/** A server on a port of its own that speaks as much of llama-server's HTTP as the benchmark uses; a token is a word. */
export class FakeLlamaServer implements AsyncDisposable {
  readonly requests: FakeRequest[] = [];
  readonly partsRequests: FakePartsRequest[] = [];
  readonly authorizations: (string | undefined)[] = [];
  readonly #server: http.Server;
  readonly #behaviour: FakeBehaviour;

  private constructor(behaviour: FakeBehaviour) {
    this.#behaviour = behaviour;
    this.#server = http.createServer((request, response) => void this.#answer(request, response));
  }

  static async start(behaviour: FakeBehaviour = {}): Promise<FakeLlamaServer> {
    const fake = new FakeLlamaServer(behaviour);
    await new Promise<void>((resolve) => fake.#server.listen(0, "127.0.0.1", resolve));
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async #answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    let text = "";
    for await (const part of request) text += String(part);
    this.authorizations.push(request.headers.authorization);
    const body: unknown = text === "" ? undefined : JSON.parse(text);
    if (request.url === "/tokenize") {
      const { content } = body as { content: string };
      reply(response, { tokens: content.split(" ").map((_, at) => at) });
    } else if (request.url === "/detokenize") {
      reply(response, { content: (body as { tokens: number[] }).tokens.join(" ") });
    } else if (Array.isArray((body as FakeRequest).messages[0]?.content)) {
      this.#look(body as FakePartsRequest, response);
    } else {
      this.#complete(body as FakeRequest, response);
    }
  }

  #complete(request: FakeRequest, response: http.ServerResponse): void {
    this.requests.push(request);
    const { status } = this.#behaviour;
    if (status === undefined) {
      this.#stream(request, response);
      return;
    }
    response.statusCode = status;
    reply(response, { error: { message: "Loading model", code: status } });
  }

  #look(request: FakePartsRequest, response: http.ServerResponse): void {
    this.partsRequests.push(request);
    const parts = request.messages.flatMap(({ content }) => content);
    const words = parts.flatMap(({ text }) => text?.split(" ") ?? []).length;
    const hasPicture = parts.some(({ type }) => type === "image_url");
    const {
      tokens = 256,
      answer = { content: "red and blue" },
      refusal,
      breaks = false,
    } = (hasPicture ? this.#behaviour.picture : undefined) ?? {};
    if (breaks) return void response.destroy();
    if (refusal !== undefined) {
      response.statusCode = 500;
      reply(response, { error: { code: 500, message: refusal, type: "server_error" } });
      return;
    }
    const usage = { prompt_tokens: words + (hasPicture ? tokens : 0), completion_tokens: 3 };
    reply(response, { choices: [{ finish_reason: "stop", message: { role: "assistant", ...answer } }], usage });
  }

  #stream(request: FakeRequest, response: http.ServerResponse): void {
    const { breakAfterTokens, line, tokens = request.max_tokens } = this.#behaviour;
    const promptTokens = request.messages.flatMap(({ content }) => content.split(" ")).length;
    const write = (data: string): void => void response.write(`data: ${data}\n\n`);
    write(JSON.stringify({ choices: [{ delta: { role: "assistant", content: null } }] }));
    let sent = 0;
    const next = (): void => {
      if (sent === breakAfterTokens) return void response.destroy();
      if (sent === tokens) {
        write(JSON.stringify({ choices: [{ finish_reason: "length", delta: {} }] }));
        write(JSON.stringify({ choices: [], timings: timings(promptTokens, sent) }));
        write("[DONE]");
        return void response.end();
      }
      sent += 1;
      if (sent === 2 && line !== undefined) write(line);
      else write(JSON.stringify({ choices: [{ delta: { content: "x " } }], timings: timings(promptTokens, sent) }));
      setImmediate(next);
    };
    next();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function timings(promptTokens: number, generated: number): object {
  return { cache_n: 0, prompt_n: promptTokens, prompt_ms: promptTokens / 2, predicted_n: generated, predicted_ms: generated - 1 + 0.001 };
}

function reply(response: http.ServerResponse, body: object): void {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(body));
}
