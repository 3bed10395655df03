import process from "node:process";
import { prettifyError, ZodError } from "zod";

/** How often a program looks whether the process that started it is still there, milliseconds. */
const parentPollMs = 1000;

/**
 * Runs a program that Pulumi started: its result is one JSON line on standard output, its progress goes to standard error. An error is one readable
 * message and exit code 1. The signal aborts on SIGINT, SIGTERM, SIGHUP, and when the parent is gone: Pulumi kills only the shell around a
 * command, so an orphan would go on unseen. What `main` holds must be released by its own `finally` and `using`.
 */
export async function runProgram(main: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const abort = new AbortController();
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid !== parent) abort.abort(new Error("the process that started this one is gone"));
  }, parentPollMs);
  watch.unref();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => abort.abort(new Error(`stopped by ${name}`)));
  try {
    const result = await main(abort.signal);
    process.stdout.write(`${JSON.stringify(result)}\n`);
  } catch (error) {
    const reason: unknown = abort.signal.reason; // undefined while nothing was stopped
    if (reason !== undefined && error !== reason) log(describeError(reason));
    log(describeError(error));
    process.exitCode = 1;
  } finally {
    clearInterval(watch);
  }
}

/** One line of progress. */
export function log(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** An error with its causes, innermost last: `a: b: c`. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof ZodError) return prettifyError(error);
  if (error instanceof AggregateError && error.message === "") return error.errors.map(describeError).join("; ");
  const message = error.message === "" ? error.name : error.message;
  return error.cause === undefined ? message : `${message}: ${describeError(error.cause)}`;
}
