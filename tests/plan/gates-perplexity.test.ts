/** Reading and deciding perplexity. The fixtures are real; that the gate runs the tool rightly is shown by tests/integration. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

import { decidePerplexity, decidePerplexityCeiling, perplexityOf, readPerplexityOutput } from "../../plan/gates/perplexity-gate.ts";
import { mismatchOf, perplexityReferenceSchema } from "../../plan/gates/reference.ts";

const read = (name: string): string => readFileSync(new URL(`../fixtures/llama-perplexity/${name}.txt`, import.meta.url), "utf8");
const whole = read("b11669-debian");

describe("reading", () => {
  it.each([
    ["49bfddeca", 19.9788, "+/- 2.15197"],
    ["0c1e57098", 20.0076, "+/- 2.15343"],
    ["b11669-debian", 20.0711, "+/- 2.16374"],
  ])("build %s: the chunks give the tool's own estimate to its last digit", (name, finalPerplexity, error) => {
    const text = read(name);
    const reading = readPerplexityOutput(text, 4);
    expect(text).toContain(error);
    expect(reading.finalError).toBe(Number(error.slice(4)));
    expect(reading.finalPerplexity).toBe(finalPerplexity);
    expect(perplexityOf(reading.chunks).toFixed(4)).toBe(finalPerplexity.toFixed(4));
  });

  it("gives each chunk's own negative log-likelihood, not the running one", () => {
    const { chunks } = readPerplexityOutput(whole, 4);
    expect(chunks.map((nll) => Math.exp(nll).toFixed(2))).toEqual(["19.80", "28.80", "11.80", "24.11"]);
  });

  it.each([
    ["a NaN in the chunks", whole.replace("[3]18.8816", "[3]nan"), 'got "[3]nan", expected "[chunk]perplexity", in line: [1]19.8040'],
    ["an infinity in the chunks", whole.replace("[3]18.8816", "[3]inf"), 'got "[3]inf"'],
    ["a decimal comma", whole.replace("[3]18.8816", "[3]18,8816"), 'got "[3]18"'],
    ["a negative value", whole.replace("[3]18.8816", "[3]-18.8816"), 'got "[3]-18.8816"'],
    ["a zero", whole.replace("[3]18.8816", "[3]0.0000"), 'got "0.0000", expected a positive decimal number'],
    ["a missing chunk", whole.replace("[3]18.8816,", ""), "got chunk 4 after 2"],
    ["a chunk that came twice", whole.replace("[3]18.8816,", "[2]18.8816,"), "got chunk 2 after 2"],
    ["a NaN estimate", whole.replace("PPL = 20.0711", "PPL = nan"), 'got "nan", expected a positive decimal number'],
    [
      "an estimate that is not the last running value",
      whole.replace("PPL = 20.0711", "PPL = 20.0712"),
      "the last running value is 20.0711",
    ],
    ["another wording", whole.replace("PPL = 20.0711 +/-", "PPL: 20.0711 +-"), 'expected "Final estimate: PPL = x +/- y"'],
    ["no estimate", whole.replace(/.*Final estimate.*/, "killed"), "got 0 final estimates, expected one; the output ends with: killed"],
    ["nothing at all", "", "got 0 chunks, expected 4"],
  ])("fails on %s, with the line", (_what, text, message) => {
    expect(() => readPerplexityOutput(text, 4)).toThrow(message);
  });

  it("fails on another number of chunks than asked for", () => {
    expect(() => readPerplexityOutput(whole, 8)).toThrow("llama-perplexity: got 4 chunks, expected 8");
  });
});

describe("deciding", () => {
  const reference = [3, 3.4, 2.5, 3.2, 3.5, 3.4, 3, 3];
  const thresholds = { alpha: 0.05, marginPercent: 1 };
  const risenBy = (percent: number): number[] =>
    reference.map((nll, index) => nll + Math.log1p(percent / 100) + (index % 2 ? 1 : -1) * 1e-4);

  it.each([
    [0, "passed"],
    [0.9, "passed"],
    [1.1, "failed"],
    [53.7, "failed"],
  ] as const)("a rise of %s % with a margin of 1 % is %s", (percent, verdict) => {
    const metric = decidePerplexity(risenBy(percent), reference, thresholds);
    expect(metric.verdict).toBe(verdict);
    expect(metric.differencePercent).toBeCloseTo(percent, 6);
  });

  it("is inconclusive where the chunks disagree about the difference", () => {
    const candidate = reference.map((nll, index) => nll + (index % 2 ? 0.2 : -0.2));
    expect(decidePerplexity(candidate, reference, thresholds).verdict).toBe("inconclusive");
  });

  it("passes builds that differ in kernels only, at the default margin", () => {
    const [debian, source] = ["b11669-debian", "0c1e57098"].map((name) => readPerplexityOutput(read(name), 4).chunks);
    expect(decidePerplexity(source!, debian!, thresholds).verdict).toBe("passed");
  });

  it.each([
    [undefined, "inconclusive"],
    [25, "passed"],
    [19, "failed"],
  ] as const)("without a reference a ceiling of %s decides %s", (ceiling, verdict) => {
    const chunks = [3, 3];
    const metric = decidePerplexityCeiling(chunks, { ...thresholds, quantMarginPercent: 3, ceiling });
    expect(metric.verdict).toBe(verdict);
    expect(metric.measured).toBeCloseTo(20.0855, 3);
  });
});

describe("references", () => {
  const committed = perplexityReferenceSchema.parse(
    JSON.parse(readFileSync(new URL("../../configs/references/gemma-3-270m-dev.json", import.meta.url), "utf8")),
  );
  const run = { family: "gemma-3-270m", corpus: committed.corpus, ctxSize: 512, chunks: 8 };

  it("the committed one gives the perplexity that the tool printed", () => {
    expect(perplexityOf(committed.chunks).toFixed(4)).toBe(committed.finalPerplexity.toFixed(4));
    expect(mismatchOf(committed, run)).toBeUndefined();
  });

  it.each([
    [{ family: "qwen" }, "it is of family gemma-3-270m, not qwen"],
    [{ ctxSize: 256 }, "its context is 512 tokens, not 256"],
    [{ chunks: 9 }, "it has 8 chunks, fewer than 9"],
    [{ corpus: { name: "dev", sha256: "0" } }, `its corpus text is ${committed.corpus.sha256}, not 0`],
  ])("says why one does not apply: %o", (change, reason) => {
    expect(mismatchOf(committed, { ...run, ...change })).toBe(reason);
  });
});
