import { parseDocument } from "yaml";
import type { z } from "zod";
import { ConfigError, parseWith } from "./errors.ts";

/** Longest YAML file that is read, in characters: a hundred times the largest of this project. */
const LONGEST_FILE_CHARS = 1 << 20;

/** Syntax errors that are reported; one mistake can make hundreds, each the consequence of the one before. */
const MOST_SYNTAX_ERRORS = 20;

/**
 * Value of `schema` from the text of a YAML 1.2 file. One document, no duplicate keys, no tags of its own; an alias may
 * stand for an earlier value a hundred times at most.
 * @throws {ConfigError} with the first twenty syntax errors and their lines, else with every issue of the schema.
 */
export function parseYamlWith<Schema extends z.ZodType>(schema: Schema, text: string, { file }: { file: string }): z.output<Schema> {
  return parseWith(schema, readYaml(text, file), { file });
}

function readYaml(text: string, file: string): unknown {
  const allowed = "YAML";
  if (text.length > LONGEST_FILE_CHARS) {
    throw new ConfigError([
      { file, path: "", got: `${text.length} characters`, allowed: `at most ${LONGEST_FILE_CHARS}`, fix: "split it" },
    ]);
  }
  try {
    const document = parseDocument(text, { version: "1.2", strict: true, uniqueKeys: true, prettyErrors: true, logLevel: "silent" });
    const problems = [...document.errors, ...document.warnings];
    if (problems.length > 0) {
      const issues = problems.slice(0, MOST_SYNTAX_ERRORS).map(({ message, linePos }) => ({
        file,
        path: linePos === undefined ? "" : `line ${linePos[0].line}`,
        got: firstLine(message),
        allowed,
        fix: "mend the syntax",
      }));
      throw new ConfigError(issues);
    }
    return document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    // the parser recurses, so hostile nesting ends in a RangeError, and too many aliases in a ReferenceError
    const got = firstLine(cause instanceof Error ? cause.message : String(cause));
    throw new ConfigError([{ file, path: "", got, allowed, fix: "mend the syntax" }], { cause });
  }
}

function firstLine(message: string): string {
  return (message.split("\n")[0] ?? "").replace(/ at line \d+, column \d+:?$/, "");
}
