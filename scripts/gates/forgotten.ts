import { z } from "zod";

import type { VolumeStore } from "./volume-store.ts";

/**
 * What stands in a folder of the volume when its newest version is to count for nothing: nothing is ever deleted there, so forgetting is a version too.
 * The versions before it stay, and can be accepted again.
 */
const forgottenSchema = z.strictObject({ version: z.literal(1), forgottenAt: z.string() });

/** Whether a document says that what was before it is forgotten. */
export const isForgotten = (document: unknown): boolean => forgottenSchema.safeParse(document).success;

/** Forgets what a folder holds; returns the path of the version that says so. */
export async function forget(store: VolumeStore, folder: string, forgottenAt: string): Promise<string> {
  const document: z.infer<typeof forgottenSchema> = { version: 1, forgottenAt };
  return store.append(folder, forgottenAt, document);
}
