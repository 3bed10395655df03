import { z } from "zod";

import type { Host } from "../benchmark/result.ts";
import { hostSignSchema, measuredSpeeds, parseExpectations, type HostSign } from "../config/expectations.ts";

/** Committed decode speeds of one profile, tok/s by scenario, without samples; they hold for the host with these signs only. */
export const statedSpeedsSchema = z.strictObject({
  /** File that states them. */
  file: z.string().min(1),
  host: hostSignSchema,
  decodeTokensPerSec: z.record(z.string(), z.number().positive()),
});
export type StatedSpeeds = z.infer<typeof statedSpeedsSchema>;

/**
 * What an expectations file states for a profile; null where it states no speeds by scenario, or does not say how its host is recognised.
 * @throws {ConfigError} with every issue of the file
 */
export function planStatedSpeeds(file: string, text: string, profile: string): StatedSpeeds | null {
  const expectations = parseExpectations(text, file);
  const decodeTokensPerSec = { ...measuredSpeeds(expectations, profile) };
  const host = expectations.recognised;
  return host === undefined || Object.keys(decodeTokensPerSec).length === 0 ? null : { file, host, decodeTokensPerSec };
}

/** Whether a host shows all the signs; one with another number of GPUs than one never does. */
export function isRecognised(sign: HostSign, { cpu, gpus }: Pick<Host, "cpu" | "gpus">): boolean {
  const [gpu, ...others] = gpus;
  if (gpu === undefined || others.length > 0) return false;
  const [least, most] = sign.vramMiB;
  return gpu.name.includes(sign.gpu) && gpu.memoryMiB >= least && gpu.memoryMiB <= most && cpu.includes(sign.cpu);
}
