import { ConfigError, quote, show, type ConfigIssue } from "./errors.ts";

/** One `KEY=VALUE` line of an env file; `line` counts from 1. */
export interface EnvEntry {
  readonly key: string;
  readonly value: string;
  readonly line: number;
}

/** One `# comment` line, without its `#` and the blank behind it. */
export interface EnvComment {
  readonly text: string;
  readonly line: number;
}

/** An env file as it stands: entries and comments, each in file order. */
export interface EnvFile {
  readonly entries: readonly EnvEntry[];
  readonly comments: readonly EnvComment[];
}

const LINE = /^([A-Z][A-Z0-9_]*)=(.*)$/;
const LONGEST_LINE_CHARS = 4096;

/**
 * Entries of an env file that means the same to `docker run --env-file`, which passes everything after the first `=` on as
 * it is: no quotes are removed, nothing is interpolated, `#` opens a comment only at the start of a line. What Docker would
 * take in a way that surprises is refused: a value in quotes (they would reach the server), blanks at either end of a value
 * or before a key, a key without `=` (Docker would copy it from the caller's environment), an empty value, a key twice.
 *
 * Not read by the `dotenv` package: it takes quotes off, cuts values at ` #`, joins quoted lines, skips lines it cannot read
 * and lets the last of two equal keys win, without a word.
 * @throws {ConfigError} with every bad line.
 */
export function parseEnvFile(text: string, file: string): EnvFile {
  const entries: EnvEntry[] = [];
  const comments: EnvComment[] = [];
  const issues: ConfigIssue[] = [];
  const firstLines = new Map<string, number>();
  text.split(/\r?\n/).forEach((raw, index) => {
    const line = index + 1;
    if (raw === "") return;
    if (raw.startsWith("#")) {
      comments.push({ text: raw.slice(1).replace(/^ /, ""), line });
      return;
    }
    const match = LINE.exec(raw);
    const problem = match === null ? lineProblem(raw) : valueProblem(match[1] ?? "", match[2] ?? "", firstLines.get(match[1] ?? ""));
    if (problem !== undefined) issues.push({ file, path: match?.[1] ?? `line ${line}`, ...problem });
    if (match === null) return;
    const key = match[1] ?? "";
    if (!firstLines.has(key)) firstLines.set(key, line);
    entries.push({ key, value: match[2] ?? "", line });
  });
  if (issues.length > 0) throw new ConfigError(issues);
  return { entries, comments };
}

type Problem = Omit<ConfigIssue, "file" | "path">;

function lineProblem(raw: string): Problem {
  const allowed = "KEY=VALUE, a comment that starts with #, or an empty line";
  if (raw.trim() === "") return { got: "a line of blanks", allowed, fix: "empty the line" };
  if (/^\s/.test(raw)) return { got: quote(raw), allowed, fix: "take the blanks off its start" };
  if (raw.startsWith("export ")) return { got: quote(raw), allowed, fix: "take export off: this file is no shell script" };
  if (!raw.includes("=")) return { got: quote(raw), allowed, fix: "give it a value, else remove it" };
  return { got: quote(raw), allowed, fix: "write the key in capitals, digits and _, with = right behind it" };
}

function valueProblem(key: string, value: string, firstLine: number | undefined): Problem | undefined {
  if (firstLine !== undefined) {
    return { got: `a second value ${show(value, key)}`, allowed: "each key once", fix: `remove one; the first is on line ${firstLine}` };
  }
  if (value === "") return { got: "no value", allowed: "a value behind =", fix: "write the value, else remove the line" };
  if (value.length > LONGEST_LINE_CHARS) {
    return { got: `${value.length} characters`, allowed: `at most ${LONGEST_LINE_CHARS}`, fix: "put long text into a file" };
  }
  if (/[\u0000-\u001f\u007f]/.test(value)) return { got: show(value, key), allowed: "no control characters", fix: "remove them" };
  if (value !== value.trim()) return { got: show(value, key), allowed: "no blanks at either end", fix: "remove them" };
  if (/^(["'`]).*\1$/.test(value)) {
    return { got: show(value, key), allowed: "a value without quotes", fix: "remove them: Docker would pass them on to the server" };
  }
  return undefined;
}
