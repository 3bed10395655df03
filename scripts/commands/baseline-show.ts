import { reportBaseline, type BaselineReport } from "../../plan/benchmark/baseline-report.ts";
import type { Host } from "../../plan/benchmark/result.ts";
import { answersReferenceSchema } from "../../plan/gates/answers-gate.ts";
import type { BenchmarkPlan } from "../../plan/gates/gate-plan.ts";
import { perplexityReferenceSchema } from "../../plan/gates/reference.ts";
import { baselineSchema, protocolHashOf } from "../gates/baselines.ts";
import { foldersBelow } from "../gates/evidence.ts";
import { isForgotten } from "../gates/forgotten.ts";
import type { VolumeStore } from "../gates/volume-store.ts";

/** A baseline for a reader; `report` is null where it was measured by another protocol than the stack's gate has now, which does not compare with it. */
export interface ShownBaseline {
  readonly key: string;
  readonly path: string;
  readonly recordedAt: string;
  readonly ageSec: number;
  readonly releaseId: string;
  readonly profile: string;
  readonly imageId: string;
  readonly modelSha256: string;
  readonly host: Host;
  readonly scenarioSet: string;
  readonly sessions: readonly { startedAt: string; starts: number; evidence: string | null }[];
  /** Compared with by the operator's word, although it is unsteady. */
  readonly isForced: boolean;
  readonly report: BaselineReport | null;
}

/** A perplexity or answers reference for a reader. */
export interface ShownReference {
  readonly kind: "perplexity" | "answers";
  readonly family: string;
  readonly of: string;
  readonly recordedAt: string;
  readonly ageSec: number;
  readonly path: string;
}

const ageSec = (recordedAt: string, now: Date): number => (now.getTime() - Date.parse(recordedAt)) / 1000;

/** The newest version of every folder below `top` that is not forgotten. */
async function newest(store: VolumeStore, top: string): Promise<{ path: string; document: unknown }[]> {
  const found: { path: string; document: unknown }[] = [];
  for (const folder of await foldersBelow(store, top)) {
    const latest = await store.latest(folder);
    if (latest !== undefined && !isForgotten(latest.document)) found.push(latest);
  }
  return found;
}

/** The evidence file of a measurement: named after the time it was started at. */
async function evidenceOf(store: VolumeStore, releaseId: string, startedAt: string): Promise<string | null> {
  const folder = `evidence/${releaseId}/benchmark`;
  const stamp = startedAt.replaceAll(/[-:]/g, "");
  const file = (await store.list(folder)).find(({ name }) => name.startsWith(`${stamp}-`));
  return file === undefined ? null : `${folder}/${file.name}`;
}

/** Every baseline in the volume, with what the stack's gate sees in it. @throws {ZodError} if a file is none */
export async function readBaselines(
  store: VolumeStore,
  plan: Pick<BenchmarkPlan, "thresholds" | "protocol">,
  now: Date,
): Promise<ShownBaseline[]> {
  const shown: ShownBaseline[] = [];
  for (const { path, document } of await newest(store, "baselines")) {
    const { key, recordedAt, sessions, isForced } = baselineSchema.parse(document);
    const last = sessions.at(-1);
    if (last === undefined) continue;
    const { subject, host, scenarioSet } = last;
    const { releaseId, profile, imageId, modelSha256 } = subject;
    const from = [];
    for (const { startedAt, starts, subject: of } of sessions)
      from.push({ startedAt, starts: starts.length, evidence: await evidenceOf(store, of.releaseId, startedAt) });
    shown.push({
      key,
      path,
      recordedAt,
      ageSec: ageSec(recordedAt, now),
      releaseId,
      profile,
      imageId,
      modelSha256,
      host,
      scenarioSet,
      sessions: from,
      isForced,
      report: last.protocolHash === protocolHashOf(plan.protocol) ? reportBaseline(sessions, plan.thresholds) : null,
    });
  }
  return shown;
}

/** Every perplexity and answers reference in the volume. @throws {ZodError} if a file is none */
export async function readReferences(store: VolumeStore, now: Date): Promise<ShownReference[]> {
  return (await newest(store, "references")).map(({ path, document }): ShownReference => {
    if (path.startsWith("references/answers-")) {
      const { family, releaseId, recordedAt } = answersReferenceSchema.parse(document);
      return { kind: "answers", family, of: `release ${releaseId}`, recordedAt, ageSec: ageSec(recordedAt, now), path };
    }
    const { family, corpus, ctxSize, chunks, finalPerplexity, recordedAt } = perplexityReferenceSchema.parse(document);
    const of = `perplexity ${finalPerplexity} on ${corpus.name}, ${chunks.length} chunks of ${ctxSize} tokens`;
    return { kind: "perplexity", family, of, recordedAt, ageSec: ageSec(recordedAt, now), path };
  });
}
