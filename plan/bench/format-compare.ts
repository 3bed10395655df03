import type { BenchmarkResult } from "../benchmark/result.ts";
import type { ComparedMetric, SpeedComparison } from "./compare.ts";

/** A result with its file, as the command line named it. */
export interface NamedResult {
  readonly file: string;
  readonly result: BenchmarkResult;
}

const headings = ["metric", "unit", "baseline", "candidate", "difference", "confidence interval", "allowed", "verdict"];

/** A comparison for one screen: what is compared, a row per metric, the verdict last. */
export function formatComparison(baseline: NamedResult, candidate: NamedResult, comparison: SpeedComparison): string {
  const rows = [headings, ...comparison.metrics.map(row)];
  const widths = headings.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  const table = rows.map(
    (cells) =>
      `  ${cells
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd()}`,
  );
  return [
    `baseline   ${describe(baseline)}`,
    `candidate  ${describe(candidate)}`,
    ...comparison.differences.map((line) => `  differs in ${line}`),
    ...comparison.doubts.map((line) => `  in doubt: ${line}`),
    ...(comparison.metrics.length === 0 ? [] : table),
    `${comparison.verdict.toUpperCase()}: ${comparison.reason}`,
  ].join("\n");
}

const describe = ({ file, result }: NamedResult): string =>
  `${result.subject.profile}, build ${result.build}, ${result.starts.length} starts, ${result.startedAt.slice(0, 16).replace("T", " ")}: ${file}`;

function row(metric: ComparedMetric): string[] {
  const interval = metric.intervalPercent;
  const note = metric.note === undefined ? "" : ` (${metric.note})`;
  return [
    metric.name,
    metric.unit,
    number(metric.baseline),
    number(metric.measured),
    signed(metric.differencePercent),
    interval === null ? "-" : `${signed(interval[0])} … ${signed(interval[1])}`,
    signed(metric.limitPercent),
    `${metric.verdict}${metric.decides ? "" : ", reported only"}${note}`,
  ];
}

const number = (value: number | null): string => (value === null ? "-" : value.toFixed(Math.abs(value) >= 100 ? 1 : 2));
const signed = (value: number | null): string => (value === null ? "-" : `${value > 0 ? "+" : ""}${value.toFixed(2)} %`);
