import { z } from "zod";

/**
 * What a model family's perplexity is compared with: the negative log-likelihood of every chunk of one corpus, in nats per token.
 * It holds for that corpus text, context and number of chunks only.
 */
export const perplexityReferenceSchema = z.strictObject({
  version: z.literal(1),
  family: z.string(),
  corpus: z.strictObject({ name: z.string(), sha256: z.string() }),
  ctxSize: z.number().int().positive(),
  chunks: z.array(z.number().positive()).min(2),
  finalPerplexity: z.number().positive(),
  modelSha256: z.string(),
  imageId: z.string(),
  arguments: z.array(z.string()),
  recordedAt: z.string(),
  note: z.string().optional(),
});
export type PerplexityReference = z.infer<typeof perplexityReferenceSchema>;

/** What a run measured, to see whether a reference applies. */
export type ReferenceFit = Pick<PerplexityReference, "family" | "corpus" | "ctxSize"> & { readonly chunks: number };

/** Why a reference does not apply to a run, in words; undefined if it does. A longer reference applies by its first chunks. */
export function mismatchOf(reference: PerplexityReference, run: ReferenceFit): string | undefined {
  if (reference.family !== run.family) return `it is of family ${reference.family}, not ${run.family}`;
  if (reference.corpus.sha256 !== run.corpus.sha256) return `its corpus text is ${reference.corpus.sha256}, not ${run.corpus.sha256}`;
  if (reference.ctxSize !== run.ctxSize) return `its context is ${reference.ctxSize} tokens, not ${run.ctxSize}`;
  if (reference.chunks.length < run.chunks) return `it has ${reference.chunks.length} chunks, fewer than ${run.chunks}`;
  return undefined;
}
