import { z } from "zod";
import { serverPlanSchema } from "./server-container.ts";

/**
 * A release that took traffic, as a stack's output `releases` keeps it: what is needed to go on declaring its containers and gates as they were made.
 * So Pulumi knows a release that is retained, and the way back to it finds its gates passed and its containers there.
 */
export const releaseRecordSchema = z.strictObject({
  version: z.literal(1),
  releaseId: z.string(),
  profile: z.string(),
  servers: z.array(serverPlanSchema).min(1),
  imageId: z.string(),
  /** Volume name, or path of a folder of the Docker host. */
  models: z.string(),
  hostPath: z.string().optional(),
  /** Key of its perplexity gate. */
  perplexityKey: z.string(),
  hasAnswers: z.boolean(),
});
export type ReleaseRecord = z.infer<typeof releaseRecordSchema>;

/** Releases that took traffic before, newest first, from a stack's output; what another version of this project wrote there is left out. */
export function readReleases(output: unknown): ReleaseRecord[] {
  if (!Array.isArray(output)) return [];
  return output.flatMap((entry) => {
    const parsed = releaseRecordSchema.safeParse(entry);
    return parsed.success ? [parsed.data] : [];
  });
}

/** Of the releases that took traffic before, those that are kept beside `releaseId`, newest first. */
export const retainedReleases = (before: readonly ReleaseRecord[], releaseId: string, retain: number): ReleaseRecord[] =>
  before.filter((release) => release.releaseId !== releaseId).slice(0, retain);
