import { formatTable } from "./format.ts";
import { decidePerplexity, perplexityOf, type PerplexityReading } from "./perplexity-gate.ts";
import type { Verdict } from "./verdict.ts";

/**
 * One row of the table of quants. Against the reference: `differencePercent` and its interval are of the perplexity, paired per chunk.
 * The reference itself has nulls and no verdict; a model that could not be measured has `reason`.
 */
export interface QualityRow {
  readonly model: string;
  readonly perplexity: number | null;
  /** Standard error of the perplexity by itself, as the tool prints it: of the text, not of the comparison. */
  readonly error: number | null;
  readonly differencePercent: number | null;
  readonly intervalPercent: readonly [number, number] | null;
  readonly verdict: Verdict | null;
  readonly reason: string | null;
}

/** The chunks that all are compared with, by their name in the table. */
export interface QualityReference {
  readonly name: string;
  readonly chunks: readonly number[];
}

/** What is allowed: a rise of at most `marginPercent`, shown at `alpha`. */
export interface QualityDesign {
  readonly marginPercent: number;
  readonly alpha: number;
}

const nothing = { differencePercent: null, intervalPercent: null, verdict: null, reason: null } as const;

/** The row of a model that was measured; `isReference` where the others are compared with it. */
export function planQualityRow(
  model: string,
  reading: PerplexityReading,
  reference: QualityReference | null,
  design: QualityDesign,
  isReference: boolean,
): QualityRow {
  const measured = { model, perplexity: perplexityOf(reading.chunks), error: reading.finalError };
  if (isReference || reference === null) return { ...measured, ...nothing };
  const { differencePercent, intervalPercent, verdict } = decidePerplexity(
    reading.chunks,
    reference.chunks.slice(0, reading.chunks.length),
    design,
  );
  return { ...measured, differencePercent, intervalPercent, verdict, reason: null };
}

/** The row of a model that could not be measured. */
export const failedQualityRow = (model: string, reason: string): QualityRow => ({
  model,
  perplexity: null,
  error: null,
  ...nothing,
  verdict: "error",
  reason,
});

const signed = (value: number): string => `${value > 0 ? "+" : ""}${value.toFixed(2)} %`;

/** The table for a terminal, best perplexity as measured first to last named. */
export function formatQuality(rows: readonly QualityRow[], reference: QualityReference | null, { marginPercent }: QualityDesign): string {
  const cells = rows.map(({ model, perplexity, error, differencePercent, intervalPercent, verdict, reason }) => [
    model,
    perplexity === null ? "-" : perplexity.toFixed(4),
    error === null ? "-" : `± ${error.toFixed(4)}`,
    differencePercent === null ? "-" : signed(differencePercent),
    intervalPercent === null ? "-" : `${signed(intervalPercent[0])} … ${signed(intervalPercent[1])}`,
    `${verdict ?? (reference?.name === model ? "reference" : "not compared")}${reason === null ? "" : ` (${reason})`}`,
  ]);
  const against = reference === null ? "nothing to compare with" : `against ${reference.name}, at most +${marginPercent} % allowed`;
  return `${formatTable([["quant", "PPL", "", "difference", "confidence interval", "verdict"], ...cells])}\n  ${against}`;
}

/** Exit code of the whole table: 1 if a model failed or could not be measured, 2 if only the samples were too few for one, else 0. */
export function exitCodeOfQuality(rows: readonly QualityRow[]): 0 | 1 | 2 {
  const verdicts = rows.map(({ verdict }) => verdict);
  if (verdicts.includes("failed") || verdicts.includes("error")) return 1;
  return verdicts.includes("inconclusive") ? 2 : 0;
}
