import { z } from "zod";
import { nearest } from "./nearest.ts";

/** One thing wrong with a configuration file, in the four parts that a reader needs to mend it. */
export interface ConfigIssue {
  /** File as the operator knows it, e.g. `configs/models.yaml`. */
  readonly file: string;
  /** Place in the file, dotted, e.g. `latest.source.ref`; empty when the file as a whole is meant. */
  readonly path: string;
  /** What came, quoted where it was text; never the value of a key that names a secret. */
  readonly got: string;
  /** What would have been accepted. */
  readonly allowed: string;
  /** What to do about it. */
  readonly fix: string;
}

/** A configuration file that cannot be used; carries every issue of the file and lists all of them, one per line. */
export class ConfigError extends Error {
  readonly issues: readonly ConfigIssue[];

  constructor(issues: readonly ConfigIssue[], options?: ErrorOptions) {
    super(issues.map(formatIssue).join("\n"), options);
    this.name = "ConfigError";
    this.issues = issues;
  }
}

/** One issue as one line: `file: path: got …, expected …; fix`. Line breaks and other control characters in a part are escaped. */
export function formatIssue({ file, path, got, allowed, fix }: ConfigIssue): string {
  const line = `${[file, path].filter((part) => part !== "").join(": ")}: got ${got}, expected ${allowed}; ${fix}`;
  return line.replace(CONTROL, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Control characters, and the two line separators of Unicode. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;

/**
 * What a schema's own refinement tells `parseWith`, as the `params` of a zod custom issue. `got` replaces the value at the
 * path where the trouble is a relation between several of them.
 */
export interface IssueHints {
  readonly got?: string;
  readonly allowed?: string;
  readonly fix?: string;
}

/**
 * Value of `schema` parsed from `value`. A schema's `error` text is read as what is allowed ("an integer >= 256 (tokens)").
 * @throws {ConfigError} naming each issue at once, unknown keys with the nearest known key.
 */
export function parseWith<Schema extends z.ZodType>(schema: Schema, value: unknown, { file }: { file: string }): z.output<Schema> {
  const known: KnownKeys = new Map();
  const result = schema.safeParse(value, { error: (issue) => describe(issue, known) });
  if (result.success) return result.data;
  throw new ConfigError(result.error.issues.flatMap((issue) => configIssues(issue, value, file, known)));
}

/** Keys that an object schema has, by the unknown-keys text that was made for it. */
type KnownKeys = Map<string, readonly string[]>;

/** What is allowed where a schema says nothing of its own. */
function describe(issue: z.core.$ZodRawIssue, known: KnownKeys): string {
  switch (issue.code) {
    case "invalid_type":
      return article(issue.expected);
    case "too_small":
      return sized(issue.origin, `${issue.inclusive === false ? ">" : ">="} ${issue.minimum}`);
    case "too_big":
      return sized(issue.origin, `${issue.inclusive === false ? "<" : "<="} ${issue.maximum}`);
    case "invalid_value":
      return oneOf(issue.values.map(String));
    case "invalid_format":
      return issue.pattern === undefined ? `text of the form ${issue.format}` : `text matching ${issue.pattern}`;
    case "not_multiple_of":
      return `a multiple of ${issue.divisor}`;
    case "unrecognized_keys": {
      const keys = shapeKeys(issue.inst);
      const text = keys.length === 0 ? "no further keys" : `keys ${keys.join(", ")}`;
      known.set(text, keys);
      return text;
    }
    case "invalid_union":
      return "another form";
    case "invalid_key":
    case "invalid_element":
    case "custom":
      return "another value";
  }
}

/** Keys of the object schema that raised an issue; empty for a record. */
function shapeKeys(inst: unknown): readonly string[] {
  return inst instanceof z.ZodObject ? Object.keys(inst.shape) : [];
}

function configIssues(issue: z.core.$ZodIssue, root: unknown, file: string, known: KnownKeys): ConfigIssue[] {
  const path = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey(key, path, issue.message, file, known));
  if (issue.code === "invalid_key") {
    return issue.issues.map((inner) => ({ file, path, got: "that key", allowed: inner.message, fix: "rename the key" }));
  }
  const got = valueAt(root, issue.path);
  const hints: IssueHints = issue.code === "custom" ? (issue.params ?? {}) : {};
  return [
    {
      file,
      path,
      got:
        hints.got ??
        show(
          got,
          issue.path.findLast((part) => typeof part === "string"),
        ), // of a list, the list's own name says what it holds
      allowed: hints.allowed ?? issue.message,
      fix: hints.fix ?? (got === undefined ? "add it" : "write an allowed value"),
    },
  ];
}

function unknownKey(key: string, path: string, allowed: string, file: string, known: KnownKeys): ConfigIssue {
  const near = nearest(key, known.get(allowed) ?? []);
  return {
    file,
    path: path === "" ? key : `${path}.${key}`,
    got: "an unknown key",
    allowed,
    fix: near === undefined ? "remove it" : `did you mean ${near}? else remove it`,
  };
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

const SECRET_KEY = /(key|token|secret|password|passphrase|credential)s?$/i; // LLAMA_API_KEY, HF_TOKEN, apiKey
const SHOWN_CHARS = 80;

/** The value of `key` as an error may show it: quoted text cut at 80 characters, containers by kind, secrets not at all. */
export function show(value: unknown, key: PropertyKey | undefined): string {
  if (value === undefined) return "nothing";
  if (SECRET_KEY.test(String(key))) return "a value (not shown)";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object" && value !== null) return "a mapping";
  return quote(value);
}

/** Text in double quotes with control characters escaped, cut at 80 characters; other scalars as they print. Not for secrets. */
export function quote(value: unknown): string {
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text;
}

/** `a`, `a or b`, `a, b or c`. */
export function oneOf(values: readonly string[]): string {
  const last = values.at(-1) ?? "nothing";
  return values.length < 2 ? last : `${values.slice(0, -1).join(", ")} or ${last}`;
}

function article(expected: string): string {
  const names: Record<string, string> = {
    int: "an integer",
    string: "text",
    number: "a number",
    boolean: "true or false",
    object: "a mapping",
    record: "a mapping",
    array: "a list",
    never: "nothing",
  };
  return names[expected] ?? expected;
}

function sized(origin: string, bound: string): string {
  if (origin === "string") return `text of length ${bound}`;
  return origin === "array" || origin === "set" || origin === "map"
    ? `${bound} entries`
    : `${origin === "int" ? "an integer" : "a number"} ${bound}`;
}
