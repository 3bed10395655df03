import { rootCertificateFile, type Access } from "./access.ts";
import { formatGateResult } from "./gates/format.ts";
import type { GateResult } from "./gates/verdict.ts";
import { gatewayName } from "./names.ts";
import { isGpu } from "./rollout/plan.ts";
import type { RolloutRecord } from "./rollout/records.ts";
import type { MemoryNeed } from "./rollout/strategy.ts";

/**
 * `active`: takes traffic; `candidate`: is tried by a rollout; `finishing`: took traffic until a rollout switched, and finishes its requests; `retained`: kept for
 * a way back; `unpromoted`: never took traffic, the next `up` removes it; `leftover`: runs without reason.
 */
export type ServerRole = "active" | "candidate" | "finishing" | "retained" | "unpromoted" | "leftover";

/** One server's container. */
export interface ServerStatus {
  readonly name: string;
  readonly release: string;
  readonly role: ServerRole;
  readonly state: string;
  /** Most that was planned, by device, MiB; null: not planned. */
  readonly plannedMiB: MemoryNeed | null;
  /**
   * Most that the benchmark which let it take traffic saw it use, by device, MiB; several GPUs are measured together, as `gpus`. What is not measured on this host is
   * not there. Null: not measured, or its evidence is gone.
   */
  readonly measuredMiB: MemoryNeed | null;
  /** Memory of the container now, MiB; null while it does not run. */
  readonly memoryMiB: number | null;
  /** Memory in use now on the GPUs that it sees, all processes together, MiB; null while it does not run, or sees none. */
  readonly gpuMemoryMiB: number | null;
}

/** Most that a benchmark saw in use in any of its starts, MiB; null: not measured. */
export interface MeasuredPeaks {
  readonly containerMiB: number | null;
  /** On all the GPUs that the server sees, together. */
  readonly vramMiB: number | null;
}

/** Who holds a device. */
export interface LockStatus {
  readonly device: string;
  readonly holder: string;
  readonly isAlive: boolean | null;
}

/** What a stack is and what its host says, side by side. */
export interface Status {
  readonly stack: string;
  readonly endpoint: string | null;
  /** What the gateway asks of its callers; null while there is no gateway. */
  readonly access: Access | null;
  /** Release that was promoted last, as the stack's outputs say. */
  readonly promoted: string | null;
  /** Release that the gateway routes to, as the host says; of a stopped gateway, the one that it will route to. */
  readonly active: string | null;
  /** Whether requests wait at the moment. */
  readonly isHeld: boolean;
  readonly profile: string | null;
  /** A completion through the gateway: how long it took, or why none came. Null: nothing was asked, because it is known to be degraded, requests are held, or a rollout is at work. */
  readonly answer: { readonly wallMs: number | null; readonly problem: string | null } | null;
  readonly servers: readonly ServerStatus[];
  /** Locks of the stack's own rollouts. */
  readonly locks: readonly LockStatus[];
  /** Devices of this stack that a rollout of another stack holds; it serves all the same. */
  readonly heldByOthers: readonly LockStatus[];
  readonly lastRollout: RolloutRecord | null;
  readonly verdicts: readonly GateResult[];
  /** Requests wait, and will be answered without anybody's help: why; null: they don't. */
  readonly busy: string | null;
  /** Null: all is as it should be; else what is not, and what to do. */
  readonly degraded: string | null;
}

/** What the role of a server depends on. */
export interface RoleContext {
  readonly active: string | null;
  /** Rollout of the stack; null where none holds its devices. */
  readonly rollout: { readonly candidate: string | null; readonly previous: string | null; readonly isAtWork: boolean } | null;
  /** Releases that took traffic and are kept, as the stack's output says; null: it can't be read, and whatever is stopped counts as kept. */
  readonly kept: readonly string[] | null;
}

export function roleOf(release: string, isRunning: boolean, { active, rollout, kept }: RoleContext): ServerRole {
  if (release === active) return "active";
  if (release === rollout?.candidate) return "candidate";
  const isPrevious = rollout?.isAtWork === true && release === rollout.previous;
  if (isRunning) return isPrevious ? "finishing" : "leftover";
  return isPrevious || kept === null || kept.includes(release) ? "retained" : "unpromoted";
}

const roles: Readonly<Record<ServerRole, string>> = {
  active: "active",
  candidate: "candidate",
  finishing: "finishes its requests",
  retained: "retained",
  unpromoted: "candidate that was not promoted",
  leftover: "leftover",
};

/** Name of what was measured on several GPUs together. */
const allGpus = "gpus";

/** What a benchmark measured of a server, by device: what was in use on its GPUs, all processes together, is said of its one GPU, or of its `gpus`. */
export function measuredNeed(planned: MemoryNeed | null, { containerMiB, vramMiB }: MeasuredPeaks): MemoryNeed | null {
  const gpus = Object.keys(planned ?? {}).filter(isGpu);
  const [gpu] = gpus;
  const measured = {
    ...(containerMiB === null ? {} : { host: containerMiB }),
    ...(vramMiB === null || gpu === undefined ? {} : { [gpus.length === 1 ? gpu : allGpus]: vramMiB }),
  };
  return Object.keys(measured).length === 0 ? null : measured;
}

/** A status for people. */
export function formatStatus(status: Status): string {
  const { stack, profile, endpoint, access, active, isHeld, servers, locks, heldByOthers, lastRollout, verdicts } = status;
  const lines = [
    `stack     ${stack}${profile === null ? "" : `, profile ${profile}`}`,
    `endpoint  ${endpoint ?? "none"}`,
    ...(access === null ? [] : describeAccess(stack, access)),
    `release   ${active ?? "none"}${isHeld ? "  (requests wait)" : ""}`,
    ...describeAnswer(status),
    ...servers.map((server) => `server    ${server.name}  ${roles[server.role]}, ${server.state}${describeMemory(server)}`),
    ...locks.map(({ holder, isAlive }) => `lock      ${holder}${isAlive === false ? ", which is gone" : ""}`),
    ...heldByOthers.map(({ holder }) => `device    ${holder}; a rollout of this stack waits for it`),
    ...(lastRollout === null ? [] : describeHistory(lastRollout)),
    ...verdicts.flatMap((verdict) => ["", formatGateResult(verdict)]),
    "",
    `state     ${describeState(status)}`,
  ];
  return `${lines.join("\n")}\n`;
}

function describeState({ degraded, busy, locks }: Status): string {
  if (degraded !== null) return `degraded: ${degraded}`;
  if (busy !== null) return `busy: ${busy}`;
  return locks.length > 0 ? "ok, a rollout is at work" : "ok";
}

/** What a completion through the gateway gave; nothing where the state says already why none was asked for. */
function describeAnswer({ answer, degraded }: Status): string[] {
  if (answer === null) return degraded === null ? ["answer    not asked while a rollout is at work"] : [];
  const { wallMs, problem } = answer;
  return [`answer    ${wallMs === null ? (problem ?? "none") : `in ${(wallMs / 1000).toFixed(2)} s`}`];
}

/** What a caller needs; nothing where that is nothing. */
function describeAccess(stack: string, { wantsKey, tls }: Access): string[] {
  const key = wantsKey ? ["an API key (Authorization: Bearer KEY)"] : [];
  const trust = tls?.mode === "internal" ? [`trust in this CA: docker exec ${gatewayName(stack)} cat ${rootCertificateFile}`] : [];
  return [...key, ...trust].map((needed) => `          needs ${needed}`);
}

function describeMemory({ plannedMiB, measuredMiB, memoryMiB, gpuMemoryMiB }: ServerStatus): string {
  const devices = [...new Set([...Object.keys(plannedMiB ?? {}), ...Object.keys(measuredMiB ?? {})])];
  const isMeasuredTogether = (device: string): boolean => isGpu(device) && measuredMiB?.[allGpus] !== undefined;
  const parts = devices.map((device) => {
    const [planned, measured] = [plannedMiB?.[device], measuredMiB?.[device]];
    const figures = [
      ...(planned === undefined ? [] : [`at most ${Math.round(planned)} MiB planned`]),
      ...(measured === undefined ? [] : [`${Math.round(measured)} MiB measured`]),
      ...(measured !== undefined || measuredMiB === null || isMeasuredTogether(device) ? [] : ["not measured"]),
    ];
    return `${device} ${figures.join(", ")}`;
  });
  const now = [
    ...(memoryMiB === null ? [] : [`${memoryMiB} MiB of the host`]),
    ...(gpuMemoryMiB === null ? [] : [`${gpuMemoryMiB} MiB in use on its GPUs`]),
  ];
  return [...parts, ...(now.length === 0 ? [] : [`now ${now.join(", ")}`])].map((part) => `; ${part}`).join("");
}

/** How the last rollout ended, as something of the past: what serves now is said above it. */
function describeHistory({ result, candidate, serving, reason, endedAt, outageSec }: RolloutRecord): string[] {
  const tried = candidate === null ? "a pause" : `release ${candidate}`;
  const outage = outageSec === 0 ? "no request had to wait" : `requests waited ${outageSec.toFixed(1)} s`;
  const what = {
    promoted: `${tried} took the traffic; ${outage}`,
    recovered: `${tried} ended and ${serving === null ? "no release served, as before" : `release ${serving} served`}; ${outage}`,
    degraded: `${tried} ended and nothing could be made to serve`,
  }[result];
  return [`rollout   the last one ended ${endedAt}, ${result}: ${what}`, ...(reason === null ? [] : [`          because of: ${reason}`])];
}
