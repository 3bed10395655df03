/** The benchmark client against a fake server. Does not prove how fast a real one is, nor that its stream looks like this: tests/bench/gates does. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

import type { ScenarioSet } from "../../plan/benchmark/protocol.ts";
import { describeServer, measureChat } from "../../scripts/gates/chat-client.ts";
import type { ChatRequest } from "../../scripts/gates/chat-client.ts";
import { ScenarioRun } from "../../scripts/gates/scenario-run.ts";
import { FakeLlamaServer } from "../support/fake-llama-server.ts";
import type { FakeBehaviour } from "../support/fake-llama-server.ts";

const { signal } = new AbortController();
const request: ChatRequest = {
  scenario: "short",
  turn: 0,
  messages: [{ role: "user", content: "one two three" }],
  generateTokens: 5,
  cachePrompt: false,
  seed: 7,
};

async function measure(behaviour: FakeBehaviour): ReturnType<typeof measureChat> {
  await using fake = await FakeLlamaServer.start(behaviour);
  return await measureChat(await describeServer(fake.url, null), request, signal);
}

describe("one request", () => {
  it("is greedy, of fixed length and seed, streamed, with the prompt cache as told", async () => {
    await using fake = await FakeLlamaServer.start();
    await measureChat(await describeServer(fake.url, null), request, signal);
    expect(fake.requests).toEqual([
      {
        messages: [{ role: "user", content: "one two three" }],
        max_tokens: 5,
        stream: true,
        temperature: 0,
        seed: 7,
        ignore_eos: true,
        cache_prompt: false,
        timings_per_token: true,
      },
    ]);
  });

  it("is counted by the server's tokens, with the server's own speeds beside the client's", async () => {
    const { sample, text } = await measure({});
    expect(text).toBe("x x x x x ");
    expect(sample).toMatchObject({ scenario: "short", turn: 0, promptTokens: 3, cachedTokens: 0, generatedTokens: 5 });
    expect(sample.serverPromptTokensPerSec).toBeCloseTo(2000, 6);
    expect(sample.serverDecodeTokensPerSec).toBeCloseTo(999.75, 1);
    expect(sample.totalMs).toBeGreaterThan(sample.firstTokenMs);
    expect(sample.decodeTokensPerSec).toBeCloseTo(4000 / (sample.totalMs - sample.firstTokenMs), 6);
  });

  it("sends the API key of a file, and only in the header", async () => {
    const folder = mkdtempSync(join(tmpdir(), "gates-client-"));
    try {
      writeFileSync(join(folder, "key"), "canary-key\n");
      await using fake = await FakeLlamaServer.start();
      const server = await describeServer(fake.url, join(folder, "key"));
      await measureChat(server, request, signal);
      expect(fake.authorizations).toEqual(["Bearer canary-key"]);
      expect(JSON.stringify(fake.requests)).not.toContain("canary");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it.each<[string, FakeBehaviour, string]>([
    [
      "a status other than 200",
      { status: 503 },
      'POST /v1/chat/completions: got status 503, expected 200: {"error":{"message":"Loading model"',
    ],
    ["a stream that breaks off", { breakAfterTokens: 2 }, "aborted"],
    ["another number of tokens", { tokens: 4 }, "short: got 4 tokens, expected 5 in single chunks"],
    [
      "an error within the stream",
      { line: '{"error":{"message":"out of memory"}}' },
      'the stream broke off: {"error":{"message":"out of memory"}}',
    ],
  ])("fails on %s", async (_what, behaviour, message) => {
    await expect(measure(behaviour)).rejects.toThrow(message);
  });
});

describe("a scenario set", () => {
  const set: ScenarioSet = {
    seed: 1,
    requestTimeoutSec: 10,
    readyTimeoutSec: 10,
    scenarios: [
      { kind: "single", name: "short", promptTokens: 4, generateTokens: 3, requests: 2 },
      { kind: "conversation", name: "multi-turn", promptTokens: 4, generateTokens: 2, turns: 3, conversations: 1 },
      { kind: "window", name: "window", generateTokens: 2, reserveTokens: 30 },
    ],
  };

  it("drops the first request, takes the scenarios in turns, and fills the window only when told", async () => {
    await using fake = await FakeLlamaServer.start();
    const server = await describeServer(fake.url, null);
    const samples = await new ScenarioRun(server, set, 132, signal).all(true);
    expect(samples.map(({ scenario, turn, promptTokens }) => [scenario, turn, promptTokens])).toEqual([
      ["short", 0, 4],
      ["multi-turn", 0, 4],
      ["multi-turn", 1, 11],
      ["multi-turn", 2, 18],
      ["short", 0, 4],
      ["window", 0, 100],
    ]);
    expect(fake.requests).toHaveLength(7);
    const again = await new ScenarioRun(server, set, 132, signal).all(false);
    expect(again.map(({ scenario }) => scenario)).not.toContain("window");
  });

  it("uses the prompt cache within a conversation only", async () => {
    await using fake = await FakeLlamaServer.start();
    await new ScenarioRun(await describeServer(fake.url, null), set, 132, signal).all(true);
    expect(fake.requests.map(({ cache_prompt: isCached }) => isCached)).toEqual([false, false, true, true, true, false, false]);
  });
});
