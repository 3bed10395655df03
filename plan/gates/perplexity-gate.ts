import { mean, sum } from "simple-statistics";

import { pairedDifference, percentOf, studentQuantile } from "./statistics.ts";
import type { PerplexityThresholds } from "./thresholds.ts";
import type { MetricVerdict } from "./verdict.ts";

/** What one `llama-perplexity` run says: per chunk the negative log-likelihood in nats per token, and the tool's own final estimate. */
export interface PerplexityReading {
  readonly chunks: readonly number[];
  readonly finalPerplexity: number;
  readonly finalError: number;
}

/** Thrown when a tool's output does not read as expected; the message holds the offending line. */
export class UnreadableOutput extends Error {
  override readonly name = "UnreadableOutput";
}

const runningEntry = /^\[(\d+)\](\d+\.\d+)$/;
const finalLine = /Final estimate: PPL = (\S+) \+\/- (\S+)\s*$/;

function positiveNumber(text: string, line: string): number {
  // digits enough for infinity are digits too
  if (!/^\d+(\.\d+)?$/.test(text) || Number(text) <= 0 || !Number.isFinite(Number(text)))
    throw new UnreadableOutput(
      `llama-perplexity: got ${JSON.stringify(text)}, expected a positive decimal number, in line: ${line.trim()}`,
    );
  return Number(text);
}

/** The running perplexities `[1]9.1,[2]8.7,…` in order, from every line that starts with one. */
function readRunning(lines: readonly string[]): number[] {
  const running: number[] = [];
  for (const line of lines) {
    if (!/^\s*\[\d+\]/.test(line)) continue;
    for (const entry of line.trim().split(",")) {
      if (entry === "") continue;
      const match = runningEntry.exec(entry);
      if (match === null)
        throw new UnreadableOutput(`llama-perplexity: got ${JSON.stringify(entry)}, expected "[chunk]perplexity", in line: ${line.trim()}`);
      if (Number(match[1]) !== running.length + 1)
        throw new UnreadableOutput(`llama-perplexity: got chunk ${match[1] ?? ""} after ${running.length}, in line: ${line.trim()}`);
      running.push(positiveNumber(match[2] ?? "", line));
    }
  }
  return running;
}

/**
 * Reads the whole output (standard output and error, joined) of one `llama-perplexity` run over `expectedChunks` chunks. The tool
 * prints running perplexities; `nll_i = i ln(ppl_i) - (i-1) ln(ppl_{i-1})` gives each chunk's own. Nothing is guessed: another
 * chunk count, a number that is not a plain positive decimal, or a final estimate other than the last running value is refused.
 * @throws {UnreadableOutput} with the offending line.
 * @see llama.cpp tools/perplexity/perplexity.cpp, build 11669
 */
export function readPerplexityOutput(output: string, expectedChunks: number): PerplexityReading {
  const lines = output.split(/\r?\n/);
  const finals = lines.filter((line) => line.includes("Final estimate:"));
  const running = readRunning(lines);
  const last = lines.findLast((line) => line.trim() !== "") ?? "";
  if (running.length !== expectedChunks)
    throw new UnreadableOutput(
      `llama-perplexity: got ${running.length} chunks, expected ${expectedChunks}; the output ends with: ${last.trim()}`,
    );
  const [line] = finals;
  if (line === undefined || finals.length !== 1)
    throw new UnreadableOutput(
      `llama-perplexity: got ${finals.length} final estimates, expected one; the output ends with: ${last.trim()}`,
    );
  const match = finalLine.exec(line);
  if (match === null) throw new UnreadableOutput(`llama-perplexity: expected "Final estimate: PPL = x +/- y", in line: ${line.trim()}`);
  const finalPerplexity = positiveNumber(match[1] ?? "", line);
  const finalError = positiveNumber(match[2] ?? "", line);
  if (running.at(-1)?.toFixed(4) !== finalPerplexity.toFixed(4))
    throw new UnreadableOutput(
      `llama-perplexity: the last running value is ${running.at(-1) ?? "missing"}, not the final estimate, in line: ${line.trim()}`,
    );
  const totals = running.map((value, index) => (index + 1) * Math.log(value));
  return { chunks: totals.map((total, index) => total - (totals[index - 1] ?? 0)), finalPerplexity, finalError };
}

/** Perplexity of chunks together: exp of their mean negative log-likelihood. */
export function perplexityOf(chunks: readonly number[]): number {
  return Math.exp(sum([...chunks]) / chunks.length);
}

/**
 * Whether a candidate's perplexity rose by less than the margin over a reference on the same chunks, paired per chunk, one-sided at
 * `alpha` each way. Pairing is what makes small margins decidable: the chunks differ far more from each other than the releases do.
 * @throws {RangeError} if the two do not have the same number of chunks, at least 2.
 */
export function decidePerplexity(
  candidate: readonly number[],
  reference: readonly number[],
  { alpha, marginPercent }: Pick<PerplexityThresholds, "alpha" | "marginPercent">,
): MetricVerdict {
  const difference = pairedDifference(candidate, reference);
  const half = studentQuantile(1 - alpha, difference.degreesOfFreedom) * difference.standardError;
  const limit = Math.log1p(marginPercent / 100);
  const low = difference.value - half;
  const high = difference.value + half;
  return {
    name: "perplexity",
    unit: "",
    measured: Math.exp(mean([...candidate])),
    baseline: Math.exp(mean([...reference])),
    differencePercent: percentOf(difference.value),
    intervalPercent: [percentOf(low), percentOf(high)],
    limitPercent: marginPercent,
    floor: null,
    ceiling: null,
    verdict: high < limit ? "passed" : low > limit ? "failed" : "inconclusive",
  };
}

/** Perplexity without a reference: under a ceiling it is usable; without a ceiling there is nothing to decide by. */
export function decidePerplexityCeiling(candidate: readonly number[], thresholds: PerplexityThresholds): MetricVerdict {
  const measured = perplexityOf(candidate);
  const { ceiling } = thresholds;
  return {
    name: "perplexity",
    unit: "",
    measured,
    baseline: null,
    differencePercent: null,
    intervalPercent: null,
    limitPercent: null,
    floor: null,
    ceiling: ceiling ?? null,
    verdict: ceiling === undefined ? "inconclusive" : measured <= ceiling ? "passed" : "failed",
    ...(ceiling === undefined ? { note: "no reference and no ceiling" } : {}),
  };
}
