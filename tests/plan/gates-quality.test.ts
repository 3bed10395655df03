/** The table of quants on made-up chunks. Does not prove that the tool is run rightly: tests/integration/gates.test.ts runs it. */
import { describe, expect, it } from "vitest";

import { exitCodeOfQuality, failedQualityRow, formatQuality, planQualityRow, type QualityRow } from "../../plan/gates/quality.ts";

const design = { marginPercent: 3, alpha: 0.05 };
const chunks = [3, 3.4, 2.5, 3.2];
const reading = (rise: number) => ({
  chunks: chunks.map((nll, index) => nll + Math.log1p(rise / 100) + (index % 2 ? 1 : -1) * 1e-4),
  finalPerplexity: 20,
  finalError: 1.5,
});
const reference = { name: "q8", chunks };
const rows: QualityRow[] = [
  planQualityRow("q8", { chunks, finalPerplexity: 20.6, finalError: 1.5 }, reference, design, true),
  planQualityRow("q4", reading(2.1), reference, design, false),
  planQualityRow("q2", reading(9.7), reference, design, false),
  failedQualityRow("q1", "llama-perplexity ended with exit code 1"),
];

describe("the table of quants", () => {
  it("has a row each: perplexity, its error, the paired difference and a verdict", () => {
    expect(formatQuality(rows, reference, design).split("\n")).toEqual([
      "  quant  PPL                difference  confidence interval  verdict",
      "  q8     20.5940  ± 1.5000  -           -                    reference",
      "  q4     21.0265  ± 1.5000  +2.10 %     +2.09 % … +2.11 %    passed",
      "  q2     22.5916  ± 1.5000  +9.70 %     +9.69 % … +9.71 %    failed",
      "  q1     -        -         -           -                    error (llama-perplexity ended with exit code 1)",
      "  against q8, at most +3 % allowed",
    ]);
  });

  it("compares nothing with nothing", () => {
    expect(formatQuality([planQualityRow("q4", reading(0), null, design, false)], null, design)).toContain("not compared");
  });

  it.each([
    [rows.slice(0, 2), 0],
    [rows.slice(0, 3), 1],
    [[rows[3]], 1],
    [[{ ...rows[1], verdict: "inconclusive" }], 2],
  ])("ends with the exit code of its worst row", (some, code) => {
    expect(exitCodeOfQuality(some as QualityRow[])).toBe(code);
  });
});
