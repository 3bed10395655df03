/**
 * The benchmark's client against a server whose stream is damaged: a request is measured with numbers that can be compared, or refused in words. Cannot
 * prove: that a server which lies consistently is found out; that is what the perplexity gate and the client's own clock are for.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeServer, measureChat } from "../../scripts/gates/chat-client.ts";
import { damaged, fuzzSeed as seed } from "../fuzz/damage.ts";

/** A stream as llama-server sends it. */
const stream = [1, 2, 3]
  .map((predicted) => {
    const timings = { prompt_n: 5, prompt_ms: 10, predicted_n: predicted, predicted_ms: predicted * 8, cache_n: 0 };
    return `data: ${JSON.stringify({ choices: [{ delta: { content: "word " } }], timings })}\n\n`;
  })
  .concat("data: [DONE]\n\n")
  .join("");

let server: http.Server;
let body = stream;
beforeAll(async () => {
  server = http.createServer((request, response) => {
    request.resume();
    response.writeHead(200, { "content-type": "text/event-stream" }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
  server.close();
});

const measure = async () => {
  const chatServer = await describeServer(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, null);
  const request = {
    scenario: "short",
    turn: 0,
    messages: [{ role: "user", content: "hi" }],
    generateTokens: 3,
    cachePrompt: false,
    seed: 1,
  };
  return measureChat(chatServer, request as Parameters<typeof measureChat>[1], AbortSignal.timeout(5_000));
};

describe("a stream of completions", () => {
  it("that is whole is measured", async () => {
    body = stream;
    expect((await measure()).sample).toMatchObject({ generatedTokens: 3, promptTokens: 5 });
  });

  it("that is damaged is measured in comparable numbers or refused with a reason", async () => {
    const outcomes = { measured: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(damaged(stream), async (text) => {
        body = text;
        const { sample } = await measure().catch((error: unknown) => {
          expect(error).toBeInstanceOf(Error);
          expect((error as Error).message).not.toBe("");
          return { sample: undefined };
        });
        outcomes[sample === undefined ? "refused" : "measured"] += 1;
        for (const value of Object.values(sample ?? {})) if (typeof value === "number") expect(Number.isFinite(value)).toBe(true);
      }),
      { seed, numRuns: 400 },
    );
    expect(Math.min(outcomes.measured, outcomes.refused)).toBeGreaterThan(0);
  });
});
