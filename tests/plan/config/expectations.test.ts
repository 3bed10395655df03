import { describe, expect, it } from "vitest";
import { measuredSpeeds, measuredVram, parseExpectations } from "../../../plan/config/expectations.ts";
import { parseSampling, samplingFields, samplingFlags } from "../../../plan/config/sampling.ts";
import { configErrorLines, profileIds, readProjectFile, readSurroundings } from "./support.ts";

// Proves that the numbers are those of the hand-over and agree with each other; nothing here measures anything.

const file = "configs/expectations/s005.json";
const text = readProjectFile(file);
const expectations = parseExpectations(text, file);

/** The one number of a subject from the hand-over. */
function valueOf(subject: Record<string, string>, metric: string): number | readonly number[] | undefined {
  const entries = expectations.measurements.filter(
    (entry) =>
      entry.metric === metric &&
      entry.source === "hand-over" &&
      entry.scenario === undefined &&
      Object.entries(subject).every(([key, value]) => entry[key as "profile"] === value),
  );
  expect(entries).toHaveLength(1);
  return entries[0]?.value;
}

describe("the expectations of session 005", () => {
  it.each([
    ["s005-c1-fulloffload", 35.7, 32.8, 33.2, 35.2, 8064],
    ["s005-c4r-autofit-refit", 40.5, 40.3, 39.6, 40.3, 14660],
    ["s005-c5-q4km-fulloffload", 51.0, 49.8, 49.4, 50.5, 7217],
    ["s005-c7-q4km-partial24", 69.6, 67.0, 65.7, 69.2, 14874],
    ["s005-c8-q4km-fit", 64.3, 62.8, 57.4, 54.2, 14595],
  ])("hold speed and VRAM of %s", (profile, short, medium, long, multiTurn, vram) => {
    expect(measuredSpeeds(expectations, profile)).toEqual({ short, medium, long, "multi-turn": multiTurn });
    expect(measuredVram(expectations, profile)?.value).toBe(vram);
  });

  it("hold nothing for a profile that the hand-over gives no numbers of", () => {
    expect(measuredSpeeds(expectations, "s005-c3-nokv")).toEqual({});
    expect(measuredVram(expectations, "s005-c3-nokv")).toBeUndefined();
  });

  it("hold perplexities whose changes are the stated ones", () => {
    const ppl = (model: string): number => Number(valueOf({ model: `qwen3.5-35b-a3b-${model}` }, "perplexity"));
    expect([ppl("q8_0"), ppl("q4_k_m"), ppl("ud-q4_k_xl")]).toEqual([6.5342, 6.6688, 7.1702]);
    for (const model of ["q4_k_m", "ud-q4_k_xl"]) {
      const stated = Number(valueOf({ model: `qwen3.5-35b-a3b-${model}` }, "perplexityChange"));
      expect(Math.abs((ppl(model) / ppl("q8_0") - 1) * 100 - stated)).toBeLessThan(0.1);
    }
  });

  it("hold ratios to the model before that agree with the numbers they are of", () => {
    const c7 = { profile: "s005-c7-q4km-partial24" };
    const before = { other: "session 002 A2: Qwen3-Next-80B-A3B Q8_0" };
    expect(Number(valueOf(c7, "decodeSpeed")) / Number(valueOf(before, "decodeSpeed"))).toBeCloseTo(
      Number(valueOf(c7, "decodeSpeedRatio")),
      1,
    );
    expect((Number(valueOf(c7, "ram")) / Number(valueOf(before, "ram")) - 1) * 100).toBeCloseTo(Number(valueOf(c7, "ramChange")), 0);
    expect(Number(valueOf(c7, "context")) / Number(valueOf(before, "context"))).toBe(valueOf(c7, "contextRatio"));
    expect((Number(valueOf(c7, "vram")) - Number(valueOf(before, "vram"))) / 1000).toBeCloseTo(Number(valueOf(c7, "vramChange")), 1);
  });

  it("name profiles and models that there are, and the three that failed", () => {
    const { models } = readSurroundings();
    const { measurements, failures } = expectations;
    expect(measurements.flatMap(({ profile }) => profile ?? []).filter((id) => !profileIds.includes(id))).toEqual([]);
    expect(measurements.flatMap(({ model }) => model ?? []).filter((id) => !Object.hasOwn(models, id))).toEqual([]);
    expect(failures.map(({ profile, outcome }) => [profile, outcome])).toEqual([
      ["s005-c2-partial", "out-of-memory"],
      ["s005-c6-q4km-partial16", "out-of-memory"],
      ["s005-c4-autofit", "unknown-flag"],
    ]);
  });
});

describe("parseExpectations", () => {
  const one = (changes: Record<string, unknown>): string =>
    JSON.stringify({
      session: "s",
      sources: { a: "A" },
      host: "h",
      measurements: [{ profile: "p", metric: "vram", value: 1, unit: "MiB", source: "a", ...changes }],
      failures: [],
    });

  it.each([
    [{ unit: "GB" }, 'unit: got "GB", expected MiB, the unit of vram; convert the value'],
    [{ model: "m" }, 'profile: got "p", expected one of profile, model and other; say what was measured, once'],
    [{ scenario: "short" }, 'scenario: got "short", expected a scenario with decodeSpeed only; remove it'],
    [{ against: "q" }, 'against: got "q", expected nothing: the value is absolute; mend it'],
    [{ metric: "ramChange", unit: "percent" }, "against: got nothing, expected what it is relative to; mend it"],
    [{ value: [2, 1] }, "value: got a list of 2, expected [lowest, highest] in this order; swap them"],
    [{ value: "fast" }, 'value: got "fast", expected a number, or [lowest, highest]; write an allowed value'],
    [{ source: "b" }, 'source: got "b", expected a key of sources: a; name a source, or add it'],
  ])("fails on %j", (changes, line) => {
    expect(configErrorLines(() => parseExpectations(one(changes), "e.json"))).toEqual([`e.json: measurements.0.${line}`]);
  });
});

describe("the sampling presets", () => {
  const presets = parseSampling(readProjectFile("configs/sampling.yaml"));

  it("are the two temperatures of session 005, with the model card's other values", () => {
    expect(Object.fromEntries(Object.entries(presets).map(([name, preset]) => [name, samplingFields(preset)]))).toEqual({
      thinking: { temperature: 0.6, top_p: 0.95, top_k: 20, min_p: 0, presence_penalty: 0, repeat_penalty: 1 },
      "non-thinking": { temperature: 0.7, top_p: 0.8, top_k: 20, min_p: 0, presence_penalty: 1.5, repeat_penalty: 1 },
    });
  });

  it("become variables that today's builds read", () => {
    expect(samplingFlags(presets["non-thinking"]!)).toEqual({
      LLAMA_ARG_TEMPERATURE: "0.7",
      LLAMA_ARG_TOP_P: "0.8",
      LLAMA_ARG_TOP_K: "20",
      LLAMA_ARG_MIN_P: "0",
      LLAMA_ARG_PRESENCE_PENALTY: "1.5",
      LLAMA_ARG_REPEAT_PENALTY: "1",
    });
  });

  it("fail on a value out of range", () => {
    const wild = readProjectFile("configs/sampling.yaml").replace("temperature: 0.6", "temperature: 3");
    expect(configErrorLines(() => parseSampling(wild))).toEqual([
      "configs/sampling.yaml: thinking.temperature: got 3, expected a number <= 2; write an allowed value",
    ]);
  });
});
