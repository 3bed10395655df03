import type { CustomSeriesOption } from "echarts";
import type { HistoryChart, ScatterChart } from "./chart.ts";
import {
  at,
  custom,
  fontFamily,
  ink,
  label,
  labelPx,
  line,
  plotArea,
  point,
  slotColour,
  valueAxis,
  wideFrom,
  type Api,
  type SizedOption,
} from "./chart-shapes.ts";

/** The positions, moved down as little as keeps them `gap` apart in their order; null where there is none. */
export function spread(positions: readonly (number | null)[], gap: number): (number | null)[] {
  const moved = [...positions];
  const order = positions.flatMap((position, index) => (position === null ? [] : [{ position, index }]));
  let last = -Infinity;
  for (const { position, index } of order.sort((a, b) => a.position - b.position || a.index - b.index)) {
    last = Math.max(position, last + gap);
    moved[index] = last;
  }
  return moved;
}

/** Named points of two quantities; names beside points that are close stand under each other. */
export function scatterOption({ points, xAxis, yAxis }: ScatterChart, width: number): SizedOption {
  const drawn = custom(
    points.map(({ x, y }) => [y, x]),
    (params, api) => {
      const named = points[params.dataIndex];
      if (named === undefined) return { type: "group", children: [] };
      const { x: left, width: plotWidth } = params.coordSys as unknown as { x: number; width: number };
      const isRight = (x: number): boolean => x > left + plotWidth / 2;
      const [x, y] = at(api, named.x, named.y);
      const beside = points.map((one) => at(api, one.x, one.y)).map(([otherX, otherY]) => (isRight(otherX) === isRight(x) ? otherY : null));
      const labelY = spread(beside, labelPx + 2)[params.dataIndex] ?? y;
      return {
        type: "group",
        children: [
          point(x, y, named.slot, 11, named.isMarked),
          label(named.name, isRight(x) ? x - 10 : x + 10, labelY, isRight(x) ? "right" : "left"),
        ],
      };
    },
  );
  return {
    height: width >= wideFrom ? 360 : 340,
    option: {
      animation: false,
      grid: { ...plotArea(false, []), left: 56 },
      xAxis: {
        ...valueAxis(xAxis, false),
        boundaryGap: ["15%", "15%"],
        splitNumber: width >= wideFrom ? 5 : 3,
        axisLabel: {
          ...valueAxis("", false).axisLabel,
          formatter: (value: number) => value.toFixed(2),
          showMinLabel: false,
          showMaxLabel: false,
        },
      },
      yAxis: { ...valueAxis(yAxis, true), min: 0, nameGap: 34 },
      series: [drawn],
    },
  };
}

/** One quantity over measurements, each with the limit that the one before set. */
export function historyOption({ points, axis }: HistoryChart, width: number): SizedOption {
  const stepWidth = (api: Api): number => {
    const size = api.size?.([1, 0]);
    return Array.isArray(size) ? (size[0] ?? 0) : 0;
  };
  const drawn: CustomSeriesOption = {
    ...custom(
      points.map(({ value, low, high, limit }, index) => [index, value, low, high, limit]),
      (params, api) => {
        const one = points[params.dataIndex];
        if (one === undefined) return { type: "group", children: [] };
        const colour = one.isWorse ? slotColour(1) : slotColour(0);
        const [x, y] = at(api, params.dataIndex, one.value);
        const half = Math.min(22, stepWidth(api) * 0.45);
        const whisker =
          one.low === null || one.high === null
            ? []
            : [line(x, at(api, params.dataIndex, one.low)[1], x, at(api, params.dataIndex, one.high)[1], colour)];
        const limitY = one.limit === null ? null : at(api, params.dataIndex, one.limit)[1];
        const limit = limitY === null ? [] : [line(x - half, limitY, x + half, limitY, ink.limit, 2)];
        return { type: "group", children: [...limit, ...whisker, point(x, y, one.isWorse ? 1 : 0, 9)] };
      },
    ),
    encode: { x: [0], y: [1, 3] },
  };
  return {
    height: width >= wideFrom ? 280 : 330,
    option: {
      animation: false,
      grid: { ...plotArea(false, []), left: 56, ...(width >= wideFrom ? {} : { bottom: 96 }) },
      xAxis: {
        type: "category",
        data: points.map((one) => one.label),
        axisLabel: { color: ink.soft, fontSize: labelPx, fontFamily, hideOverlap: true, ...(width >= wideFrom ? {} : { rotate: 45 }) },
        axisLine: { lineStyle: { color: ink.grid } },
        axisTick: { show: false },
      },
      yAxis: { ...valueAxis(axis, true), min: 0, nameGap: 34 },
      series: [drawn],
    },
  };
}
