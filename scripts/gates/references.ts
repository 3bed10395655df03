import { readFile } from "node:fs/promises";

import { z } from "zod";

import { perplexityInputSchema } from "../../plan/gates/gate-input.ts";
import { mismatchOf, perplexityReferenceSchema } from "../../plan/gates/reference.ts";
import type { PerplexityReference, ReferenceFit } from "../../plan/gates/reference.ts";
import { isForgotten } from "./forgotten.ts";
import type { VolumeStore } from "./volume-store.ts";

/** A reference with where it came from. */
export interface FoundReference {
  readonly reference: PerplexityReference;
  readonly source: "stored" | "committed";
  readonly name: string;
}

function folderOf(family: string, corpus: string): string {
  return `references/${family.replaceAll(/[^\w.-]/g, "_")}-${corpus}`;
}

function parse(document: unknown, where: string): PerplexityReference {
  const parsed = perplexityReferenceSchema.safeParse(document);
  if (parsed.success) return parsed.data;
  throw new Error(`${where}: not a perplexity reference: ${z.prettifyError(parsed.error).replaceAll("\n", " ")}`);
}

/**
 * The reference that applies to a run: the one in the volume, else the committed one. `refused` says why one that is there does not apply.
 * @throws {Error} if one that is there doesn't read as a reference.
 */
export async function findReference(
  store: VolumeStore,
  committed: string | null,
  run: ReferenceFit,
): Promise<{ found: FoundReference | undefined; refused: string[] }> {
  const refused: string[] = [];
  const stored = await store.latest(folderOf(run.family, run.corpus.name));
  const candidates: FoundReference[] = [];
  if (stored !== undefined && !isForgotten(stored.document))
    candidates.push({ reference: parse(stored.document, stored.path), source: "stored", name: stored.path });
  if (committed !== null) {
    const document: unknown = JSON.parse(await readFile(committed, "utf8"));
    candidates.push({ reference: parse(document, committed), source: "committed", name: committed });
  }
  for (const candidate of candidates) {
    const mismatch = mismatchOf(candidate.reference, run);
    if (mismatch === undefined) return { found: candidate, refused };
    refused.push(`${candidate.name} does not apply: ${mismatch}`);
  }
  return { found: undefined, refused };
}

/** Keeps a reference in the volume, where it takes the place of the one before; returns its path there. */
export async function storeReference(store: VolumeStore, reference: PerplexityReference): Promise<string> {
  return store.append(folderOf(reference.family, reference.corpus.name), reference.recordedAt, reference);
}

const evidenceSchema = z.object({
  result: z.object({ startedAt: z.string() }),
  input: perplexityInputSchema,
  run: z.object({ corpus: perplexityReferenceSchema.shape.corpus }),
  reading: z.object({ chunks: z.array(z.number()), finalPerplexity: z.number() }),
});

/** What a perplexity gate measured, from its evidence file, as a reference. @throws {Error} if the file is missing, torn, or holds no measurement. */
export async function readReferenceEvidence(store: VolumeStore, path: string): Promise<PerplexityReference> {
  const { result, input, run, reading } = evidenceSchema.parse(await store.read(path));
  const { family, ctxSize, modelSha256, imageId } = input;
  const { corpus } = run;
  const recordedAt = result.startedAt;
  return { version: 1, family, corpus, ctxSize, ...reading, modelSha256, imageId, arguments: input.arguments, recordedAt };
}
