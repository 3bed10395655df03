import type { HostSeen } from "./rollout/types.ts";
import { findTrouble, type HeldLock } from "./trouble.ts";

/** What is known of a stack's traffic. */
export interface ServingSeen {
  readonly seen: HostSeen;
  readonly locks: readonly HeldLock[];
  /** Release that was promoted last, where the state was read; else the one that the gateway routes to. */
  readonly promoted: string | null;
}

/** Whether nothing was ever promoted. A gateway that is gone says nothing; servers that run do. */
const isNew = ({ seen, promoted }: ServingSeen): boolean =>
  promoted === null && seen.active === null && !Object.values(seen.releases).some((servers) => servers.some(({ isRunning }) => isRunning));

/** Release that takes a stack's requests; null where none was promoted yet, undefined where none takes them at the moment, or nobody can say. */
export function servingRelease(stack: string, serving: ServingSeen | undefined): string | null | undefined {
  if (serving === undefined) return undefined;
  if (isNew(serving)) return null;
  const { seen, locks, promoted } = serving;
  return findTrouble(stack, promoted, seen, locks) === null && !seen.isHeld ? (seen.active ?? undefined) : undefined;
}

/** The last line of a deployment that failed: whether a release takes requests, and the command. */
export function describeServing(stack: string, serving: ServingSeen | undefined): string {
  const look = `npm run status -- ${stack}`;
  if (serving === undefined) return `What serves could not be asked: ${look}`;
  if (isNew(serving)) return "No release serves yet.";
  const { seen, locks, promoted } = serving;
  const trouble = findTrouble(stack, promoted, seen, locks);
  if (trouble !== null) return `DEGRADED: ${trouble}`;
  return seen.isHeld ? `Requests wait while a rollout is at work: ${look}` : `Release ${seen.active ?? "none"} takes the traffic: ${look}`;
}

/** What a message about a failed deployment ends with, where nothing of what serves was touched; `serving` as {@link servingRelease} gives it. */
export function describeUntouched(serving: string | null | undefined): string {
  if (serving === undefined) return "nothing was stopped";
  return serving === null ? "nothing was stopped; no release served before" : `nothing was stopped: release ${serving} serves`;
}
