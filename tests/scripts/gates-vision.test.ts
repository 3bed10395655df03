/** The smoke test of vision against a fake server. Does not prove that a real one takes the picture: tests/integration/vision.test.ts does. */
import { describe, expect, it } from "vitest";

import { describeServer } from "../../scripts/gates/chat-client.ts";
import { tryVision } from "../../scripts/gates/vision.ts";
import { FakeLlamaServer } from "../support/fake-llama-server.ts";
import type { FakeBehaviour } from "../support/fake-llama-server.ts";

const { signal } = new AbortController();

async function problemOf(picture: FakeBehaviour["picture"]): Promise<string | null> {
  await using fake = await FakeLlamaServer.start(picture === undefined ? {} : { picture });
  const { problem } = await tryVision(await describeServer(fake.url, null), 60, signal);
  return problem;
}

describe("the smoke test of vision", () => {
  it("finds nothing wrong with a server that sees, and keeps both answers", async () => {
    await using fake = await FakeLlamaServer.start();
    const sample = await tryVision(await describeServer(fake.url, null), 60, signal);
    expect(sample.problem).toBeNull();
    expect(JSON.parse(sample.withPicture.body)).toMatchObject({ usage: { prompt_tokens: 263 } });
    expect(JSON.parse(sample.withoutPicture.body)).toMatchObject({ usage: { prompt_tokens: 7 } });
  });

  it("asks twice the same, greedily, once with a PNG and once without", async () => {
    await using fake = await FakeLlamaServer.start();
    const { request } = await tryVision(await describeServer(fake.url, null), 60, signal);
    const text = { type: "text", text: "Which two colours does this picture have?" };
    const picture = { type: "image_url", image_url: { url: expect.stringMatching(/^data:image\/png;base64,iVBORw0KGgo/) as string } };
    const settings = { max_tokens: 16, temperature: 0, cache_prompt: false };
    expect(fake.partsRequests).toEqual([
      { messages: [{ role: "user", content: [text] }], ...settings },
      { messages: [{ role: "user", content: [picture, text] }], ...settings },
    ]);
    expect(fake.partsRequests[1]).toEqual(request);
  });

  it("takes thinking for an answer", async () => {
    expect(await problemOf({ answer: { content: null, reasoning_content: "Red, then" } })).toBeNull();
  });

  it.each<[string, FakeBehaviour["picture"], string]>([
    [
      "ignores the picture",
      { tokens: 0 },
      "vision: got a prompt of 7 tokens with a picture and 7 without, expected more with it: the server ignores pictures",
    ],
    ["answers nothing", { answer: { content: " " } }, "vision: got an empty answer to the request with a picture, expected text"],
    [
      "was started without the projector",
      { refusal: "image input is not supported" },
      'vision: got status 500 to the request with a picture, expected 200: {"error":{"code":500,"message":"image input is not supported","type":"server_error"}}',
    ],
    [
      "dies of it",
      { breaks: true },
      "vision: the server broke off the request with a picture: Error: socket hang up; see the end of its log",
    ],
    [
      "answers something else",
      { answer: { content: 1 } },
      'vision: got no chat completion with its usage to the request with a picture: {"choices":[{"finish_reason":"stop","message":{"role":"assistant","content":1}}],"usage":{"prompt_tokens":263,"completion_tokens":3}}',
    ],
  ])("fails a server that %s", async (_, picture, problem) => {
    expect(await problemOf(picture)).toBe(problem);
  });

  it("fails itself when its gate is stopped", async () => {
    await using fake = await FakeLlamaServer.start();
    const stopped = AbortSignal.abort(new Error("stopped by SIGTERM"));
    await expect(tryVision(await describeServer(fake.url, null), 60, stopped)).rejects.toThrow("stopped by SIGTERM");
  });
});
