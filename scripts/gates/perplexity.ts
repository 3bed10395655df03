import { reasonOf } from "../../plan/gates/format.ts";
import { perplexityInputSchema } from "../../plan/gates/gate-input.ts";
import type { PerplexityInput } from "../../plan/gates/gate-input.ts";
import { decidePerplexity, decidePerplexityCeiling } from "../../plan/gates/perplexity-gate.ts";
import type { Comparison, MetricVerdict } from "../../plan/gates/verdict.ts";
import { readCorpus } from "./corpus.ts";
import { runGateProgram } from "./gate-program.ts";
import type { GateContext, Outcome } from "./gate-program.ts";
import { measurePerplexity } from "./perplexity-run.ts";
import { findReference } from "./references.ts";

async function measure(input: PerplexityInput, context: GateContext): Promise<Outcome> {
  const corpus = await readCorpus(input.corpus, context);
  const run = {
    family: input.family,
    corpus: { name: input.corpus.name, sha256: corpus.sha256 },
    ctxSize: input.ctxSize,
    chunks: input.chunks,
  };
  const { found, refused } = await findReference(context.store, input.committedReference, run);
  for (const line of refused) context.progress(line);
  context.progress(`${input.chunks} chunks of ${input.ctxSize} tokens of ${input.corpus.name}`);
  const reading = await measurePerplexity(input, corpus, context);
  context.evidence["run"] = run;
  context.evidence["reading"] = reading;
  let metric: MetricVerdict;
  let comparedWith: Comparison;
  if (found === undefined) {
    const name = `no reference for ${input.family} on ${input.corpus.name}, ${input.chunks} chunks of ${input.ctxSize} tokens`;
    context.progress(`${name}: only the ceiling decides, which says that the model is usable, not that it is as good as before`);
    metric = decidePerplexityCeiling(reading.chunks, input.thresholds);
    comparedWith = { source: "floors", name: [name, ...refused].join("; "), recordedAt: null, releaseId: null };
  } else {
    const { reference, source, name } = found;
    const { alpha, marginPercent, quantMarginPercent } = input.thresholds;
    const margin = reference.modelSha256 === input.modelSha256 ? marginPercent : quantMarginPercent;
    metric = decidePerplexity(reading.chunks, reference.chunks.slice(0, input.chunks), { alpha, marginPercent: margin });
    comparedWith = { source, name, recordedAt: reference.recordedAt, releaseId: null };
  }
  const reason = reasonOf([metric], `${reading.finalPerplexity} ± ${reading.finalError}`);
  return { verdict: metric.verdict, reason, metrics: [metric], comparedWith, samples: reading.chunks.length };
}

await runGateProgram("perplexity", perplexityInputSchema, measure);
