import { combineVerdicts } from "./verdict.ts";
import type { GateResult, MetricVerdict, Verdict } from "./verdict.ts";

const missing = "-";

function number(value: number | null): string {
  return value === null ? missing : value.toFixed(Math.abs(value) >= 100 ? 1 : Math.abs(value) >= 10 ? 2 : 3);
}

function signed(value: number | null): string {
  return value === null ? missing : `${value > 0 ? "+" : ""}${value.toFixed(2)} %`;
}

function limit(metric: MetricVerdict): string {
  if (metric.limitPercent !== null) return signed(metric.limitPercent);
  if (metric.floor !== null) return `at least ${number(metric.floor)}`;
  return metric.ceiling === null ? missing : `at most ${number(metric.ceiling)}`;
}

function row(metric: MetricVerdict): string[] {
  const interval = metric.intervalPercent;
  return [
    metric.name,
    `${number(metric.measured)}${metric.unit === "" ? "" : ` ${metric.unit}`}`,
    number(metric.baseline),
    signed(metric.differencePercent),
    interval === null ? missing : `${signed(interval[0])} … ${signed(interval[1])}`,
    limit(metric),
    metric.verdict + (metric.note === undefined ? "" : ` (${metric.note})`),
  ];
}

/** Rows of cells as text with aligned columns, indented by two. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  return rows
    .map(
      (cells) =>
        "  " +
        cells
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join("  ")
          .trimEnd(),
    )
    .join("\n");
}

/** One line: what was measured against what is allowed, for the metric that decided (the worst verdict first). */
export function describeMetric(metric: MetricVerdict): string {
  const measured = `${metric.name} ${number(metric.measured)}${metric.unit === "" ? "" : ` ${metric.unit}`}`;
  const note = metric.note === undefined ? "" : ` (${metric.note})`;
  if (metric.baseline === null) return `${measured}, ${limit(metric)}${note}`;
  const interval = metric.intervalPercent;
  const range = interval === null ? "" : ` (${signed(interval[0])} … ${signed(interval[1])})`;
  return `${measured} against ${number(metric.baseline)}: ${signed(metric.differencePercent)}${range}, allowed ${limit(metric)}${note}`;
}

/** The reason line of an outcome: the metrics that did not pass, each with its verdict where that is not the one of all together, else what passed. */
export function reasonOf(metrics: readonly MetricVerdict[], passedReason: string): string {
  const open = metrics.filter((metric) => metric.verdict !== "passed");
  const together = combineVerdicts(open.map(({ verdict }) => verdict));
  const describe = (metric: MetricVerdict): string =>
    `${metric.verdict === together ? "" : `${metric.verdict}: `}${describeMetric(metric)}`;
  return open.length === 0 ? passedReason : open.map(describe).join("; ");
}

type Open = Exclude<Verdict, "passed">;
const advice: Readonly<Record<Open, string>> = {
  failed: "put the configuration back, or make the candidate better,",
  inconclusive: "wait until the host has less to do, or put the configuration back,",
  error: "mend what is named above, or put the configuration back,",
};

/** One line: what to do after a gate ended a rollout. */
export const describeNext = (verdict: Open, stack: string): string => `next: ${advice[verdict]} and run: npm run up -- ${stack}`;

/** A gate's result as a table of one screen: verdict and reason first, then a row per metric, then where the evidence is. */
export function formatGateResult(result: GateResult): string {
  const compared = result.comparedWith;
  const against =
    compared === null
      ? "nothing"
      : compared.source === "floors"
        ? `floors only: ${compared.name}`
        : `${compared.source} ${compared.name}${compared.releaseId === null ? "" : ` of release ${compared.releaseId}`}`;
  const head = `${result.gate} gate: ${result.verdict.toUpperCase()}${result.dryRun ? " (dry run: does not decide)" : ""} · ${result.reason}`;
  const rows = [["metric", "measured", "baseline", "difference", "confidence interval", "allowed", "verdict"], ...result.metrics.map(row)];
  return [
    head,
    `  release ${result.releaseId}${result.server === undefined ? "" : `, ${result.server}`} · compared with ${against} · ${result.samples} samples in ${result.wallSec.toFixed(0)} s`,
    ...(result.metrics.length === 0 ? [] : [formatTable(rows)]),
    `  evidence: ${result.evidence ?? "none could be kept"}`,
  ].join("\n");
}
