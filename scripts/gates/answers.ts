import { decideAnswers, decideFirstAnswers } from "../../plan/gates/answers-gate.ts";
import type { AnswerPosition, AnswersReference } from "../../plan/gates/answers-gate.ts";
import { reasonOf } from "../../plan/gates/format.ts";
import { answersInputSchema } from "../../plan/gates/gate-input.ts";
import type { AnswersInput } from "../../plan/gates/gate-input.ts";
import { combineVerdicts } from "../../plan/gates/verdict.ts";
import type { MetricVerdict } from "../../plan/gates/verdict.ts";
import { askAll, findAnswers, readyServer } from "./answers-reference.ts";
import { onTrial } from "./candidate.ts";
import { runGateProgram } from "./gate-program.ts";
import type { GateContext, Outcome } from "./gate-program.ts";

/** Another file of the family may say it in other words. */
function decideAgainst(
  reference: AnswersReference,
  answers: AnswerPosition[][],
  { modelSha256, thresholds }: AnswersInput,
): MetricVerdict[] {
  const { maxDivergenceNats, quantMaxDivergenceNats } = thresholds;
  const isSameFile = reference.modelSha256 === modelSha256;
  return decideAnswers(reference.answers, answers, {
    ...thresholds,
    maxDivergenceNats: isSameFile ? maxDivergenceNats : quantMaxDivergenceNats,
  });
}

async function measure(input: AnswersInput, context: GateContext): Promise<Outcome> {
  const server = await readyServer(input.container, input, context);
  const found = await findAnswers(input, context);
  const answers = await askAll(server, input, found?.reference, context.signal);
  context.evidence["answers"] = answers;
  const samples = answers.reduce((sum, positions) => sum + positions.length, 0);
  const metrics = found === undefined ? decideFirstAnswers(answers) : decideAgainst(found.reference, answers, input);
  const verdict = combineVerdicts(metrics.map((metric) => metric.verdict));
  const common = { verdict, metrics, samples };
  if (found !== undefined)
    return { ...common, reason: reasonOf(metrics, `${samples} tokens as in the reference`), comparedWith: found.comparedWith };
  const name = "no reference answers for this family and these questions, and no release serves that could be asked";
  context.progress(`${name}: these answers are reported only, and become the reference once the release takes traffic`);
  const reason = reasonOf(metrics, "first answers: reported only, they become the reference");
  return { ...common, reason, comparedWith: { source: "floors", name, recordedAt: null, releaseId: null } };
}

await runGateProgram("answers", answersInputSchema, onTrial(measure));
