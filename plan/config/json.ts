import type { z } from "zod";
import { ConfigError, parseWith } from "./errors.ts";

/**
 * Value of `schema` from the text of a JSON file; `fix` says what to do about a text that is no JSON.
 * @throws {ConfigError} with the syntax error, else with every issue of the schema.
 */
export function parseJsonWith<Schema extends z.ZodType>(
  schema: Schema,
  text: string,
  { file, fix }: { file: string; fix: string },
): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError([{ file, path: "", got, allowed: "JSON", fix }], { cause });
  }
  return parseWith(schema, value, { file });
}
