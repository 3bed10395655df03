import { createHash } from "node:crypto";
import { buffer } from "node:stream/consumers";

import { unzipSync } from "fflate";
import { z } from "zod";

import type { Corpus } from "../../plan/config/corpora.ts";
import { parseModelSource } from "../../plan/config/models.ts";
import { openSource } from "../models/sources.ts";
import type { GateContext } from "./gate-program.ts";

/** A corpus as bytes with their checksum. */
export interface CorpusText {
  readonly content: Buffer;
  readonly sha256: string;
}

const cachedSchema = z.object({ sha256: z.string(), base64: z.string() });

function checksum(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

function textOf(archive: Buffer, member: string | undefined): Buffer {
  if (member === undefined) return archive;
  const file = unzipSync(archive, { filter: ({ name }) => name === member })[member];
  if (file === undefined) throw new Error(`the archive has no member ${member}`);
  return Buffer.from(file);
}

async function fetchText(corpus: Corpus, signal: AbortSignal): Promise<CorpusText> {
  const failures: string[] = [];
  for (const text of corpus.sources) {
    const source = parseModelSource(text);
    if (source === undefined) throw new Error(`corpus ${corpus.name}: not a source: ${text}`);
    try {
      const content = textOf(await buffer((await openSource(source, 0, signal)).stream), corpus.member);
      const sha256 = checksum(content);
      if (corpus.sha256 === undefined || corpus.sha256 === sha256) return { content, sha256 };
      failures.push(`${text}: got sha256 ${sha256}, expected ${corpus.sha256}`);
    } catch (error) {
      signal.throwIfAborted();
      failures.push(`${text}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(`corpus ${corpus.name} can't be had: ${failures.join("; ")}`);
}

/**
 * The text of a corpus: kept in the evidence volume after the first time, so that later gates need no network.
 * @throws {Error} naming every source that was tried and what came of it.
 */
export async function readCorpus(
  corpus: Corpus,
  context: Pick<GateContext, "store" | "startedAt" | "signal" | "progress">,
): Promise<CorpusText> {
  const folder = `corpora/${corpus.name}`;
  const cached = cachedSchema.safeParse((await context.store.latest(folder))?.document);
  if (cached.success && (corpus.sha256 === undefined || cached.data.sha256 === corpus.sha256))
    return { content: Buffer.from(cached.data.base64, "base64"), sha256: cached.data.sha256 };
  context.progress(`fetching corpus ${corpus.name}`);
  const { content, sha256 } = await fetchText(corpus, context.signal);
  await context.store.append(folder, context.startedAt, { sha256, base64: content.toString("base64") });
  return { content, sha256 };
}
