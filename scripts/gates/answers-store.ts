import { z } from "zod";

import { answerPositionSchema } from "../../plan/gates/answers-gate.ts";
import type { AnswersReference } from "../../plan/gates/answers-gate.ts";
import { answersInputSchema } from "../../plan/gates/gate-input.ts";
import type { AnswersInput } from "../../plan/gates/gate-input.ts";
import { shortHash } from "./host.ts";
import type { VolumeStore } from "./volume-store.ts";

type Asked = Pick<AnswersInput, "family" | "prompts" | "generateTokens">;

/** Answers are comparable for the same family, prompts and length. */
export function answersKey({ family, prompts, generateTokens }: Asked): string {
  return shortHash([family, prompts, generateTokens]);
}

/** Where the reference answers are kept in the evidence volume. */
export function answersFolder(asked: Asked): string {
  return `references/answers-${answersKey(asked)}`;
}

const evidenceSchema = z.object({
  result: z.object({ startedAt: z.string() }),
  input: answersInputSchema,
  answers: z.array(z.array(answerPositionSchema)),
});

/** Makes what an answers gate heard the reference from now on; returns its path in the volume. @throws {Error} if the evidence is missing or torn. */
export async function promoteAnswers(store: VolumeStore, path: string, recordedAt: string): Promise<string> {
  const { input, answers } = evidenceSchema.parse(await store.read(path));
  const { family, releaseId, modelSha256 } = input;
  const reference: AnswersReference = { version: 1, family, key: answersKey(input), releaseId, modelSha256, recordedAt, answers };
  return store.append(answersFolder(input), recordedAt, reference);
}
