import type { BenchmarkResult } from "../benchmark/result.ts";
import { decideSpeed } from "../gates/speed-gate.ts";
import type { BenchmarkThresholds } from "../gates/thresholds.ts";
import { cutInterval } from "./chart.ts";
import { cell, none, signedPercent, tokS, type Cell, type Figure, type Section, type Table } from "./document.ts";
import type { Filed, ReportInput } from "./input.ts";
import { compare, comparisonKey, levelsOf, scenariosOf, speedOf, type Run, type Speed } from "./runs.ts";
import { day, groupBy, speedCell, vramCell } from "./speed-section.ts";

/** Charts of so many profiles are drawn, those with the newest measurements; the tables have all. */
const mostCharts = 12;
/** A chart shows so many measurements, the newest. */
const mostPoints = 40;

/** One measurement in a row of comparable ones. */
interface Step {
  readonly file: string;
  readonly result: BenchmarkResult;
  readonly scenario: string;
  readonly speed: Speed;
  /** Least speed that the gate's margin accepts after the measurement before; null for the first. */
  readonly limit: number | null;
  readonly differencePercent: number | null;
  /** What the gate's statistics say against the measurement before; null for the first, and where too few starts were taken. */
  readonly verdict: string | null;
}

/** Every profile's measurements over builds, each against the one before with the gate's margin and statistics. */
export function historySection(input: ReportInput, runs: readonly Run[]): Section {
  const rows = groupBy(
    [...input.results].sort((a, b) => compare(a.content.startedAt, b.content.startedAt)),
    ({ content }) => `${content.subject.profile}\n${comparisonKey(content)}`,
  )
    .map((group) => stepsOf(group, input.thresholdsOf(group[0].content.scenarioSet)))
    .sort((a, b) => compare(b.at(-1)?.result.startedAt ?? "", a.at(-1)?.result.startedAt ?? ""));
  const handedOver = runs.filter(({ origin }) => origin === "handed over");
  return {
    id: "history",
    title: "History",
    paragraphs: [
      "Each measurement of a profile against the one before it on the same host, with the same model file and questions. The short red line under a point is the least that the gate's margin accepts after the measurement before.",
      ...(handedOver.length === 0
        ? []
        : ["The hand-over's results are the first history; they came without samples, so nothing is decided against them here."]),
    ],
    figures: rows
      .filter((steps) => steps.length > 1)
      .slice(0, mostCharts)
      .map(historyFigure),
    tables: [...rows.map((steps) => historyTable(steps, input)), ...(handedOver.length === 0 ? [] : [handOverTable(handedOver)])],
  };
}

function stepsOf(
  group: readonly [Filed<BenchmarkResult>, ...Filed<BenchmarkResult>[]],
  thresholds: BenchmarkThresholds | undefined,
): Step[] {
  const gated = thresholds?.metrics.find(({ metric }) => metric === "decode");
  const names = scenariosOf(group[0].content);
  const scenario = gated !== undefined && names.includes(gated.scenario) ? gated.scenario : names[0];
  if (scenario === undefined) return [];
  const level = thresholds?.startLevel ?? "mean";
  let before: number[] | null = null;
  return group.flatMap(({ file, content }): Step[] => {
    if (!scenariosOf(content).includes(scenario)) return [];
    const levels = levelsOf(content, scenario, "decode", level);
    const speed = speedOf(levels);
    const step = {
      file,
      result: content,
      scenario,
      speed,
      ...againstBefore(levels, before, gated?.marginPercent ?? thresholds?.marginPercent, thresholds),
    };
    before = levels;
    return [step];
  });
}

/** One measurement against the one before: limit, difference, and the gate's verdict where both have the starts for it. */
function againstBefore(
  levels: readonly number[],
  before: readonly number[] | null,
  marginPercent: number | undefined,
  thresholds: BenchmarkThresholds | undefined,
): Pick<Step, "limit" | "differencePercent" | "verdict"> {
  if (before === null) return { limit: null, differencePercent: null, verdict: null };
  const base = speedOf(before).value;
  const differencePercent = 100 * (speedOf(levels).value / base - 1);
  if (marginPercent === undefined || thresholds === undefined) return { limit: null, differencePercent, verdict: null };
  const limit = base * (1 - marginPercent / 100);
  if (Math.min(levels.length, before.length) < 2) return { limit, differencePercent, verdict: null };
  const common = { name: "decode", unit: "tok/s", better: "higher" as const, marginPercent, baselineSessions: 1 };
  const { verdict } = decideSpeed([{ ...common, candidate: levels, baseline: before }], { ...thresholds, looks: [levels.length] });
  return { limit, differencePercent, verdict };
}

const isWorse = ({ verdict }: Step): boolean => verdict === "failed";

function historyFigure(steps: readonly Step[], index: number): Figure {
  const shown = steps.slice(-mostPoints);
  const [first, last] = [shown[0], shown.at(-1)];
  const profile = first?.result.subject.profile ?? "";
  const worse = shown.filter(isWorse).length;
  const values = shown.map(({ speed }) => speed.value);
  return {
    id: `history-${index}`,
    title: `${profile}: ${first?.scenario ?? ""} workload over ${shown.length} measurements`,
    summary: `From ${tokS(first?.speed.value ?? 0)} to ${tokS(last?.speed.value ?? 0)} tok/s; ${worse === 0 ? "none" : worse} of them shown to be worse than the margin allows.`,
    chart: {
      kind: "history",
      axis: "generated tok/s",
      points: shown.map((step) => ({
        ...cutInterval(step.speed, values),
        label: `${step.result.build}\n${day(step.result.startedAt).slice(2)}`,
        limit: step.limit,
        isWorse: isWorse(step),
      })),
    },
  };
}

function historyTable(steps: readonly Step[], { thresholdsOf }: ReportInput): Table {
  const first = steps[0];
  if (first === undefined) return { caption: "no measurement", columns: [], rows: [] };
  const { result, scenario } = first;
  const margin = thresholdsOf(result.scenarioSet)?.marginPercent;
  return {
    isFolded: true,
    caption: `${result.subject.profile} on ${result.host.name} (${result.device}), set ${result.scenarioSet}: ${steps.length} measurement${steps.length === 1 ? "" : "s"}, ${scenario} workload${margin === undefined ? "" : `, margin ${margin} %`}`,
    columns: [
      { label: "measured" },
      { label: "build" },
      { label: "release" },
      { label: "tok/s", isNumber: true },
      { label: "change", isNumber: true },
      { label: "starts", isNumber: true },
      { label: "by the gate's statistics" },
    ],
    rows: [...steps].reverse().map(historyRow),
  };
}

function historyRow({ file, result, speed, differencePercent, verdict }: Step): Cell[] {
  return [
    cell(day(result.startedAt), { href: file }),
    cell(result.build),
    cell(result.subject.releaseId),
    speedCell(speed, file, false),
    differencePercent === null ? none("first") : cell(signedPercent(differencePercent), { href: file }),
    cell(String(speed.starts), { href: file }),
    verdict === null ? none("not decided") : cell(verdict, { tone: verdict === "passed" ? "good" : verdict === "failed" ? "bad" : "warn" }),
  ];
}

const handOverTable = (runs: readonly Run[]): Table => ({
  caption: "First history: the results that the hand-over names",
  columns: [
    { label: "profile" },
    { label: "taken (host's time)" },
    { label: "short workload, tok/s", isNumber: true },
    { label: "VRAM MiB", isNumber: true },
    { label: "note" },
  ],
  rows: runs.map((run) => [
    cell(run.profile, { href: run.file }),
    cell(day(run.at)),
    speedCell(run.speeds["short"], run.file, false),
    vramCell(run),
    cell(run.note ?? "taken from the hand-over"),
  ]),
});
