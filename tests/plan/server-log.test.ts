/** What is shown of a server's log. The logs are real (tests/fixtures/llama-server); that they are shown is seen in tests/faults. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { lastLines, mostFrames } from "../../plan/server-log.ts";

const read = (name: string): string => readFileSync(new URL(`../fixtures/llama-server/${name}.txt`, import.meta.url), "utf8");

describe("the last lines of a server's log", () => {
  it("are the engine's reason, not the frames that it prints after it", () => {
    expect(lastLines(read("cuda-first-long-prompt"), 3)).toMatchInlineSnapshot(`
      "0.01.104.391 E CUDA error: the resource allocation failed
      0.01.104.398 E   current device: 0, in function cublas_handle at /src/ggml/src/ggml-cuda/../ggml-cuda/common.cuh:1534
      0.01.104.399 E   cublasCreate_v2(&cublas_handles[device][curr_stream_no])"
    `);
  });

  it("are found in what is read of it", () => {
    const frames = read("cuda-first-long-prompt")
      .split("\n")
      .filter((line) => line.startsWith("/build/") || line.startsWith("/lib/"));
    expect(frames.length).toBeGreaterThan(10);
    expect(frames.length).toBeLessThan(mostFrames);
  });

  it.each([
    ["a log without a backtrace", "a\nb\nc\n", "b\nc"],
    ["a short log", "a", "a"],
    ["an empty log", "\n\n", ""],
    ["a line with brackets that is no frame", "x\nsampler chain (top-k) [0xg]\n", "x\nsampler chain (top-k) [0xg]"],
  ])("of %s are its last ones", (_what, log, expected) => {
    expect(lastLines(log, 2)).toBe(expected);
  });
});
