import type { CustomSeriesOption, EChartsOption } from "echarts";
import { mib } from "./document.ts";
import type { Slot } from "./chart.ts";

/** An option for ECharts with the height that its content needs, px. */
export interface SizedOption {
  readonly option: EChartsOption;
  readonly height: number;
}

export type RenderItem = NonNullable<CustomSeriesOption["renderItem"]>;
export type Api = Parameters<RenderItem>[1];
/** What a `renderItem` returns: the groups and shapes of one data point. */
export type Shape = NonNullable<ReturnType<RenderItem>>;

/** Colours are CSS variables of the page, so that one drawing serves light and dark. */
export const ink = { text: "var(--ink)", soft: "var(--ink-soft)", grid: "var(--grid)", limit: "var(--bad)", panel: "var(--panel)" };
export const slotColour = (slot: Slot): string => `var(--series-${slot})`;
const slotSymbols = ["circle", "rect", "triangle", "diamond"] as const;
export const fontFamily = "system-ui, sans-serif";
export const labelPx = 12;
/** Width from which row names stand left of the plot; below it, they stand above their rows. */
export const wideFrom = 560;

export const valueAxis = (name: string, isZeroBased: boolean) => ({
  type: "value" as const,
  name,
  nameLocation: "middle" as const,
  nameGap: 30,
  nameTextStyle: { color: ink.soft, fontSize: labelPx, fontFamily },
  scale: !isZeroBased,
  axisLabel: { color: ink.soft, fontSize: labelPx, fontFamily, hideOverlap: true, formatter: (value: number) => mib(value) },
  splitLine: { lineStyle: { color: ink.grid } },
  axisLine: { show: false },
  axisTick: { show: false },
});

export const rowAxis = (rows: readonly string[], isWide: boolean) => ({
  type: "category" as const,
  data: [...rows],
  inverse: true,
  axisLabel: { show: isWide, color: ink.text, fontSize: labelPx, fontFamily, interval: 0 },
  axisLine: { lineStyle: { color: ink.grid } },
  axisTick: { show: false },
});

export const custom = (data: (number | null)[][], renderItem: RenderItem): CustomSeriesOption => ({
  type: "custom",
  silent: true,
  animation: false,
  data,
  renderItem,
  encode: { x: (data[0] ?? []).map((_, dimension) => dimension).slice(1), y: [0] }, // bounds too, so that the axis reaches them
});

/** Room around a plot, px; `bottom` holds the axis' numbers and name. */
export const marginPx = { top: 8, bottom: 44, right: 28 };
/** Room of a character of a label, px: wide enough for any common sans-serif at that size. */
const characterPx = 7;

export const plotArea = (isWide: boolean, rows: readonly string[]) => ({
  left: isWide ? Math.max(...rows.map(({ length }) => length)) * characterPx + 14 : 8,
  right: marginPx.right,
  top: marginPx.top,
  bottom: marginPx.bottom,
  outerBoundsMode: "none" as const,
});

export function point(x: number, y: number, slot: Slot, size: number, isHollow = false): Shape {
  const half = size / 2;
  const style = isHollow
    ? { fill: ink.panel, stroke: slotColour(slot), lineWidth: 2 }
    : { fill: slotColour(slot), stroke: ink.panel, lineWidth: 1 };
  switch (slotSymbols[slot]) {
    case "circle":
      return { type: "circle", shape: { cx: x, cy: y, r: half }, style };
    case "rect":
      return { type: "rect", shape: { x: x - half, y: y - half, width: size, height: size }, style };
    case "triangle":
      return { type: "polygon", shape: { points: [[x, y - half - 1], [x + half + 1, y + half], [x - half - 1, y + half]] }, style }; // prettier-ignore
    case "diamond":
      return { type: "polygon", shape: { points: [[x, y - half - 2], [x + half + 2, y], [x, y + half + 2], [x - half - 2, y]] }, style }; // prettier-ignore
  }
}

export const line = (x1: number, y1: number, x2: number, y2: number, stroke: string, lineWidth = 2): Shape => ({
  type: "line",
  shape: { x1, y1, x2, y2 },
  style: { stroke, lineWidth },
});

export const label = (text: string, x: number, y: number, align: "left" | "center" | "right" = "left", fill = ink.text): Shape => ({
  type: "text",
  style: { text, x, y, fill, fontSize: labelPx, fontFamily, align, verticalAlign: "middle" },
});

export const at = (api: Api, x: number, y: number): [number, number] => {
  const [px = 0, py = 0] = api.coord([x, y]);
  return [px, py];
};

export const heightOf = (api: Api): number => {
  const size = api.size?.([0, 1]);
  return Array.isArray(size) ? (size[1] ?? 0) : 0;
};
