/** The benchmark's protocol and how starts become samples. Does not prove that the lengths suit a host: docs/gates.md says what was measured. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { promptWords } from "../../plan/benchmark/prompts.ts";
import { planOrder } from "../../plan/benchmark/order.ts";
import { benchmarkProtocolSchema, protocolVersion, scenarioSetOf } from "../../plan/benchmark/protocol.ts";
import { resultFileName } from "../../plan/benchmark/result.ts";
import type { Scenario } from "../../plan/benchmark/protocol.ts";
import type { RequestSample, StartSample } from "../../plan/benchmark/result.ts";
import { findUnsteady, startLevels, steadySessions } from "../../plan/benchmark/sampling.ts";

const protocol = benchmarkProtocolSchema.parse(parse(readFileSync(new URL("../../configs/benchmark.yaml", import.meta.url), "utf8")));

const request = (change: Partial<RequestSample>): RequestSample => ({
  scenario: "short",
  turn: 0,
  firstTokenMs: 100,
  totalMs: 500,
  decodeTokensPerSec: 60,
  promptTokensPerSec: 300,
  promptTokens: 30,
  cachedTokens: 0,
  generatedTokens: 32,
  serverDecodeTokensPerSec: 60,
  serverPromptTokensPerSec: 310,
  ...change,
});
const start = (...requests: RequestSample[]): StartSample => ({
  startedAt: "2026-01-02T03:04:05Z",
  readyMs: 900,
  memoryPeakMiB: 500,
  loadAverage: 1,
  requests,
});
const decode = { scenario: "short", metric: "decode" } as const;

describe("protocol", () => {
  it.each(["full", "dev"])("set %s asks the seed's four workloads and one prompt that fills the window", (name) => {
    const names = scenarioSetOf(protocol, name).scenarios.map((scenario) => scenario.name);
    expect(names).toEqual(["short", "medium", "long", "multi-turn", "window"]);
  });

  it("fails on a set that there is not, naming those that there are", () => {
    expect(() => scenarioSetOf(protocol, "prod")).toThrow('scenarioSet: got "prod", expected one of full, dev');
  });

  it("fails on two scenarios of one name", () => {
    const set = scenarioSetOf(protocol, "dev");
    const doubled = { version: protocolVersion, sets: { dev: { ...set, scenarios: [...set.scenarios, set.scenarios[0]] } } };
    expect(() => benchmarkProtocolSchema.parse(doubled)).toThrow("expected names that differ");
  });
});

describe("the order within a start", () => {
  const single = (name: string, requests: number): Scenario => ({ kind: "single", name, promptTokens: 1, generateTokens: 2, requests });
  const window: Scenario = { kind: "window", name: "window", generateTokens: 2, reserveTokens: 1 };
  const talk: Scenario = { kind: "conversation", name: "talk", promptTokens: 1, generateTokens: 2, turns: 2, conversations: 2 };

  it("spreads each scenario over the whole start, and leaves what fills the window to the end", () => {
    const names = planOrder([single("a", 4), window, single("b", 2), talk]).map(({ name }) => name);
    expect(names).toEqual(["a", "b", "talk", "a", "a", "b", "talk", "a", "window"]);
  });
});

describe("prompts", () => {
  it("are the same for a seed and differ from the first words on for another", () => {
    expect(promptWords(6, 40)).toBe(promptWords(6, 40));
    expect(promptWords(6, 40).split(" ")).toHaveLength(40);
    expect(promptWords(6, 3)).not.toBe(promptWords(7, 3));
  });
});

describe("samples", () => {
  it("a start is the mean of its requests in ln, or the best of them", () => {
    const starts = [start(request({}), request({ decodeTokensPerSec: 15 }))];
    expect(startLevels(starts, decode, "mean").map(Math.exp)).toEqual([expect.closeTo(30, 9)]);
    expect(startLevels(starts, decode, "best").map(Math.exp)).toEqual([expect.closeTo(60, 9)]);
  });

  it("the best time to the first token is the shortest", () => {
    const starts = [start(request({ firstTokenMs: 80 }), request({ firstTokenMs: 120 }))];
    expect(startLevels(starts, { scenario: "short", metric: "firstToken" }, "best").map(Math.exp)).toEqual([expect.closeTo(80, 9)]);
  });

  it("a client that read late and in bunches can't claim more than the server did", () => {
    const starts = [start(request({ decodeTokensPerSec: 5000 }))];
    expect(startLevels(starts, decode, "best").map(Math.exp)).toEqual([expect.closeTo(60, 9)]);
  });

  it("leaves out the first turn of a conversation", () => {
    const turns = [request({ scenario: "talk", firstTokenMs: 900 }), request({ scenario: "talk", turn: 1, firstTokenMs: 50 })];
    expect(startLevels([start(...turns)], { scenario: "talk", metric: "firstToken" }, "mean").map(Math.exp)).toEqual([
      expect.closeTo(50, 9),
    ]);
  });

  it("takes the best request of each turn, so that turns that get slower are seen", () => {
    const talk = (turn: number, firstTokenMs: number): RequestSample => request({ scenario: "talk", turn, firstTokenMs });
    const starts = [start(talk(1, 100), talk(2, 400), talk(1, 130), talk(2, 500))];
    const level = startLevels(starts, { scenario: "talk", metric: "firstToken" }, "best").map(Math.exp);
    expect(level).toEqual([expect.closeTo(200, 9)]);
  });

  it("fails where a start has no request of the scenario, or no positive finite value", () => {
    expect(() => startLevels([start()], decode, "mean")).toThrow('starts.0: no request of scenario "short"');
    expect(() => startLevels([start(request({ decodeTokensPerSec: 0 }))], decode, "mean")).toThrow(
      "starts.0: short decode is not a positive finite number",
    );
  });
});

it("compares only with measurements whose starts were steady on every gated metric", () => {
  const session = (...speeds: number[]): { starts: StartSample[]; host: { cpus: number } } => ({
    host: { cpus: 2 },
    starts: speeds.map((speed) => start(request({ decodeTokensPerSec: speed }))),
  });
  const [steady, disturbed] = [session(60, 59, 58), session(60, 30, 15)];
  const thresholds = { metrics: [decode], startLevel: "best" as const, maxVariationPercent: 5, maxLoadPerCpu: 2 };
  expect(steadySessions([steady, disturbed], thresholds)).toEqual([steady]);
});

it("says which metrics make a measurement unsteady; a single start shows no spread, so it is", () => {
  const starts = (...speeds: number[]): { starts: StartSample[]; host: { cpus: number } } => ({
    starts: speeds.map((speed) => start(request({ decodeTokensPerSec: speed }))),
    host: { cpus: 2 },
  });
  const thresholds = { metrics: [decode], startLevel: "best" as const, maxVariationPercent: 5, maxLoadPerCpu: 2 };
  expect(findUnsteady(starts(60, 59, 58), thresholds)).toEqual([]);
  expect(findUnsteady(starts(60, 50), thresholds)).toEqual(["short decode spread 12.9 % over 2 starts, allowed 5 %"]);
  expect(findUnsteady(starts(60), thresholds)).toEqual(["1 starts, expected at least 2"]);
});

it("a measurement is unsteady if the host was busy during half of its starts, but not where the load is not known", () => {
  const at = (...loads: (number | null)[]): { starts: StartSample[]; host: { cpus: number } } => ({
    starts: loads.map((loadAverage) => ({ ...start(request({})), loadAverage })),
    host: { cpus: 2 },
  });
  const thresholds = { metrics: [decode], startLevel: "best" as const, maxVariationPercent: 5, maxLoadPerCpu: 2 };
  expect(findUnsteady(at(3.9, 4.1, 4), thresholds)).toEqual([]);
  expect(findUnsteady(at(4.1, 3.9), thresholds)).toEqual(["1 of 2 starts at a load average above 4, on 2 CPUs"]);
  expect(findUnsteady(at(null, null), thresholds)).toEqual([]);
});

it("a result file is named after profile and UTC second", () => {
  expect(resultFileName("s005-c7", "2026-02-25T23:16:09.123Z")).toBe("llama-cpp-s005-c7-20260225-231609.json");
});
