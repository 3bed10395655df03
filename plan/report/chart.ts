/** Colour and symbol of a series, 0 to 3: both differ, so that neither is needed alone. */
export type Slot = 0 | 1 | 2 | 3;

/** A value with its bounds; null where it has none. */
export interface Ranged {
  readonly value: number;
  readonly low: number | null;
  readonly high: number | null;
}

/** Whether a point is drawn hollow, because its number is from another source than those beside it. */
interface Marked {
  readonly isMarked: boolean;
}

/** Intervals are shown up to this much of the highest value: two noisy starts can give one of a hundred times it, which would squeeze all else. */
const mostShown = 1.5;

/** A point with its interval cut off where it is far beyond every value of the chart. */
export function cutInterval<Point extends Ranged>(point: Point, values: readonly number[]): Point {
  return point.high === null ? point : { ...point, high: Math.min(point.high, mostShown * Math.max(...values)) };
}

/** A name in a legend with the look that it has in the chart: a series' symbol, a range, a limit's line, or a marked point. */
export interface LegendEntry {
  readonly name: string;
  readonly look: Slot | "range" | "limit" | "marked";
}

/** Values of several series per row, one under the other. */
export interface RowsChart {
  readonly kind: "rows";
  readonly axis: string;
  readonly rows: readonly string[];
  readonly series: readonly { readonly name: string; readonly slot: Slot; readonly points: readonly ((Ranged & Marked) | null)[] }[];
}

/** Planned range, engine's answer and measured value per row, against a budget. */
export interface MemoryChart {
  readonly kind: "memory";
  readonly axis: string;
  readonly budget: number | null;
  readonly rows: readonly {
    readonly name: string;
    readonly low: number;
    readonly expected: number;
    readonly high: number;
    /** Planned for the build that the measured value is of, where that is another one. */
    readonly then: number | null;
    readonly engine: number | null;
    readonly measured: (Marked & { readonly value: number }) | null;
  }[];
}

/** Two quantities of named points. */
export interface ScatterChart {
  readonly kind: "scatter";
  readonly xAxis: string;
  readonly yAxis: string;
  readonly points: readonly (Marked & { readonly name: string; readonly x: number; readonly y: number; readonly slot: Slot })[];
  /** What a slot's points have in common. */
  readonly series: readonly { readonly name: string; readonly slot: Slot }[];
}

/** One quantity over measurements in order, with the least value that the gate would have accepted of each. */
export interface HistoryChart {
  readonly kind: "history";
  readonly axis: string;
  readonly points: readonly (Ranged & { readonly label: string; readonly limit: number | null; readonly isWorse: boolean })[];
}

export type Chart = RowsChart | MemoryChart | ScatterChart | HistoryChart;

/** The legend of a chart. */
export function legendOf(chart: Chart): LegendEntry[] {
  switch (chart.kind) {
    case "rows":
      return [...legendOfSeries(chart.series), ...legendOfMarked(chart.series.flatMap(({ points }) => points))];
    case "memory":
      return [
        { name: "planned, lower to upper bound", look: "range" },
        ...(chart.rows.some(({ then }) => then !== null) ? [{ name: "planned for the build that was measured", look: 3 as const }] : []),
        ...(chart.rows.some(({ engine }) => engine !== null) ? [{ name: "engine's own answer", look: 2 as const }] : []),
        { name: "measured", look: 1 },
        ...legendOfMarked(chart.rows.map(({ measured }) => measured)),
      ];
    case "history":
      return [
        { name: "measured, with 95 % interval", look: 0 },
        { name: "shown to be worse than the margin allows", look: 1 },
        { name: "least that the gate's margin accepts after the one before", look: "limit" },
      ];
    case "scatter":
      return [...legendOfSeries(chart.series), ...legendOfMarked(chart.points)];
  }
}

const legendOfSeries = (series: readonly { readonly name: string; readonly slot: Slot }[]): LegendEntry[] =>
  series.map(({ name, slot }) => ({ name, look: slot }));

const legendOfMarked = (points: readonly (Marked | null)[]): LegendEntry[] =>
  points.some((point) => point?.isMarked === true) ? [{ name: "hollow: of another source than the hand-over", look: "marked" }] : [];
