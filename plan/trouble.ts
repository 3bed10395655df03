import { redeployCommand } from "./drift/case.ts";
import { isLooping } from "./drift/find-containers.ts";
import { isLoading } from "./drift/find-servers.ts";
import type { Completion, ContainerState } from "./drift/observation.ts";
import type { HostSeen } from "./rollout/types.ts";

/** A device's lock, as far as it says whether a rollout is at work. */
export interface HeldLock {
  /** Who holds it, and for what. */
  readonly holder: string;
  /** Null where the process can't be looked at from here. */
  readonly isAlive: boolean | null;
}

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
    return `the gateway routes to ${seen.active ?? "no release"}, the stack promoted ${promoted ?? "none"}; run: npm run up -- ${stack}`;
  const servers = seen.releases[promoted ?? ""] ?? [];
  if (servers.length === 0) return `the server of release ${promoted ?? ""} is gone; run: npm run up -- ${stack} -- --refresh`;
  const stopped = servers.find(({ isRunning }) => !isRunning);
  if (stopped !== undefined) return `${stopped.name} does not run; run: ${mend}`;
  if (seen.isHeld) return `the gateway makes requests wait although release ${promoted ?? ""} runs; run: ${mend}`;
  return null;
}

/** One server of the release that takes the traffic. */
export interface AskedServer {
  readonly name: string;
  /** Null: its container is gone. */
  readonly seen: Pick<NonNullable<ContainerState["seen"]>, "status" | "exitCode" | "restarts" | "startedAtMs"> | null;
  /** Last line of its log; empty where nobody looked. */
  readonly lastLine: string;
  /** What its health check answered; empty where nobody asked, or nothing came. */
  readonly health: string;
  /** What came of the same question to this server alone. Null: not asked, because it is the only one, or has no address. */
  readonly own: Completion | null;
}

/** What came of a short completion through the gateway. */
export interface Asked {
  readonly completion: Completion;
  readonly servers: readonly AskedServer[];
}

/** Whether requests are answered. `busy`: they wait, and will be answered with nobody doing anything. */
export type Condition = { readonly state: "ok" } | { readonly state: "busy" | "degraded"; readonly why: string };

/**
 * Whether a release answers whose containers all run, and where it doesn't, why and the command that mends it. Of several servers one that Docker starts again
 * and again, is paused or hangs is trouble although the others answer, as one that does not run is: it gets its share of the requests.
 */
export function judgeAnswer(stack: string, { completion, servers }: Asked, nowMs: number): Condition {
  const mend = redeployCommand(stack);
  const broken = servers.flatMap((server) => describeBroken(server, nowMs) ?? [])[0] ?? findSilent(servers, nowMs);
  if (broken !== undefined) return { state: "degraded", why: `${broken}; run: ${mend}` };
  if (completion.kind === "answered") return { state: "ok" };
  const loading = servers.find((server) => loadsModel(server, nowMs));
  if (loading !== undefined)
    return { state: "busy", why: `${loading.name} loads its model, and requests wait; look again in some minutes` };
  const problem = describeCompletion(completion);
  if (completion.kind === "late" && completion.isWorking)
    return { state: "busy", why: `no answer: ${problem}; look when it has less to do` };
  if (isRefused(completion))
    return { state: "degraded", why: `the gateway has lost its API keys and refuses everybody; run: ${bringKeys(stack)}` };
  return { state: "degraded", why: `no answer through the gateway: ${problem}; run: ${mend}` };
}

/** Brings the keys to the gateway again; nothing is restarted. */
const bringKeys = (stack: string): string => `npm run up -- ${stack} -- --replace '**gateway-access'`;

/** The key that was sent is one of the gateway's own, so it can only be refused where the gateway has none. */
const isRefused = (completion: Completion): boolean => completion.kind === "failed" && completion.reason.startsWith("status 401");

const loadsModel = ({ seen, health }: AskedServer, nowMs: number): boolean => isLoading(health, seen?.startedAtMs ?? 0, nowMs);

/** The server that does not answer although another one of its release does. One that works or loads its model will. */
function findSilent(servers: readonly AskedServer[], nowMs: number): string | undefined {
  if (!servers.some(({ own }) => own?.kind === "answered")) return undefined;
  for (const server of servers) {
    const { name, own } = server;
    if (own === null || own.kind === "answered" || (own.kind === "late" && own.isWorking)) continue;
    if (!loadsModel(server, nowMs)) return `${name} does not answer: ${describeCompletion(own)}`;
  }
  return undefined;
}

function describeBroken({ name, seen, lastLine }: AskedServer, nowMs: number): string | undefined {
  if (seen?.status === "paused") return `${name} is paused`;
  if (seen === null || !isLooping(seen, nowMs)) return undefined;
  const parts = [
    ...(seen.status === "running" ? [] : [`exit code ${seen.exitCode}`]),
    `started again ${seen.restarts === 1 ? "once" : `${seen.restarts} times`}`,
    ...(lastLine === "" ? [] : [`its log ends: ${lastLine}`]),
  ];
  return `${name} ends again and again (${parts.join(", ")})`;
}

/** What came of a completion, in few words after `answer`. */
export function describeCompletion(completion: Completion): string {
  switch (completion.kind) {
    case "answered":
      return `in ${(completion.wallMs / 1000).toFixed(2)} s`;
    case "failed":
      return completion.reason.replaceAll(/\s+/g, " ").trim();
    case "late": {
      const others = completion.isWorking ? "but it worked on other requests all the time" : "and no other request went on meanwhile";
      return `none within ${(completion.afterMs / 1000).toFixed(0)} s, ${others}`;
    }
  }
}
