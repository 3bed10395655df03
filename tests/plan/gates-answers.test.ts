/** Questions and the plan of the answers gate. Does not prove that a server answers: tests/integration/gates.test.ts asks one. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

import { decideFirstAnswers } from "../../plan/gates/answers-gate.ts";
import type { AnswerPosition } from "../../plan/gates/answers-gate.ts";
import { parseQuestions, promptsOf, questionSetOf } from "../../plan/gates/answers-questions.ts";
import { planAnswers } from "../../plan/gates/gate-plan.ts";
import { answersThresholdsSchema } from "../../plan/gates/thresholds.ts";
import { configErrorLines } from "./config/support.ts";

const text = readFileSync(new URL("../../configs/answers.yaml", import.meta.url), "utf8");
const questions = parseQuestions(text);

describe("questions", () => {
  it.each(["full", "dev"])("set %s has the same short prompts, and one that fills the context", (name) => {
    const prompts = promptsOf(questionSetOf(questions, name));
    expect(prompts.slice(0, -1)).toEqual(questionSetOf(questions, "dev").prompts);
    expect(prompts.at(-1)).toMatch(/^Day 1 is a Monday\.\nDay 2 is a Tuesday\.\n.*\nDay \d+ is a$/s);
  });

  it("the calendar has as many whole lines as told, and breaks off in the next", () => {
    const set = { ...questionSetOf(questions, "dev"), prompts: ["x"], listLines: 8 };
    expect(promptsOf(set)[1]?.split("\n").slice(-2)).toEqual(["Day 8 is a Monday.", "Day 9 is a"]);
    expect(promptsOf({ ...set, listLines: undefined })).toEqual(["x"]);
  });

  it("fail on a set that there is not, and on every field that does not fit", () => {
    expect(configErrorLines(() => questionSetOf(questions, "prod"))).toEqual([
      'configs/answers.yaml: sets.prod: got no set "prod", expected full or dev; name one that there is, or add it',
    ]);
    expect(configErrorLines(() => parseQuestions(text.replace("listLines: 100", "listLines: 0")))).toEqual([
      "configs/answers.yaml: sets.dev.listLines: got 0, expected a number > 0; write an allowed value",
    ]);
  });
});

describe("planAnswers", () => {
  const subject = { stack: "dev", profile: "dev", family: "gemma-3-270m", flags: { A: "1" }, device: { gpus: [], memoryMiB: 2048 } };
  const config = { questions: "dev", timeoutSec: 60, dryRun: false, thresholds: answersThresholdsSchema.parse({}) };

  it("asks the set that the stack names, and compares with a committed reference only where one is named", () => {
    const plan = planAnswers(subject, config, questions);
    expect(plan).toMatchObject({ gate: "answers", family: "gemma-3-270m", deadlineSec: 60, generateTokens: 16, committedReference: null });
    expect(plan.prompts).toEqual(promptsOf(questionSetOf(questions, "dev")));
    expect(planAnswers(subject, { ...config, reference: "configs/references/a.json" }, questions).committedReference).toBe(
      "configs/references/a.json",
    );
  });
});

describe("answers that nothing can be compared with", () => {
  const says = (...tokens: number[]): AnswerPosition[] => tokens.map((token) => ({ token, top: [{ token, logprob: -0.1 }] }));

  it.each([
    ["pass if they are more than one token over and over", [says(1, 2, 1, 2), says(3, 3, 3, 4)], 2, "passed"],
    ["fail if they are one token for ever, as those of a broken build", [says(7, 7, 7), says(7, 7, 7)], 1, "failed"],
  ])("%s", (_what, answers, measured, verdict) => {
    expect(decideFirstAnswers(answers)).toEqual([
      expect.objectContaining({ name: "distinct tokens per answer", measured, floor: 2, baseline: null, verdict }),
    ]);
  });
});
