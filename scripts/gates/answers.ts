import { readFile } from "node:fs/promises";

import { answersReferenceSchema, decideAnswers } from "../../plan/gates/answers-gate.ts";
import type { AnswerPosition, AnswersReference } from "../../plan/gates/answers-gate.ts";
import { answersInputSchema } from "../../plan/gates/gate-input.ts";
import type { AnswersInput } from "../../plan/gates/gate-input.ts";
import { combineVerdicts } from "../../plan/gates/verdict.ts";
import type { Comparison } from "../../plan/gates/verdict.ts";
import { answersFolder, answersKey } from "./answers-store.ts";
import { answer } from "./answers-run.ts";
import { waitReady } from "./candidate.ts";
import { reasonOf, runGateProgram } from "./gate-program.ts";
import type { GateContext, Outcome } from "./gate-program.ts";

async function findReference(
  input: AnswersInput,
  context: GateContext,
): Promise<{ reference: AnswersReference; comparedWith: Comparison } | undefined> {
  const key = answersKey(input);
  const stored = await context.store.latest(answersFolder(input));
  if (stored !== undefined) {
    const reference = answersReferenceSchema.parse(stored.document);
    const { recordedAt, releaseId } = reference;
    return { reference, comparedWith: { source: "stored", name: stored.path, recordedAt, releaseId } };
  }
  if (input.committedReference === null) return undefined;
  const reference = answersReferenceSchema.parse(JSON.parse(await readFile(input.committedReference, "utf8")));
  if (reference.key !== key) {
    context.progress(`${input.committedReference} does not apply: it is of other prompts, lengths or family`);
    return undefined;
  }
  const { recordedAt, releaseId } = reference;
  return { reference, comparedWith: { source: "committed", name: input.committedReference, recordedAt, releaseId } };
}

async function measure(input: AnswersInput, context: GateContext): Promise<Outcome> {
  const found = await findReference(input, context);
  const container = context.docker.getContainer(input.container);
  const { server } = await waitReady(container, {
    apiKeyFile: input.apiKeyFile,
    timeoutSec: input.readyTimeoutSec,
    signal: context.signal,
  });
  const answers: AnswerPosition[][] = [];
  for (const [index, prompt] of input.prompts.entries())
    answers.push(await answer(server, prompt, found?.reference.answers[index], input, context.signal));
  context.evidence["answers"] = answers;
  const samples = answers.reduce((sum, positions) => sum + positions.length, 0);
  if (found === undefined) {
    const name = "no reference answers for this family and these prompts";
    const comparedWith: Comparison = { source: "floors", name, recordedAt: null, releaseId: null };
    return { verdict: "inconclusive", reason: `${name}; what was answered is in the evidence`, metrics: [], comparedWith, samples };
  }
  const metrics = decideAnswers(found.reference.answers, answers, input.thresholds);
  const verdict = combineVerdicts(metrics.map((metric) => metric.verdict));
  const reason = reasonOf(metrics, `${samples} tokens of ${answers.length} answers as in the reference`);
  return { verdict, reason, metrics, comparedWith: found.comparedWith, samples };
}

await runGateProgram("answers", answersInputSchema, measure);
