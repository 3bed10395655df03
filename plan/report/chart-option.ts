import type { Chart } from "./chart.ts";
import { historyOption, scatterOption } from "./chart-points.ts";
import { memoryOption, rowsOption } from "./chart-rows.ts";
import type { SizedOption } from "./chart-shapes.ts";

/** The option that draws a chart at a width, px. */
export function chartOption(chart: Chart, width: number): SizedOption {
  switch (chart.kind) {
    case "rows":
      return rowsOption(chart, width);
    case "memory":
      return memoryOption(chart, width);
    case "scatter":
      return scatterOption(chart, width);
    case "history":
      return historyOption(chart, width);
  }
}
