import process from "node:process";
import { log } from "../program.ts";

/** What a shell says of a process that SIGINT ended. */
const interruptedExitCode = 130;
/** Signals so soon after the first are the same one, ms: npm passes on a terminal's Ctrl-C that its child got already. */
const sameWithinMs = 1000;

/**
 * Aborts on the first SIGINT, SIGTERM or SIGHUP and ends the process on the second. The listeners stay: the Automation API's process library ends this process
 * at once where it finds its own listener to be the only one left, as it is while a `once` runs.
 */
export function stopOnSignal(afterwards: string): AbortSignal {
  const abort = new AbortController();
  let firstAt = Infinity;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(name, () => {
      if (performance.now() - firstAt > sameWithinMs) process.exit(interruptedExitCode);
      if (abort.signal.aborted) return;
      firstAt = performance.now();
      log(`stopping; ${afterwards}`);
      abort.abort(new Error(`stopped by ${name}; the same command goes on from here`));
    });
  return abort.signal;
}
