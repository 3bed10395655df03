import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { BenchRecord } from "../../plan/bench/record.ts";
import { recordFileName } from "../../plan/bench/record.ts";
import type { BenchmarkResult, RequestSample } from "../../plan/benchmark/result.ts";
import { resultFileName } from "../../plan/benchmark/result.ts";

/** What a made-up result says; the rest is the same for all. */
export interface ResultWish {
  readonly profile: string;
  readonly startedAt: string;
  readonly build?: string;
  /** tok/s of the short workload; the others follow from it. */
  readonly tokensPerSec: number;
  readonly host?: string;
  readonly starts?: number;
  /** Spread of the starts, per cent; each start's is drawn from the time and the profile. */
  readonly spreadPercent?: number;
  readonly scenarioSet?: string;
  /** Of the first start; each later one has 1 MiB more. @default - as of a version that measured none */
  readonly vramPeakMiB?: number;
}

const scenarios = { short: 1, medium: 0.963, long: 0.944, "multi-turn": 0.994 } as const;

/** A number in 0…1 for a text, the same every time. */
function drawn(text: string): number {
  let state = 2_166_136_261;
  for (const character of text) state = Math.imul(state ^ character.charCodeAt(0), 16_777_619) >>> 0;
  return ((Math.imul(state, 2_654_435_761) >>> 0) % 10_007) / 10_007;
}

function request(scenario: string, turn: number, tokensPerSec: number): RequestSample {
  return {
    scenario,
    turn,
    firstTokenMs: 12_000 / tokensPerSec,
    totalMs: 40_000 / tokensPerSec,
    decodeTokensPerSec: tokensPerSec,
    promptTokensPerSec: tokensPerSec * 10,
    promptTokens: 64,
    cachedTokens: 0,
    generatedTokens: 32,
    serverDecodeTokensPerSec: tokensPerSec * 1.001,
    serverPromptTokensPerSec: tokensPerSec * 10,
  };
}

/** A result file's content that nobody measured: for tests of what reads them, never for a claim about speed. */
export function madeResult(wish: ResultWish): BenchmarkResult {
  const {
    profile,
    startedAt,
    build = "b11669",
    host = "bench-host",
    starts = 3,
    spreadPercent = 1,
    scenarioSet = "dev",
    vramPeakMiB,
  } = wish;
  return {
    version: 1,
    startedAt,
    subject: {
      profile,
      releaseId: drawn(profile + build)
        .toString(16)
        .slice(2, 12),
      imageId: `sha256:${build}`,
      modelSha256: "model",
      flags: {},
    },
    build,
    device: "test device",
    ctxSize: 2048,
    host: { fingerprint: host, name: host, cpu: "test CPU", cpus: 8, memoryMiB: 65_536, kernel: "6", docker: "20", gpus: [] },
    scenarioSet,
    protocolHash: "protocol",
    starts: Array.from({ length: starts }, (_, index) => {
      const factor = 1 + ((drawn(`${profile}${startedAt}${index}`) - 0.5) * 2 * spreadPercent) / 100;
      const speed = wish.tokensPerSec * factor;
      const requests = Object.entries(scenarios).flatMap(([name, share]) =>
        [0, 1, 2].map((turn) => request(name, name === "multi-turn" ? turn : 0, speed * share)),
      );
      const vram = vramPeakMiB === undefined ? {} : { vramIdleMiB: vramPeakMiB - 100, vramPeakMiB: vramPeakMiB + index };
      return { startedAt, readyMs: 500, memoryPeakMiB: 275 + index, ...vram, loadAverage: 0.5, requests };
    }),
  };
}

/** A bench record whose perplexity gate measured `perplexity`; null: the profile was refused. */
export function madeRecord(profile: string, startedAt: string, perplexity: number | null): BenchRecord {
  const metric = {
    name: "perplexity",
    unit: "",
    measured: perplexity,
    baseline: null,
    differencePercent: null,
    intervalPercent: null,
    limitPercent: null,
    floor: null,
    ceiling: null,
    verdict: "inconclusive" as const,
    note: "no reference and no ceiling",
  };
  const gate = {
    version: 1 as const,
    gate: "perplexity" as const,
    verdict: "inconclusive" as const,
    reason: "no reference and no ceiling",
    releaseId: "release",
    dryRun: true,
    metrics: [metric],
    comparedWith: null,
    samples: 8,
    startedAt,
    wallSec: 30,
    evidence: null,
  };
  return {
    version: 1,
    profile,
    basedOn: "dev",
    set: {},
    drop: [],
    stack: `bench-${profile}`,
    startedAt,
    wallSec: 90,
    outcome: perplexity === null ? "refused" : "measured",
    reason: perplexity === null ? "gpu0 24286 to 24804 MiB of 16384 MiB: refused" : "measured",
    phases: [],
    result: perplexity === null ? null : resultFileName(profile, startedAt),
    gates: perplexity === null ? [] : [gate],
    model: null,
    corpus: { name: "dev", contextTokens: 512, chunks: 8 },
    memory: [],
  };
}

/** Writes made-up results and records into a project's `benchmarks/`. */
export async function writeMade(folder: string, results: readonly BenchmarkResult[], records: readonly BenchRecord[] = []): Promise<void> {
  const into = join(folder, "benchmarks");
  await mkdir(into, { recursive: true });
  for (const result of results)
    await writeFile(join(into, resultFileName(result.subject.profile, result.startedAt)), JSON.stringify(result));
  for (const record of records) await writeFile(join(into, recordFileName(record)), JSON.stringify(record));
}

/** ISO time `minutes` after a fixed day's begin. */
export const minuteOf = (minutes: number): string => new Date(Date.UTC(2026, 5, 1) + minutes * 60_000).toISOString();
