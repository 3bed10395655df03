import { z } from "zod";

import { ConfigError, oneOf, quote } from "../config/errors.ts";
import { parseYamlWith } from "../config/yaml.ts";

const count = z.number().int().positive();
const name = z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, "a name in kebab-case");

const questionSetSchema = z.strictObject({
  generateTokens: count.describe("Tokens generated for each prompt"),
  topTokens: count.max(100).describe("Likeliest tokens that the server lists at each position, for the divergence"),
  requestTimeoutSec: z.number().positive().describe("Longest wait for one answer"),
  readyTimeoutSec: z.number().positive().describe("Longest wait for a server that was just started"),
  prompts: z.array(z.string().min(1)).min(1).describe("Texts to go on with"),
  listLines: count
    .optional()
    .describe(
      "One more prompt that fills the context: a calendar of so many lines, ten tokens each, to go on with; it has to fit into a slot",
    ),
});
/** What one class of hosts is asked. */
export type QuestionSet = z.infer<typeof questionSetSchema>;

/** Schema of `configs/answers.yaml`. */
export const questionsSchema = z.strictObject({ version: z.literal(1), sets: z.record(name, questionSetSchema) });
/** The sets of questions by name. */
export type Questions = z.infer<typeof questionsSchema>;

const file = "configs/answers.yaml";

/** @throws {ConfigError} with every issue of the file */
export const parseQuestions = (text: string): Questions => parseYamlWith(questionsSchema, text, { file });

/** The set of that name. @throws {ConfigError} naming those that there are */
export function questionSetOf({ sets }: Questions, set: string): QuestionSet {
  const found = Object.hasOwn(sets, set) ? sets[set] : undefined;
  if (found !== undefined) return found;
  const allowed = oneOf(Object.keys(sets));
  throw new ConfigError([{ file, path: `sets.${set}`, got: `no set ${quote(set)}`, allowed, fix: "name one that there is, or add it" }]);
}

const weekdays = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/** A calendar that breaks off within its last line. Any model can go on with it, so its answers are far from ties, at whatever length. */
function calendar(lines: number): string {
  const line = (index: number): string => `Day ${index + 1} is a ${weekdays[index % weekdays.length] ?? ""}.`;
  return `${Array.from({ length: lines }, (_, index) => line(index)).join("\n")}\nDay ${lines + 1} is a`;
}

/** All prompts of a set as texts; the one that fills the context comes last. */
export function promptsOf({ prompts, listLines }: QuestionSet): string[] {
  return listLines === undefined ? [...prompts] : [...prompts, calendar(listLines)];
}
