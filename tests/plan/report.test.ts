import { describe, expect, it } from "vitest";
import { parseExpectations } from "../../plan/config/expectations.ts";
import { benchmarkThresholdsSchema } from "../../plan/gates/thresholds.ts";
import { formatPlanTable, type PlanRow } from "../../plan/memory/table.ts";
import type { Cell, ReportDocument, Table } from "../../plan/report/document.ts";
import { escapeHtml, writeHtml } from "../../plan/report/html.ts";
import type { ReportInput } from "../../plan/report/input.ts";
import { cutInterval, legendOf } from "../../plan/report/chart.ts";
import { parseHandOver } from "../../plan/report/handover.ts";
import { escapeMarkdown, writeMarkdown } from "../../plan/report/markdown.ts";
import { qualitiesOf } from "../../plan/report/quality.ts";
import { planReport } from "../../plan/report/report.ts";
import { speedOf } from "../../plan/report/runs.ts";
import { speedCell } from "../../plan/report/speed-section.ts";
import { readProjectFile } from "../support/project.ts";
import { madeRecord, madeResult, minuteOf } from "../support/results.ts";

// Proves what the report says and links to; that it can be read is the browser's test (tests/integration/report.test.ts).

const handOverFile = "benchmarks/handover-s005.json";
const expectationsFile = "configs/expectations/s005.json";
const models: Record<string, string> = {
  "s005-c1-fulloffload": "qwen3.5-35b-a3b-q8_0",
  "s005-c4r-autofit-refit": "qwen3.5-35b-a3b-q8_0",
  "s005-c5-q4km-fulloffload": "qwen3.5-35b-a3b-q4_k_m",
  "s005-c7-q4km-partial24": "qwen3.5-35b-a3b-q4_k_m",
  "s005-c8-q4km-fit": "qwen3.5-35b-a3b-q4_k_m",
  dev: "gemma-3-270m-q4_k_m",
};

const thresholds = benchmarkThresholdsSchema.parse({ metrics: [{ scenario: "short", metric: "decode" }] });

function input(changes: Partial<ReportInput> = {}): ReportInput {
  return {
    results: [],
    records: [],
    handOvers: [
      {
        file: handOverFile,
        content: parseHandOver(readProjectFile(handOverFile) ?? "", handOverFile),
        expectations: parseExpectations(readProjectFile(expectationsFile) ?? "", expectationsFile),
      },
    ],
    references: [],
    unreadable: [],
    memory: [],
    vramMiB: 16_384,
    modelOf: (profile) => models[profile],
    familyOf: (model) => (model.startsWith("qwen") ? "Qwen3.5-35B-A3B" : "gemma-3-270m"),
    thresholdsOf: () => thresholds,
    ...changes,
  };
}

function tableOf(report: ReportDocument, caption: RegExp): Table {
  const found = report.sections.flatMap(({ tables }) => tables).find((table) => caption.test(table.caption));
  if (found === undefined) throw new Error(`no table ${String(caption)}`);
  return found;
}

const texts = (rows: Table["rows"]): string[][] => rows.map((cells) => cells.map(({ text }) => text));

describe("the report", () => {
  it("shows the hand-over's eight results as the first history, marked as such, with a sign at each number that is another source's", () => {
    const speed = tableOf(
      planReport(input()),
      /taken from the hand-over; no samples came with it; † from the follow-up: the same author's/,
    );
    expect(texts(speed.rows).map((row) => row.slice(0, 7))).toEqual([
      ["s005-c7-q4km-partial24", "69.6", "67.0", "65.7", "69.2", "fastest", "14\u202f874"],
      ["s005-c8-q4km-fit", "64.3 †", "62.8 †", "57.4 †", "54.2 †", "−12.3 % †", "14\u202f595 †"],
      ["s005-c5-q4km-fulloffload", "51.0", "49.8", "49.4", "50.5", "−26.1 %", "7\u202f217"],
      ["s005-c4r-autofit-refit", "40.5", "40.3", "39.6", "40.3", "−40.8 %", "14\u202f660"],
      ["s005-c1-fulloffload", "35.7", "32.8", "33.2", "35.2", "−49.6 %", "8\u202f064"],
      ["s005-c2a-partial32", "–", "–", "–", "–", "–", "–"],
      ["s005-c2b-partial36", "–", "–", "–", "–", "–", "–"],
      ["s005-c3-nokv", "–", "–", "–", "–", "–", "–"],
    ]);
    expect(tableOf(planReport(input()), /First history/).rows).toHaveLength(8);
  });

  it("keeps what each source says of its numbers, and what the hand-over says where they are not its own", () => {
    const notes = new Map(
      tableOf(planReport(input()), /taken from the hand-over; no samples/).rows.map((row) => [row[0]?.text, row.at(-1)?.text]),
    );
    expect(notes.get("s005-c8-q4km-fit")).toBe(
      "† follow-up. The hand-over states about 64 tok/s, s005-c7-q4km-partial24 about 7 % faster. Long, multi-turn: high variance, with outliers. VRAM: stated as 14595 MB; nvidia-smi counts MiB",
    );
    expect(notes.get("s005-c7-q4km-partial24")).toBe("VRAM: stated as 14874 MB; nvidia-smi counts MiB");
    expect(notes.get("s005-c3-nokv")).toBe("the hand-over names the result and states no number");
  });

  it("draws the numbers of another source hollow, and says so in the legend", () => {
    const charts = planReport(input()).sections.flatMap(({ figures }) => figures.map(({ chart }) => chart));
    const marked = charts.map((chart) => [chart.kind, legendOf(chart).some(({ look }) => look === "marked")]);
    expect(marked).toEqual([
      ["rows", true],
      ["scatter", true],
    ]);
    const [rows] = charts;
    expect(rows?.kind === "rows" ? rows.series[0]?.points.map((one) => one?.isMarked) : []).toEqual([false, true, false, false, false]);
  });

  it("counts as measured what has a speed, and says of how many there is a result in name only", () => {
    const { facts, lead } = planReport(input());
    expect(facts.find(({ label }) => label === "Measured")).toEqual({
      label: "Measured",
      value: "5 profiles",
      detail: "on 1 host; of 3 more a result is named and no speed is known",
      section: "speed",
    });
    expect(lead).toContain("8 results that a hand-over names, 3 of them without numbers");
  });

  it("shows VRAM as VRAM and a container's memory as such", () => {
    const results = [
      { profile: "older", startedAt: minuteOf(0), tokensPerSec: 60 },
      { profile: "newer", startedAt: minuteOf(1), tokensPerSec: 70, vramPeakMiB: 14_872 },
    ].map((wish) => ({ file: `benchmarks/llama-cpp-${wish.profile}.json`, content: madeResult(wish) }));
    const { columns, rows } = tableOf(
      planReport(input({ results })),
      /^tok\/s on bench-host.*; RAM is the container's, page cache included$/,
    );
    const shown = columns.flatMap(({ label }, index) => (/MiB/.test(label) ? [[label, ...rows.map((row) => row[index]?.text)]] : []));
    expect(shown).toEqual([
      ["VRAM MiB", "14\u202f874", "–"],
      ["RAM MiB", "277", "277"],
    ]);
  });

  it("shows the hand-over's three perplexities against the best", () => {
    const quality = tableOf(planReport(input()), /Perplexity of Qwen3.5-35B-A3B: WikiText-2/);
    expect(texts(quality.rows).map(([model, , perplexity, over]) => [model, perplexity, over])).toEqual([
      ["qwen3.5-35b-a3b-q8_0", "6.5342", "best"],
      ["qwen3.5-35b-a3b-q4_k_m", "6.6688", "+2.1 %"],
      ["qwen3.5-35b-a3b-ud-q4_k_xl", "7.1702", "+9.7 %"],
    ]);
  });

  it("chooses by number what the hand-over chose", () => {
    expect(texts(tableOf(planReport(input()), /Chosen by number/).rows)).toEqual([
      ["hand-over of session s005", "Qwen3.5-35B-A3B: WikiText-2, session s005", "s005-c7-q4km-partial24", "67.9", "6.6688", "+2.1 %"],
    ]);
  });

  it("links every number to the file that it is from", () => {
    const result = {
      file: "benchmarks/llama-cpp-dev-1.json",
      content: madeResult({ profile: "dev", startedAt: minuteOf(0), tokensPerSec: 70 }),
    };
    const report = planReport(
      input({ results: [result], records: [{ file: "benchmarks/bench-dev-1.json", content: madeRecord("dev", minuteOf(0), 22.6) }] }),
    );
    const bare = report.sections.flatMap(({ tables }) =>
      tables.flatMap(({ columns, rows }) =>
        rows.flatMap((cells) =>
          cells.filter((one: Cell, index) => columns[index]?.isNumber === true && /\d/.test(one.text) && one.href === undefined),
        ),
      ),
    );
    expect(bare).toEqual([]);
  });

  it("takes the model that a profile had when it was benched, not the one that it has now", () => {
    const content = { ...madeRecord("dev", minuteOf(0), 6.7), model: "qwen3.5-35b-a3b-q4_k_m" };
    const qualities = qualitiesOf(input({ records: [{ file: "benchmarks/bench-dev-1.json", content }] }));
    expect(qualities.find(({ origin }) => origin === "measured")).toMatchObject({ model: content.model, family: "Qwen3.5-35B-A3B" });
  });

  it("judges a measurement by the gate's margin against the one before", () => {
    const results = [70, 69, 40].map((tokensPerSec, step) => ({
      file: `benchmarks/llama-cpp-dev-${step}.json`,
      content: madeResult({ profile: "dev", startedAt: minuteOf(step), build: `b${step}`, tokensPerSec }),
    }));
    const report = planReport(input({ results }));
    const history = tableOf(report, /^dev on bench-host/);
    expect(texts(history.rows).map((row) => [row[1], row[6]])).toEqual([
      ["b2", "failed"],
      ["b1", "passed"],
      ["b0", "not decided"],
    ]);
    const chart = report.sections.flatMap(({ figures }) => figures).find(({ id }) => id === "history-0")?.chart;
    expect(chart?.kind === "history" ? chart.points.map(({ isWorse }) => isWorse) : []).toEqual([false, false, true]);
  });

  it("calls a measurement worse only where the statistics do: one start shows nothing, however slow", () => {
    const results = [70, 40].map((tokensPerSec, step) => ({
      file: `benchmarks/llama-cpp-dev-${step}.json`,
      content: madeResult({ profile: "dev", startedAt: minuteOf(step), build: `b${step}`, tokensPerSec, starts: 1 }),
    }));
    const report = planReport(input({ results }));
    expect(texts(tableOf(report, /^dev on bench-host/).rows).map((row) => row[6])).toEqual(["not decided", "not decided"]);
    const figure = report.sections.flatMap(({ figures }) => figures).find(({ id }) => id === "history-0");
    expect(figure?.summary).toMatch(/; none of them shown to be worse/);
    expect(figure?.chart.kind === "history" ? figure.chart.points.map(({ isWorse }) => isWorse) : []).toEqual([false, false]);
  });

  it("says of a record that the result it names is gone", () => {
    const result = {
      file: "benchmarks/llama-cpp-dev-20260601-000000.json",
      content: madeResult({ profile: "dev", startedAt: minuteOf(0), tokensPerSec: 70 }),
    };
    const records = ["dev", "lost"].map((profile) => ({
      file: `benchmarks/bench-${profile}-1.json`,
      content: madeRecord(profile, minuteOf(0), 22.6),
    }));
    const { rows } = tableOf(planReport(input({ handOvers: [], results: [result], records })), /could not be measured/);
    expect(texts(rows)).toEqual([
      ["lost", "result gone", "the record names llama-cpp-lost-20260601-000000.json, which is not there", "2026-06-01 00:00"],
    ]);
    expect(rows[0]?.at(-1)?.href).toBe("benchmarks/bench-lost-1.json");
  });

  it("names what could not be measured and what does not read", () => {
    const unreadable = [{ file: "benchmarks/llama-cpp-torn-1.json", reason: "no JSON" }];
    const refused = { file: "benchmarks/bench-big-1.json", content: madeRecord("big", minuteOf(0), null) };
    const table = tableOf(planReport(input({ unreadable, records: [refused] })), /could not be measured/);
    expect(texts(table.rows).map(([what, outcome]) => [what, outcome])).toEqual([
      ["s005-c2-partial", "out-of-memory"],
      ["s005-c6-q4km-partial16", "out-of-memory"],
      ["s005-c4-autofit", "unknown-flag"],
      ["big", "refused"],
      ["benchmarks/llama-cpp-torn-1.json", "unreadable"],
    ]);
  });

  it("never compares hosts: each has a table of its own", () => {
    const results = ["a", "b"].map((host) => ({
      file: `benchmarks/${host}.json`,
      content: madeResult({ profile: "dev", host, startedAt: minuteOf(0), tokensPerSec: 70 }),
    }));
    const captions = planReport(input({ handOvers: [], results })).sections[0]?.tables.map(({ caption, rows }) => [
      caption.slice(0, 10),
      rows.length,
    ]);
    expect(captions).toEqual([
      ["tok/s on a", 1],
      ["tok/s on b", 1],
    ]);
  });

  it("gives the same page for the same input, whatever the order of the files", () => {
    const results = [1, 2, 3].map((step) => ({
      file: `benchmarks/${step}.json`,
      content: madeResult({ profile: `p${step}`, startedAt: minuteOf(step), tokensPerSec: 50 + step }),
    }));
    const context = { linkTo: (path: string) => path, draw: () => "<svg ></svg>" };
    expect(writeHtml(planReport(input({ results })), context)).toBe(
      writeHtml(planReport(input({ results: results.toReversed() })), context),
    );
  });

  it("escapes what result files say", () => {
    const content = madeResult({ profile: "dev", startedAt: minuteOf(0), tokensPerSec: 70, build: '<script>"|' });
    const report = planReport(input({ results: [{ file: "benchmarks/a.json", content }] }));
    expect(writeHtml(report, { linkTo: (path) => path, draw: () => "<svg ></svg>" })).not.toContain("<script>");
    expect(writeMarkdown(report, { linkTo: (path) => path })).toContain('\\<script\\>"\\|');
    expect(escapeHtml(`<a href="x">&`)).toBe("&lt;a href=&quot;x&quot;&gt;&amp;");
    expect(escapeMarkdown("a|b\n*c*")).toBe("a\\|b \\*c\\*");
  });
});

describe("the scatter's legend", () => {
  const group = (models: number) =>
    Array.from({ length: models }, (_, step) => ({ profile: `p${step}`, model: `qwen-${step}`, startedAt: minuteOf(step) }));
  const legend = (models: number) => {
    const report = planReport(
      input({
        handOvers: [],
        results: group(models).map((one) => ({
          file: `benchmarks/${one.profile}.json`,
          content: madeResult({ ...one, tokensPerSec: 50 }),
        })),
        records: group(models).map(({ profile, model, startedAt }, step) => ({
          file: `benchmarks/bench-${profile}.json`,
          content: { ...madeRecord(profile, startedAt, 6 + step / 10), model },
        })),
      }),
    );
    const chart = report.sections.flatMap(({ figures }) => figures).find(({ id }) => id === "tradeoff-0")?.chart;
    return chart === undefined ? [] : legendOf(chart);
  };

  it("names the model of each colour and symbol", () => {
    expect(legend(2)).toEqual([
      { name: "qwen-0", look: 0 },
      { name: "qwen-1", look: 1 },
    ]);
  });

  it("says where a colour stands for more than one model", () => {
    expect(legend(6).map(({ name }) => name)).toEqual(["qwen-0", "qwen-1", "qwen-2", "qwen-3 and other models"]);
  });
});

describe("the memory table", () => {
  const row = (profile: string, measured: PlanRow["measured"]): PlanRow => ({
    profile,
    model: "model",
    image: "latest",
    build: "b1",
    plan: { kind: "unknown", reason: "no header" },
    engine: { notAsked: "no Docker" },
    measured,
    failure: null,
    then: null,
    measuredTokensPerSec: [],
  });
  const rows = [
    row("gpu", { memoryMiB: 14_874, of: "vram", source: "benchmarks/a.json", statedBy: null }),
    row("stated", { memoryMiB: 14_595, of: "vram", source: "configs/expectations/s005.json", statedBy: "follow-up" }),
    row("cpu", { memoryMiB: 277, of: "container", source: "benchmarks/b.json", statedBy: null }),
  ];

  it("keeps VRAM and a container's memory in columns of their own, and marks what is another source's", () => {
    const table = tableOf(planReport(input({ memory: rows })), /^Memory by profile, MiB \(† from the follow-up, not the hand-over\)$/);
    const columnOf = (label: string) => table.rows.map((cells) => cells[table.columns.findIndex((one) => one.label === label)]?.text);
    expect(columnOf("VRAM measured")).toEqual(["14\u202f874", "14\u202f595 †", "–"]);
    expect(columnOf("RAM measured")).toEqual(["–", "–", "277"]);
  });

  it("has a column of the engine's answers only where the engine was asked", () => {
    const labels = (memory: readonly PlanRow[]) => tableOf(planReport(input({ memory })), /^Memory/).columns.map(({ label }) => label);
    expect(labels(rows)).not.toContain("engine");
    expect(labels([...rows, { ...row("asked", null), engine: { gpuMiB: 100, hostMiB: 10 } }])).toContain("engine");
  });

  it("says in the plan's own table what a figure is of", () => {
    const [, ...lines] = formatPlanTable(rows).split("\n");
    expect(lines.slice(0, 3).map((line) => /(\d+(?: RAM)?) +-/.exec(line)?.[1])).toEqual(["14874", "14595", "277 RAM"]);
  });
});

describe("what is chosen by number", () => {
  const q8 = "qwen3.5-35b-a3b-q8_0";
  const ud = "qwen3.5-35b-a3b-ud-q4_k_xl";
  const gemma = "gemma-3-270m-q4_k_m";

  /** Speeds and perplexities of profiles as if each had been benched alone. */
  const benched = (
    wishes: readonly { profile: string; model: string; tokensPerSec: number; perplexity: number; chunks?: number; scenarioSet?: string }[],
  ) => ({
    handOvers: [],
    results: wishes.map(({ profile, tokensPerSec, scenarioSet = "full" }, step) => ({
      file: `benchmarks/llama-cpp-${profile}-${step}.json`,
      content: madeResult({ profile, tokensPerSec, scenarioSet, startedAt: minuteOf(step) }),
    })),
    records: wishes.map(({ profile, model, perplexity, chunks = 64 }, step) => ({
      file: `benchmarks/bench-${profile}-${step}.json`,
      content: {
        ...madeRecord(profile, minuteOf(step), perplexity),
        model,
        result: null,
        corpus: { name: "wikitext-2", contextTokens: 512, chunks },
      },
    })),
  });
  const choices = (given: Partial<ReportInput>) => {
    const report = planReport(input(given));
    const found = report.sections.flatMap(({ tables }) => tables).find(({ caption }) => caption === "Chosen by number");
    return {
      rows: texts(found?.rows ?? []).map(([host, by, profile]) => [host, by, profile]),
      facts: report.facts.filter(({ label }) => /^(Chosen|Fastest)/.test(label)).map(({ label, value }) => `${label}: ${value}`),
    };
  };

  it("is nothing where a model is alone in its setup: it is its own best", () => {
    const given = benched([
      { profile: "q8", model: q8, tokensPerSec: 40, perplexity: 6.5342 },
      { profile: "ud", model: ud, tokensPerSec: 72, perplexity: 7.1702, chunks: 32 },
    ]);
    const none = "no comparison: neither another model nor the family's reference has a perplexity of this setup";
    expect(choices(given)).toEqual({
      rows: [
        ["bench-host: test device, set full", "Qwen3.5-35B-A3B: corpus wikitext-2, 32 chunks of 512 tokens", none],
        ["bench-host: test device, set full", "Qwen3.5-35B-A3B: corpus wikitext-2, 64 chunks of 512 tokens", none],
      ],
      facts: ["Fastest: bench-host: test device, set full: ud"],
    });
  });

  it("is never the rejected quant where it was measured as the others were", () => {
    const given = benched([
      { profile: "q8", model: q8, tokensPerSec: 40, perplexity: 6.5342 },
      { profile: "ud", model: ud, tokensPerSec: 72, perplexity: 7.1702 },
    ]);
    const { rows, facts } = choices(given);
    expect(rows.map(([, , profile]) => profile)).toEqual(["q8"]);
    expect(facts).toEqual(["Chosen: bench-host: test device, set full: q8"]);
  });

  it("is nothing where every profile is too far from the best", () => {
    const given = benched([{ profile: "ud", model: ud, tokensPerSec: 72, perplexity: 7.1702 }]);
    const [q8Record] = benched([{ profile: "q8", model: q8, tokensPerSec: 40, perplexity: 6.5342 }]).records;
    const { rows } = choices({ ...given, records: [...given.records, ...(q8Record === undefined ? [] : [q8Record])] });
    expect(rows.map(([, , profile]) => profile)).toEqual(["none: each perplexity is more than 3 % over the best"]);
  });

  it("may be a model that is alone beside its family's reference", () => {
    const given = benched([{ profile: "dev", model: gemma, tokensPerSec: 70, perplexity: 22.7, chunks: 2 }]);
    const reference = {
      version: 1 as const,
      family: "gemma-3-270m",
      corpus: { name: "wikitext-2", sha256: "" },
      ctxSize: 512,
      chunks: [3, 3],
      finalPerplexity: 22.657,
      modelSha256: "",
      imageId: "",
      arguments: [],
      recordedAt: minuteOf(0),
    };
    const { rows } = choices({ ...given, references: [{ file: "configs/references/a.json", content: reference }] });
    expect(rows.map(([, , profile]) => profile)).toEqual(["dev"]);
  });

  it("is said for each scenario set of a host: the same profile has another speed in another set", () => {
    const given = benched([
      { profile: "q8", model: q8, tokensPerSec: 40, perplexity: 6.5342 },
      { profile: "q4", model: "qwen3.5-35b-a3b-q4_k_m", tokensPerSec: 70, perplexity: 6.6688 },
      { profile: "q8", model: q8, tokensPerSec: 90, perplexity: 6.5342, scenarioSet: "dev" },
    ]);
    const { rows, facts } = choices(given);
    expect(rows.map(([host, , profile]) => [host, profile])).toEqual([
      ["bench-host: test device, set full", "q4"],
      ["bench-host: test device, set dev", "q8"],
    ]);
    expect(facts).toEqual(["Chosen: bench-host: test device, set dev: q8", "Chosen: bench-host: test device, set full: q4"]);
  });

  it("is said for each family: a small model is fast and no answer to a large one", () => {
    const given = benched([
      { profile: "q8", model: q8, tokensPerSec: 40, perplexity: 6.5342 },
      { profile: "q4", model: "qwen3.5-35b-a3b-q4_k_m", tokensPerSec: 70, perplexity: 6.6688 },
      { profile: "gemma", model: gemma, tokensPerSec: 300, perplexity: 22.6 },
      { profile: "gemma-q8", model: "gemma-3-270m-q8_0", tokensPerSec: 200, perplexity: 22.5 },
    ]);
    expect(choices(given).facts).toEqual([
      "Chosen: bench-host: test device, set full: q4",
      "Chosen: bench-host: test device, set full: gemma",
    ]);
  });
});

describe("a speed's interval", () => {
  it("is Student's over starts, in logarithms", () => {
    // ln values 0, 0.01, 0.02: mean 0.01, s 0.01, t(0.975, 2) = 4.3027, half = 0.024842
    const { value, low, high, starts } = speedOf([0, 0.01, 0.02]);
    expect([value, low, high].map((one) => Math.log(one ?? 0).toFixed(5))).toEqual(["0.01000", "-0.01484", "0.03484"]);
    expect(starts).toBe(3);
  });

  it("that two starts make a hundred times as wide as the value is cut off in charts, and said to be wide in tables", () => {
    const speed = speedOf([Math.log(30), Math.log(50)]);
    expect(speed.high).toBeGreaterThan(900);
    expect(cutInterval(speed, [speed.value, 60]).high).toBe(90);
    expect(cutInterval({ value: 50, low: 48, high: 52 }, [50])).toEqual({ value: 50, low: 48, high: 52 });
    expect(speedCell(speed, "f", false).text).toBe("38.7 ± over 100 %");
  });

  it("is absent for one start, which says nothing about its own spread", () => {
    expect(speedOf([Math.log(50)])).toEqual({ value: expect.closeTo(50, 9) as number, low: null, high: null, starts: 1 });
  });
});
