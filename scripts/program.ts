import process from "node:process";
import { prettifyError, ZodError } from "zod";
import { isStarterThere } from "./rollout/owner.ts";

/** How often a program looks whether the processes that started it are still there, milliseconds. */
const parentPollMs = 300;

/**
 * Aborts on SIGINT, SIGTERM and SIGHUP, and when one of the processes that started this one is gone: Pulumi kills only the shell around a command, and a killed
 * CLI leaves its provider, so an orphan would go on unseen. Only the first of these counts: what it stops has to clean up, and is not stopped in that.
 */
export function stopSignal(): AbortSignal {
  const abort = new AbortController();
  const stop = (reason: string): void => abort.abort(new Error(reason));
  const look = async (): Promise<void> => {
    if (!(await isStarterThere())) stop("a process that started this one is gone");
  };
  void look(); // one may have ended while this program was loaded
  setInterval(() => void look(), parentPollMs).unref();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => stop(`stopped by ${name}`));
  return abort.signal;
}

/**
 * Runs a program that Pulumi started: its result is one JSON line on standard output, its progress goes to standard error. An error is one readable
 * message and exit code 1. The signal is that of {@link stopSignal}; what `main` holds must be released by its own `finally` and `using`.
 */
export async function runProgram(main: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const signal = stopSignal();
  try {
    const result = await main(signal);
    process.stdout.write(`${JSON.stringify(result)}\n`);
  } catch (error) {
    const reason: unknown = signal.reason; // undefined while nothing was stopped
    if (reason !== undefined && error !== reason) log(describeError(reason));
    log(describeError(error));
    process.exitCode = 1;
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
