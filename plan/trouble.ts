import type { HostSeen } from "./rollout/types.ts";

/** A device's lock, as far as it says whether a rollout is at work. */
export interface HeldLock {
  /** Who holds it, and for what. */
  readonly holder: string;
  /** Null where the process can't be looked at from here. */
  readonly isAlive: boolean | null;
}

/** Gives the promoted release the traffic again; the resource is not there before the first promotion. */
const promote = (stack: string, promoted: string | null): string =>
  `npm run up -- ${stack}${promoted === null ? "" : " -- --replace '**promote'"}`;

/**
 * Why a stack is degraded and the command that mends it, in one line; null where it is not. `promoted` is what its state says was promoted last. While a
 * rollout is at work, what serves is on its way to another state and is not judged.
 */
export function findTrouble(stack: string, promoted: string | null, seen: HostSeen, locks: readonly HeldLock[]): string | null {
  const mend = `npm run recover -- ${stack}`;
  const isRolling = locks.some(({ isAlive }) => isAlive !== false);
  const killed = locks.find(({ isAlive }) => isAlive === false);
  if (killed !== undefined) return `a rollout was killed (${killed.holder}); run: ${mend}`;
  if (promoted === null && seen.active === null) return `no release has been promoted yet; run: npm run up -- ${stack}`;
  if (seen.gateway !== "running")
    return `the gateway is ${seen.gateway}; run: ${seen.gateway === "stopped" ? mend : `npm run up -- ${stack} -- --refresh`}`;
  if (isRolling) return null; // it is on its way to another state
  if (seen.active !== promoted)
    return `the gateway routes to ${seen.active ?? "no release"}, the stack promoted ${promoted ?? "none"}; run: ${promote(stack, promoted)}`;
  const servers = seen.releases[promoted ?? ""] ?? [];
  if (servers.length === 0) return `the server of release ${promoted ?? ""} is gone; run: npm run up -- ${stack} -- --refresh`;
  const stopped = servers.find(({ isRunning }) => !isRunning);
  if (stopped !== undefined) return `${stopped.name} does not run; run: ${mend}`;
  if (seen.isHeld) return `the gateway makes requests wait although release ${promoted ?? ""} runs; run: ${mend}`;
  return null;
}
