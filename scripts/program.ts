import process from "node:process";
import { prettifyError, ZodError } from "zod";

/** How often a program looks whether the process that started it is still there, milliseconds. */
const parentPollMs = 1000;

/** When a program has to end by itself. */
interface Deadline {
  readonly deadlineSec: number;
  /** How long what is then still at work may take, milliseconds, before the process is ended: a hung Docker engine must not hold a rollout. */
  readonly graceMs: number;
}

/**
 * Aborts on SIGINT, SIGTERM and SIGHUP, when the parent process is gone (Pulumi kills only the shell around a command, so an orphan would go on unseen), and at the
 * deadline, if there is one. Only the first of these counts: what it stops has to clean up, and is not stopped in that.
 */
export function stopSignal(limit: Deadline | null = null): AbortSignal {
  const abort = new AbortController();
  const parent = process.ppid;
  const stop = (reason: string): void => {
    if (abort.signal.aborted) return;
    abort.abort(new Error(reason));
    if (limit !== null) setTimeout(() => process.exit(1), limit.graceMs).unref();
  };
  setInterval(() => process.ppid === parent || stop("the process that started this one is gone"), parentPollMs).unref();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => stop(`stopped by ${name}`));
  if (limit !== null) setTimeout(() => stop(`deadline of ${limit.deadlineSec} s passed`), limit.deadlineSec * 1000).unref();
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
