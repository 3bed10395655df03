/** How a wait is stopped, and told of. */
export interface WaitOptions {
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

/** How often something that is waited for is looked at, milliseconds. */
export const pollMs = 200;

/** How often a wait is told of, milliseconds. */
const tellMs = 10_000;

/** Says lines of progress, the first one at once and then one every ten seconds: who waits long is told for whom, and not once for each look. */
export function nowAndThen(progress: (line: string) => void): (line: string) => void {
  let toldAt = -Infinity;
  return (line) => {
    if (performance.now() - toldAt < tellMs) return;
    toldAt = performance.now();
    progress(line);
  };
}
