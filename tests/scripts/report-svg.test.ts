import { describe, expect, it } from "vitest";
import type { Chart } from "../../plan/report/chart.ts";
import { spread } from "../../plan/report/chart-points.ts";
import { renderSvg } from "../../scripts/report/svg.ts";

// Proves that charts render without a browser, with values where they belong; how they look is for tests/integration/report.test.ts and its screenshots.

const rows: Chart = {
  kind: "rows",
  axis: "tok/s",
  rows: ["first", "second"],
  series: [{ name: "short", slot: 0, points: [{ value: 50, low: 40, high: 60, isMarked: false }, null] }],
};
const memory: Chart = {
  kind: "memory",
  axis: "MiB",
  budget: 16_384,
  rows: [{ name: "a", low: 100, expected: 150, high: 200, then: 155, engine: 140, measured: { value: 160, isMarked: true } }],
};
const scatter: Chart = {
  kind: "scatter",
  xAxis: "perplexity",
  yAxis: "tok/s",
  points: [{ name: "only", x: 6.5, y: 40, slot: 2, isMarked: false }],
  series: [{ name: "model", slot: 2 }],
};
const history: Chart = {
  kind: "history",
  axis: "tok/s",
  points: [
    { label: "b1", value: 50, low: 49, high: 51, limit: null, isWorse: false },
    { label: "b2", value: 30, low: null, high: null, limit: 47.5, isWorse: true },
  ],
};

describe("charts", () => {
  it.each([
    ["rows", rows, ["first", "second", "50.0"]],
    ["memory", memory, ["16\u202f384 MiB of the card", ">a<"]],
    ["scatter", scatter, ["only", "perplexity"]],
    ["history", history, ["b1", "b2", "var(--bad)"]],
  ] as const)("of kind %s render wide and narrow with their names and colours of the page", (_kind, chart, texts) => {
    for (const width of [1040, 330]) {
      const svg = renderSvg(chart, width);
      expect(svg).toMatch(new RegExp(`^<svg width="${width}"`));
      for (const text of texts) expect(svg).toContain(text);
      expect(svg).toContain("var(--");
      expect(svg).not.toMatch(/NaN|undefined|<style|<script|https?:(?!\/\/www\.w3\.org)/);
    }
  });

  it("are the same text each time", () => {
    const withoutIds = (svg: string): string => svg.replaceAll(/zr\d+/g, "zr");
    expect(withoutIds(renderSvg(history, 600))).toBe(withoutIds(renderSvg(history, 600)));
  });

  it("write a small budget to the right of its line, where there is room", () => {
    const anchorOf = (budget: number): string | undefined =>
      /<text[^>]*text-anchor="(\w+)"[^>]*>[^<]*of the card/.exec(renderSvg({ ...memory, budget }, 330))?.[1];
    expect([anchorOf(10), anchorOf(16_384)]).toEqual(["start", "end"]);
  });

  it("write the names of points that are in one place under each other", () => {
    expect(spread([100, null, 104, 100, 200], 14)).toEqual([100, null, 128, 114, 200]);
    const two = { ...scatter, points: ["first", "second"].map((name) => ({ name, x: 6.5, y: 40, slot: 0 as const, isMarked: false })) };
    const svg = renderSvg(two, 1040);
    const [first, second] = ["first", "second"].map((name) => Number(new RegExp(` y="([\\d.]+)"[^>]*>${name}<`).exec(svg)?.[1]));
    expect((second ?? NaN) - (first ?? NaN)).toBe(14);
  });

  it("draw a marked point hollow", () => {
    expect(renderSvg(memory, 1040)).toMatch(/fill="var\(--panel\)" stroke="var\(--series-1\)"/);
    expect(renderSvg(rows, 1040)).not.toMatch(/fill="var\(--panel\)" stroke="var\(--series/);
  });

  it("draw an interval from its lower to its upper bound", () => {
    const svg = renderSvg(rows, 1040);
    const [, left, right] = /<path d="M([\d.]+) [\d.]+L([\d.]+) [\d.]+" fill="#000" stroke="var\(--series-0\)"/.exec(svg) ?? [];
    const [, centre] = /<circle cx="([\d.]+)"/.exec(svg) ?? [];
    expect((Number(left) + Number(right)) / 2).toBeCloseTo(Number(centre), 0);
    expect(Number(right)).toBeLessThan(1040);
  });
});
