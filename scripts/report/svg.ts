import { init } from "echarts/dist/echarts.esm.min";
import type { Chart } from "../../plan/report/chart.ts";
import { chartOption } from "../../plan/report/chart-option.ts";

/** Hover rules and data marks that ECharts writes for its own client, which this report has none of. */
const clientOnly =
  / class="zr\d+-cls-\d+"| ecmeta_\w+="[^"]*"| pointer-events="visible"| version="1\.1" baseProfile="full"|<style ><!\[CDATA\[[^]*?\]\]>\s*<\/style>/g;

/** A chart as the text of an `svg` element of that width, px. The same chart gives the same text, apart from ids, which count up. */
export function renderSvg(chart: Chart, width: number): string {
  const { option, height } = chartOption(chart, width);
  const drawing = init(null, null, { renderer: "svg", ssr: true, width, height });
  try {
    drawing.setOption(option);
    return drawing.renderToSVGString().replace(clientOnly, "").replaceAll("\n", "");
  } finally {
    drawing.dispose();
  }
}
