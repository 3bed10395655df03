import { z } from "zod";
import type Docker from "dockerode";
import type { Declared } from "../../plan/drift/declared.ts";
import type { VerifiedFile } from "../../plan/drift/hashing.ts";
import type { Remembered } from "../../plan/drift/observation.ts";
import { canonicalJson } from "../../plan/release.ts";
import { exists } from "../docker/host.ts";
import { readBenchmarkEvidence } from "../gates/baselines.ts";
import { VolumeStore } from "../gates/volume-store.ts";
import type { BenchmarkResult } from "../../plan/benchmark/result.ts";

/** Folder of the evidence volume. */
const folder = "drift";

const statSchema = z.strictObject({ bytes: z.number(), inode: z.string(), modifiedMs: z.number(), changedMs: z.number() });
const recordSchema = z.strictObject({
  version: z.literal(1),
  /** Files by path, as they were when their checksum was last right. */
  files: z.record(z.string(), z.strictObject({ sha256: z.string(), stat: statSchema, verifiedAtMs: z.number() })),
  /** First right answer of the promoted release; null before there was one. */
  answer: z
    .strictObject({
      release: z.string(),
      tokens: z.array(z.strictObject({ text: z.string(), likeliest: z.array(z.string()) })),
      parameters: z.number().nullable(),
    })
    .nullable(),
});
/** What one check leaves for the next. */
export type DriftRecord = z.infer<typeof recordSchema>;

const nothing: DriftRecord = { version: 1, files: {}, answer: null };

/** What earlier checks and the promoted measurement left in a stack's evidence volume. */
export interface Memory {
  readonly record: DriftRecord;
  readonly remembered: Remembered;
  /** The measurement that let the release take traffic; null where it is not there. */
  readonly benchmark: BenchmarkResult | null;
}

/** Opens the evidence volume of a stack; undefined where it or the helper's image is gone, because opening would make an empty one. */
export async function openEvidence(docker: Docker, { evidenceVolume, helperImage, stack }: Declared): Promise<VolumeStore | undefined> {
  if (evidenceVolume === null || helperImage === null) return undefined;
  const isThere = await Promise.all([exists(docker.getVolume(evidenceVolume)), exists(docker.getImage(helperImage))]);
  return isThere.includes(false) ? undefined : VolumeStore.open(docker, evidenceVolume, helperImage, `${stack}/drift`);
}

/** Reads what is known of a stack; where nothing is, everything is empty. */
export async function readMemory(store: VolumeStore | undefined, { promotion }: Declared): Promise<Memory> {
  const [found, benchmark] = await Promise.all([store?.latest(folder), readPromoted(store, promotion)]);
  const parsed = recordSchema.safeParse(found?.document);
  const record = parsed.success ? parsed.data : nothing; // one of another version is as good as none
  const answer = record.answer?.release === promotion?.releaseId ? record.answer : null;
  return { record, benchmark, remembered: { build: benchmark?.build ?? null, contextTokens: benchmark?.ctxSize ?? null, answer } };
}

async function readPromoted(store: VolumeStore | undefined, promotion: Declared["promotion"]): Promise<BenchmarkResult | null> {
  const path = promotion?.gates.find(({ gate }) => gate === "benchmark")?.evidence;
  if (store === undefined || path === undefined || path === null) return null;
  try {
    return await readBenchmarkEvidence(store, path);
  } catch {
    return null; // removed or torn: then build and context are not compared
  }
}

/** Keeps what a check learned, if that is anything new. */
export async function keepRecord(
  docker: Docker,
  declared: Declared,
  before: DriftRecord,
  learned: { readonly files: Readonly<Record<string, VerifiedFile>>; readonly answer: DriftRecord["answer"] },
  now: string,
): Promise<void> {
  const record: DriftRecord = { version: 1, files: { ...before.files, ...learned.files }, answer: learned.answer ?? before.answer };
  if (canonicalJson(record) === canonicalJson(before)) return;
  await using store = await openEvidence(docker, declared);
  await store?.append(folder, now, record);
}
