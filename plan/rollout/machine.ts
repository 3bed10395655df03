import { normalRestart, type Effect, type Goal, type HostSeen, type Progress, type ServerSeen, type Step } from "./types.ts";

/**
 * The rollout machine. It is level-triggered: a program looks at the host, asks for the next step, does it, and looks again. What is active and what runs is
 * never remembered, so a program that was killed anywhere leaves nothing but a host state, and the next one goes on from there.
 *
 * States are values of `HostSeen`, events are the outcomes of steps ({@link succeeded}, {@link failed}), effects are values of `Effect`.
 */

export const noProgress: Progress = { drained: [], answering: [], verified: [], broken: {}, failures: {} };

/** How often an effect that should always work (stop, hold, switch) is tried before the run gives up. */
const maxTries = 3;

const gatewayGone = "the gateway's container is gone";

/** The effect was done. */
export function succeeded(progress: Progress, effect: Effect): Progress {
  switch (effect.do) {
    case "drain":
      return { ...progress, drained: [...progress.drained, effect.release] };
    case "probe":
      return { ...progress, answering: [...progress.answering, effect.release] };
    case "verify":
      return { ...progress, verified: [...progress.verified, effect.release] };
    default:
      return progress;
  }
}

/** The effect was tried and failed. Starting, probing and verifying are not tried again: each has a deadline of its own. A drain that failed is over. */
export function failed(progress: Progress, effect: Effect, reason: string): Progress {
  switch (effect.do) {
    case "start":
    case "probe":
    case "verify":
      return { ...progress, broken: { ...progress.broken, [effect.release]: reason } };
    case "drain":
      return succeeded(progress, effect);
    default: {
      const key = JSON.stringify(effect);
      const count = (progress.failures[key]?.count ?? 0) + 1;
      return { ...progress, failures: { ...progress.failures, [key]: { count, reason } } };
    }
  }
}

/** The next step towards `goal`. Total: every combination of arguments has one, and a run ends after finitely many. */
export function nextStep(goal: Goal, seen: HostSeen, progress: Progress): Step {
  const step = goal.kind === "recover" ? recover(goal, seen, progress) : forward(goal, seen, progress);
  if (!("effect" in step)) return step;
  const failure = progress.failures[JSON.stringify(step.effect)];
  if (failure === undefined || failure.count < maxTries) return step;
  const reason = `${step.effect.do} failed ${failure.count} times: ${failure.reason}`;
  return { end: goal.kind === "recover" ? { kind: "degraded", reason } : { kind: "failed", reason } };
}

function forward(goal: Extract<Goal, { kind: "trial" | "promote" }>, seen: HostSeen, progress: Progress): Step {
  if (seen.gateway === "missing") return { end: { kind: "failed", reason: gatewayGone } };
  // before anything is stopped for it
  const reason = goal.candidate === null ? undefined : (progress.broken[goal.candidate] ?? missing(seen, goal.candidate));
  if (reason !== undefined) return { end: { kind: "failed", reason } };
  if (seen.gateway === "stopped") return { effect: { do: "startGateway" } };
  const room = makeRoom(goal, seen, progress);
  if (room !== undefined) return { effect: room };
  if (goal.kind === "trial") return { end: { kind: "ready" } };
  const { candidate, previous } = goal;
  return toEnd(bringUp(candidate, true, seen, progress) ?? clear(candidate, previous, seen, progress) ?? settle(seen), candidate);
}

/**
 * What stands between the host and a measurement of the candidate. A release that is measured anew takes no traffic meanwhile: requests would be
 * measured with it, and cut off by its restarts.
 */
function makeRoom(
  { kind, candidate, strategy }: Extract<Goal, { kind: "trial" | "promote" }>,
  seen: HostSeen,
  progress: Progress,
): Effect | undefined {
  const { active } = seen;
  if (candidate !== null && active === candidate) {
    if (kind === "promote") return undefined;
    return seen.isHeld ? drainOnce(candidate, seen, progress) : { do: "hold" };
  }
  const leftover = runningBut(seen, [active, candidate])[0];
  if (leftover !== undefined) return { do: "stop", release: leftover, returns: false };
  if (strategy === "bluegreen" || active === null) return undefined;
  if (!seen.isHeld) return { do: "hold" };
  if (!isRunning(seen, active)) return undefined;
  return drainOnce(active, seen, progress) ?? { do: "stop", release: active, returns: true };
}

function recover(goal: Extract<Goal, { kind: "recover" }>, seen: HostSeen, progress: Progress): Step {
  if (seen.gateway === "stopped") return { effect: { do: "startGateway" } };
  // which of them took traffic is not known: none is stopped
  if (seen.gateway === "missing" && goal.previous === null && Object.keys(seen.releases).length > 0)
    return { end: { kind: "degraded", reason: `${gatewayGone}; what it routed to is not known, and nothing was started or stopped` } };
  const order = targets(goal, seen);
  const troubles = new Map(
    order.flatMap((release) => {
      const reason = progress.broken[release] ?? missing(seen, release);
      return reason === undefined ? [] : [[release, `release ${release}: ${reason}`]];
    }),
  );
  const target = order.find((release) => !troubles.has(release));
  if (target === undefined) {
    const effect = clear(order[0] ?? null, null, seen, progress) ?? settle(seen);
    if (effect !== undefined) return { effect };
    return { end: order.length === 0 ? { kind: "idle" } : { kind: "degraded", reason: [...troubles.values()].join("; ") } };
  }
  const inTraffic = target === goal.candidate ? goal.previous : null;
  const effect = clear(target, inTraffic, seen, progress) ?? bringUp(target, false, seen, progress) ?? settle(seen);
  if (effect === undefined && seen.gateway === "missing")
    return { end: { kind: "degraded", reason: `${gatewayGone}; release ${target} runs behind it` } };
  return toEnd(effect, target);
}

/**
 * Releases that may serve, the wanted one first. What is active passed its gates. Where that is the candidate of an interrupted rollout, the one before is
 * still good; any other is not guessed at.
 */
function targets({ candidate, previous }: Extract<Goal, { kind: "recover" }>, seen: HostSeen): string[] {
  const active = seen.gateway === "missing" ? previous : seen.active;
  if (active === null) return [];
  return active === candidate && previous !== null && previous !== candidate ? [active, previous] : [active];
}

/** Up, answering, routed to, and proved. */
function bringUp(release: string, onTrial: boolean, seen: HostSeen, progress: Progress): Effect | undefined {
  if (!isUp(seen, release)) return { do: "start", release, onTrial };
  if (!progress.answering.includes(release)) return { do: "probe", release };
  if (seen.gateway === "missing") return undefined;
  if (seen.active !== release || seen.isHeld) return { do: "switch", release };
  // at once: until then a reboot would bring back what served before, and not what the pointer names
  return settleOne(seen, release) ?? settle(seen) ?? (progress.verified.includes(release) ? undefined : { do: "verify", release });
}

/** Stops every release but `kept`; the one that had traffic until now may finish its requests first. */
function clear(kept: string | null, inTraffic: string | null, seen: HostSeen, progress: Progress): Effect | undefined {
  const release = runningBut(seen, [kept])[0];
  if (release === undefined) return undefined;
  return (release === inTraffic ? drainOnce(release, seen, progress) : undefined) ?? { do: "stop", release, returns: false };
}

function settle(seen: HostSeen): Effect | undefined {
  const release = Object.keys(seen.releases).find((id) => settleOne(seen, id) !== undefined);
  return release === undefined ? undefined : { do: "settle", release };
}

const settleOne = (seen: HostSeen, release: string): Effect | undefined =>
  servers(seen, release).every(({ restart }) => restart === normalRestart) ? undefined : { do: "settle", release };
const toEnd = (effect: Effect | undefined, release: string): Step =>
  effect === undefined ? { end: { kind: "serves", release } } : { effect };
const servers = (seen: HostSeen, release: string): readonly ServerSeen[] => seen.releases[release] ?? [];
const isRunning = (seen: HostSeen, release: string): boolean => servers(seen, release).some((server) => server.isRunning);
const isUp = (seen: HostSeen, release: string): boolean =>
  servers(seen, release).length > 0 && servers(seen, release).every((server) => server.isRunning);
const missing = (seen: HostSeen, release: string): string | undefined =>
  servers(seen, release).length === 0 ? "its container is gone" : undefined;
const runningBut = (seen: HostSeen, kept: readonly (string | null)[]): string[] =>
  Object.keys(seen.releases)
    .sort()
    .filter((release) => !kept.includes(release) && isRunning(seen, release));
const drainOnce = (release: string, seen: HostSeen, { drained }: Progress): Effect | undefined =>
  isRunning(seen, release) && !drained.includes(release) ? { do: "drain", release } : undefined;
