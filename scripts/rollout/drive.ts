import { failed, nextStep, noProgress, succeeded } from "../../plan/rollout/machine.ts";
import type { Effect, Goal, Outcome, Progress } from "../../plan/rollout/types.ts";
import { describeError } from "../program.ts";
import type { StackHost } from "./stack-host.ts";

/** Surroundings of a run of the rollout machine. */
export interface Driver {
  readonly host: StackHost;
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

const descriptions: Readonly<Record<Effect["do"], (release: string) => string>> = {
  startGateway: () => "starting the gateway",
  hold: () => "requests wait from now on",
  drain: (release) => `release ${release} finishes the requests that it has`,
  stop: (release) => `stopping release ${release}`,
  start: (release) => `starting release ${release}`,
  probe: (release) => `waiting for an answer of release ${release}`,
  switch: (release) => `traffic goes to release ${release}`,
  verify: (release) => `asking release ${release} through the gateway`,
  settle: (release) => `release ${release} comes back after a reboot as it is now`,
};
/** Effects that say nothing to an operator when all is well. */
const quiet = new Set<Effect["do"]>(["settle", "verify", "probe"]);

/** Looks, steps, and looks again until the goal is reached or can't be. `broken` names releases that are known to fail. */
export async function drive(goal: Goal, { host, signal, progress }: Driver, broken: Progress["broken"] = {}): Promise<Outcome> {
  let learned: Progress = { ...noProgress, broken };
  for (;;) {
    signal.throwIfAborted();
    const seen = await host.see();
    const step = nextStep(goal, seen, learned);
    if ("end" in step) return step.end;
    const { effect } = step;
    const line = descriptions[effect.do]("release" in effect ? effect.release : "");
    if (!quiet.has(effect.do)) progress(line);
    try {
      await host.perform(effect, seen, signal);
      learned = succeeded(learned, effect);
    } catch (error) {
      signal.throwIfAborted();
      progress(`${line}: ${describeError(error)}`);
      learned = failed(learned, effect, describeError(error));
    }
  }
}
