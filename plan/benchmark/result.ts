import { z } from "zod";

/**
 * One streamed request as the client saw it, with the server's own `timings` beside it. `decodeTokensPerSec` is tokens after the
 * first chunk over the time between first and last chunk; `promptTokens` counts what the server evaluated, `cachedTokens` what it reused.
 */
export const requestSampleSchema = z.strictObject({
  scenario: z.string(),
  turn: z.number().int().nonnegative(),
  firstTokenMs: z.number().positive(),
  totalMs: z.number().positive(),
  decodeTokensPerSec: z.number().positive(),
  promptTokensPerSec: z.number().positive(),
  promptTokens: z.number().int().nonnegative(),
  cachedTokens: z.number().int().nonnegative(),
  generatedTokens: z.number().int().positive(),
  serverDecodeTokensPerSec: z.number().positive(),
  serverPromptTokensPerSec: z.number().positive(),
});
export type RequestSample = z.infer<typeof requestSampleSchema>;

/** One server start: how long it took to answer, and every request after the first, which is dropped. */
export const startSampleSchema = z.strictObject({
  startedAt: z.string(),
  readyMs: z.number().nonnegative(),
  /** From ready until the last answer, the dropped request included, milliseconds; results of earlier versions don't have it. */
  measuredMs: z.number().nonnegative().optional(),
  /** The container's memory, page cache included: its peak where the kernel keeps one (cgroup v1), else what it was after the last request. */
  memoryPeakMiB: z.number().nonnegative().nullable(),
  /**
   * In use on the container's GPUs together, by whatever uses them: after the load, and the most of that and after the last request, which in the first
   * start fills the window. Absent in results of earlier versions, and where `nvidia-smi` doesn't say.
   */
  vramIdleMiB: z.number().nonnegative().optional(),
  vramPeakMiB: z.number().nonnegative().optional(),
  /** The host's load average over the last minute, when the start had been measured: it tells a noisy neighbour. */
  loadAverage: z.number().nonnegative().nullable(),
  requests: z.array(requestSampleSchema),
});
export type StartSample = z.infer<typeof startSampleSchema>;

/** What was measured, as exactly as the measuring side can know it. */
export const subjectSchema = z.strictObject({
  profile: z.string(),
  releaseId: z.string(),
  imageId: z.string(),
  modelSha256: z.string(),
  flags: z.record(z.string(), z.string()),
});
export type Subject = z.infer<typeof subjectSchema>;

/** The machine: `fingerprint` changes when speed could, so it keys baselines; the rest is for readers. */
export const hostSchema = z.strictObject({
  fingerprint: z.string(),
  name: z.string(),
  cpu: z.string(),
  cpus: z.number(),
  memoryMiB: z.number(),
  kernel: z.string(),
  docker: z.string(),
  /** GPUs that the server sees; results from before it was kept have none. */
  gpus: z.array(z.strictObject({ name: z.string(), memoryMiB: z.number() })).default([]),
});
export type Host = z.infer<typeof hostSchema>;

/** A benchmark run: `benchmarks/llama-cpp-<profile>-<YYYYMMDD-HHMMSS>.json`, and the evidence of the benchmark gate. */
export const benchmarkResultSchema = z.strictObject({
  version: z.literal(1),
  startedAt: z.string(),
  subject: subjectSchema,
  build: z.string(),
  device: z.string(),
  ctxSize: z.number().int().positive(),
  host: hostSchema,
  scenarioSet: z.string(),
  protocolHash: z.string(),
  starts: z.array(startSampleSchema),
});
export type BenchmarkResult = z.infer<typeof benchmarkResultSchema>;

/** File name of a result inside `benchmarks/`, after the profile and the UTC second it was started in. */
export function resultFileName(profile: string, startedAt: string): string {
  const stamp = startedAt.slice(0, 19).replaceAll("-", "").replaceAll(":", "").replace("T", "-");
  return `llama-cpp-${profile}-${stamp}.json`;
}
