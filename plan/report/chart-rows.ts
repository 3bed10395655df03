import type { CustomSeriesOption } from "echarts";
import { mib, tokS } from "./document.ts";
import type { MemoryChart, Ranged, RowsChart, Slot } from "./chart.ts";
import {
  at,
  custom,
  heightOf,
  ink,
  label,
  line,
  marginPx,
  plotArea,
  point,
  rowAxis,
  slotColour,
  valueAxis,
  wideFrom,
  type SizedOption,
} from "./chart-shapes.ts";

/** Row names of narrow charts, above their rows. */
const rowNames = (rows: readonly string[], origin: number): CustomSeriesOption =>
  custom(
    rows.map((_, index) => [index, origin]),
    (params, api) => {
      const [, y] = at(api, origin, params.dataIndex);
      const left = (params.coordSys as unknown as { x: number }).x;
      return label(rows[params.dataIndex] ?? "", left + 4, y - heightOf(api) / 2 + 10);
    },
  );

const lowest = (ranged: Ranged): number => ranged.low ?? ranged.value;

/** Values per row with their intervals, one lane a series. */
export function rowsOption({ rows, series, axis }: RowsChart, width: number): SizedOption {
  const isWide = width >= wideFrom;
  const laneHeight = 15;
  const rowHeight = series.length * laneHeight + (isWide ? 14 : 30);
  const drawn = series.map(({ points, slot }, index) => {
    const shown = points.flatMap((ranged, row) => (ranged === null ? [] : [{ ...ranged, row }]));
    return custom(
      shown.map(({ row, value, low, high }) => [row, value, low, high]),
      (params, api) => {
        const one = shown[params.dataIndex];
        if (one === undefined) return { type: "group", children: [] };
        const { row, value, low, high, isMarked } = one;
        const [x, middle] = at(api, value, row);
        const y = middle + (isWide ? 0 : 9) + (index - (series.length - 1) / 2) * laneHeight;
        const whisker = low === null || high === null ? [] : [line(at(api, low, row)[0], y, at(api, high, row)[0], y, slotColour(slot))];
        const right = high === null ? x : at(api, high, row)[0];
        return {
          type: "group",
          children: [...whisker, point(x, y, slot, 9, isMarked), label(tokS(value), Math.max(right, x) + 9, y, "left", ink.soft)],
        };
      },
    );
  });
  const least = Math.min(...series.flatMap(({ points }) => points.flatMap((ranged) => (ranged === null ? [] : [lowest(ranged)]))));
  return {
    height: rows.length * rowHeight + marginPx.top + marginPx.bottom,
    option: {
      animation: false,
      grid: { ...plotArea(isWide, rows), right: 48 },
      xAxis: { ...valueAxis(axis, true), min: 0 },
      yAxis: rowAxis(rows, isWide),
      series: [...drawn, ...(isWide ? [] : [rowNames(rows, least)])],
    },
  };
}

type Mark = NonNullable<MemoryChart["rows"][number]["measured"]>;
const plain = (value: number | null): Mark | null => (value === null ? null : { value, isMarked: false });

/** Planned ranges with what the engine says and what was measured, against the budget. */
export function memoryOption({ rows, budget, axis }: MemoryChart, width: number): SizedOption {
  const isWide = width >= wideFrom;
  const rowHeight = isWide ? 30 : 46;
  const shift = isWide ? 0 : 9;
  const range = custom(
    rows.map((row, index) => [index, row.expected, row.low, row.high]),
    (_params, api) => {
      const [row, expected, low, high] = [0, 1, 2, 3].map((dimension) => Number(api.value(dimension))) as [number, number, number, number];
      const [left, middle] = at(api, low, row);
      const y = middle + shift;
      const widthPx = Math.max(3, at(api, high, row)[0] - left);
      return {
        type: "group",
        children: [
          { type: "rect", shape: { x: left, y: y - 7, width: widthPx, height: 14, r: 3 }, style: { fill: slotColour(0), opacity: 0.35 } },
          line(at(api, expected, row)[0], y - 8, at(api, expected, row)[0], y + 8, slotColour(0), 3),
        ],
      };
    },
  );
  const mark = (slot: Slot, size: number, pick: (row: MemoryChart["rows"][number]) => Mark | null): CustomSeriesOption => {
    const shown = rows.flatMap((row, index) => {
      const one = pick(row);
      return one === null ? [] : [{ ...one, index }];
    });
    return custom(
      shown.map(({ index, value }) => [index, value]),
      (params, api) => {
        const [x, middle] = at(api, Number(api.value(1)), Number(api.value(0)));
        return point(x, middle + shift, slot, size, shown[params.dataIndex]?.isMarked === true);
      },
    );
  };
  const budgetLine = budget === null ? [] : [budgetSeries(budget, rows.length)];
  return {
    height: rows.length * rowHeight + marginPx.top + marginPx.bottom + (budget === null ? 0 : 18),
    option: {
      animation: false,
      grid: {
        ...plotArea(
          isWide,
          rows.map(({ name }) => name),
        ),
        top: marginPx.top + (budget === null ? 0 : 18),
      },
      xAxis: { ...valueAxis(axis, true), min: 0, ...(isWide ? {} : { splitNumber: 3 }) },
      yAxis: rowAxis(
        rows.map(({ name }) => name),
        isWide,
      ),
      series: [
        ...budgetLine,
        range,
        mark(3, 16, ({ then }) => plain(then)),
        mark(2, 11, ({ engine }) => plain(engine)),
        mark(1, 9, ({ measured }) => measured),
        ...(isWide
          ? []
          : [
              rowNames(
                rows.map(({ name }) => name),
                0,
              ),
            ]),
      ],
    },
  };
}

/** A line at the budget over all rows, with its number above. */
const budgetSeries = (budget: number, rows: number): CustomSeriesOption =>
  custom([[0, budget]], (params, api) => {
    const [x, first] = at(api, budget, 0);
    const { x: left, width } = params.coordSys as unknown as { x: number; width: number };
    const side = x > left + width / 2 ? "right" : "left";
    const half = heightOf(api) / 2;
    const last = at(api, budget, rows - 1)[1];
    return {
      type: "group",
      children: [
        line(x, first - half, x, last + half, ink.limit, 2),
        label(`${mib(budget)} MiB of the card`, x, first - half - 9, side, ink.limit),
      ],
    };
  });
