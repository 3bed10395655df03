import type { Chart } from "./chart.ts";

/** How a cell reads beside others: `best` of its column, `bad` news, `quiet` where it says that there is nothing. */
export type Tone = "best" | "good" | "warn" | "bad" | "quiet";

/** One cell; `href` is a path in the project, of the file that the cell's number is from. */
export interface Cell {
  readonly text: string;
  readonly href?: string;
  readonly tone?: Tone;
}

/** A column; numbers are aligned to the right. */
export interface Column {
  readonly label: string;
  readonly isNumber?: boolean;
}

/** A table with a caption that says what it shows; each row's first cell names the row. */
export interface Table {
  readonly caption: string;
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Cell[])[];
  /** Folded behind its caption, for tables that few look at. */
  readonly isFolded?: boolean;
}

/** A chart with words for those who don't see it. */
export interface Figure {
  readonly id: string;
  readonly title: string;
  /** What the chart shows, as a sentence with its main numbers. */
  readonly summary: string;
  readonly chart: Chart;
}

/** One part of the report. */
export interface Section {
  readonly id: string;
  readonly title: string;
  readonly paragraphs: readonly string[];
  readonly figures: readonly Figure[];
  readonly tables: readonly Table[];
}

/** One of the numbers that the page opens with; `href` is a path in the project, `section` the part whose tables hold what a count counts. */
export type Fact = { readonly label: string; readonly value: string; readonly detail: string } & (
  { readonly href: string } | { readonly section: string }
);

/** The whole report as values; HTML and Markdown are two ways to write it down. */
export interface ReportDocument {
  readonly title: string;
  readonly lead: string;
  /** The few numbers that the page opens with. */
  readonly facts: readonly Fact[];
  readonly sections: readonly Section[];
}

export const cell = (text: string, extra: Omit<Cell, "text"> = {}): Cell => ({ text, ...extra });
/** A cell that says that there is nothing. */
export const none = (text = "–"): Cell => ({ text, tone: "quiet" });
/** Tokens per second as people read them: three digits. */
export const tokS = (value: number): string => value.toFixed(value >= 100 ? 0 : 1);
/** MiB with a thin space between thousands. */
export const mib = (value: number): string =>
  Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, "\u202f");
/** A signed change, e.g. `+2.1 %`. */
export const signedPercent = (value: number, digits = 1): string =>
  `${value > 0 ? "+" : value < 0 ? "−" : "±"}${Math.abs(value).toFixed(digits)} %`;
