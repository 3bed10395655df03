import { z } from "zod";

import { promptWords } from "../../plan/benchmark/prompts.ts";
import { planOrder } from "../../plan/benchmark/order.ts";
import type { Scenario, ScenarioSet } from "../../plan/benchmark/protocol.ts";
import type { RequestSample } from "../../plan/benchmark/result.ts";
import { measureChat, postJson } from "./chat-client.ts";
import type { ChatMessage, ChatServer } from "./chat-client.ts";

const tokensSchema = z.object({ tokens: z.array(z.number().int()) });
const contentSchema = z.object({ content: z.string() });

/** Runs one scenario set against one server start. */
export class ScenarioRun {
  readonly #server: ChatServer;
  readonly #set: ScenarioSet;
  readonly #ctxSize: number;
  readonly #signal: AbortSignal;
  #prompts = 0;

  constructor(server: ChatServer, set: ScenarioSet, ctxSize: number, signal: AbortSignal) {
    this.#server = server;
    this.#set = set;
    this.#ctxSize = ctxSize;
    this.#signal = signal;
  }

  /** Every sample of the set, the scenarios in turns, after one request that is dropped. `withWindow` includes the window-filling scenario. */
  async all(withWindow: boolean): Promise<RequestSample[]> {
    const scenarios = this.#set.scenarios.filter((scenario) => withWindow || scenario.kind !== "window");
    const [first] = scenarios;
    if (first?.kind === "single") await this.#piece(first);
    const samples: RequestSample[] = [];
    for (const scenario of planOrder(scenarios)) samples.push(...(await this.#piece(scenario)));
    return samples;
  }

  /** One request of a scenario, or one whole conversation. */
  async #piece(scenario: Scenario): Promise<RequestSample[]> {
    if (scenario.kind === "conversation") return this.#conversation(scenario);
    const promptTokens = scenario.kind === "single" ? scenario.promptTokens : this.#windowTokens(scenario);
    const messages = [{ role: "user", content: await this.#prompt(promptTokens) }] as const;
    return [(await this.#measure(scenario, 0, messages, false)).sample];
  }

  async #conversation(scenario: Extract<Scenario, { kind: "conversation" }>): Promise<RequestSample[]> {
    const samples: RequestSample[] = [];
    const messages: ChatMessage[] = [];
    for (let turn = 0; turn < scenario.turns; turn++) {
      messages.push({ role: "user", content: await this.#prompt(scenario.promptTokens) });
      const { sample, text } = await this.#measure(scenario, turn, messages, true);
      messages.push({ role: "assistant", content: text });
      samples.push(sample);
    }
    return samples;
  }

  #windowTokens(scenario: Extract<Scenario, { kind: "window" }>): number {
    const free = this.#ctxSize - scenario.generateTokens - scenario.reserveTokens;
    return Math.max(1, Math.min(free, scenario.maxPromptTokens ?? free));
  }

  async #measure(
    scenario: Scenario,
    turn: number,
    messages: readonly ChatMessage[],
    cachePrompt: boolean,
  ): Promise<{ sample: RequestSample; text: string }> {
    const { generateTokens, name } = scenario;
    const request = { scenario: name, turn, messages, generateTokens, cachePrompt, seed: this.#set.seed };
    const deadline = this.#deadline();
    try {
      return await measureChat(this.#server, request, deadline);
    } catch (error) {
      if (!deadline.aborted || this.#signal.aborted) throw error;
      const { requestTimeoutSec } = this.#set;
      throw new Error(`scenario ${name}: a request was not finished within ${requestTimeoutSec} s (requestTimeoutSec)`, { cause: error });
    }
  }

  /** A text of that many tokens by the server's own tokenizer, different for every request so that no cache can answer for it. */
  async #prompt(tokens: number): Promise<string> {
    this.#prompts += 1;
    const words = promptWords(this.#set.seed + this.#prompts, tokens);
    const all = await postJson(this.#server, "/tokenize", { content: words }, tokensSchema, this.#deadline());
    const content = { tokens: all.tokens.slice(0, tokens) };
    return (await postJson(this.#server, "/detokenize", content, contentSchema, this.#deadline())).content;
  }

  #deadline(): AbortSignal {
    return AbortSignal.any([this.#signal, AbortSignal.timeout(this.#set.requestTimeoutSec * 1000)]);
  }
}
