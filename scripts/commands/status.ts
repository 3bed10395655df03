import { Command } from "commander";
import type Docker from "dockerode";
import { rootCertificateFile, type Access } from "../../plan/access.ts";
import { formatGateResult } from "../../plan/gates/format.ts";
import type { GateResult } from "../../plan/gates/verdict.ts";
import { gatewayName, labels, volumeName } from "../../plan/names.ts";
import { rolloutRecordSchema, type RolloutRecord } from "../../plan/rollout/records.ts";
import { memoryNeedSchema, type MemoryNeed } from "../../plan/rollout/strategy.ts";
import type { HostSeen } from "../../plan/rollout/types.ts";
import { findTrouble } from "../../plan/trouble.ts";
import { connectDocker, exists } from "../docker/host.ts";
import { memoryNowMiB } from "../gates/memory.ts";
import { VolumeStore } from "../gates/volume-store.ts";
import { readPromotion } from "../pulumi.ts";
import { describeLock, readLocks, type Lock } from "../rollout/lock.ts";
import { livenessOf } from "../rollout/owner.ts";
import { describeEnd, recoveryDevice } from "../rollout/recover.ts";
import { readAccessOf } from "../rollout/reach-gateway.ts";
import { StackHost } from "../rollout/stack-host.ts";
import { requireStack } from "./known-stack.ts";

/** One server's container. */
interface ServerStatus {
  readonly name: string;
  readonly release: string;
  /** `active`: takes traffic; `candidate`: is tried by a rollout; `retained`: kept for a way back; `leftover`: runs without reason. */
  readonly role: "active" | "candidate" | "retained" | "leftover";
  readonly state: string;
  /** Most that was planned, by device, MiB; null: not planned. */
  readonly plannedMiB: MemoryNeed | null;
  /** Memory of the container now, MiB; null while it does not run. */
  readonly memoryMiB: number | null;
}

/** Who holds the devices of a stack. */
interface LockStatus {
  readonly device: string;
  readonly holder: string;
  readonly isAlive: boolean | null;
}

/** What a stack is and what its host says, side by side. */
interface Status {
  readonly stack: string;
  readonly endpoint: string | null;
  /** What the gateway asks of its callers; null while there is no gateway. */
  readonly access: Access | null;
  /** Release that was promoted last, as the stack's outputs say. */
  readonly promoted: string | null;
  /** Release that the gateway routes to, as the host says. */
  readonly active: string | null;
  /** Whether requests wait at the moment. */
  readonly isHeld: boolean;
  readonly profile: string | null;
  readonly servers: readonly ServerStatus[];
  readonly locks: readonly LockStatus[];
  readonly lastRollout: RolloutRecord | null;
  readonly verdicts: readonly GateResult[];
  /** Null: all is as it should be; else what is not, and what to do. */
  readonly degraded: string | null;
}

/** `npm run status`: what serves, and what was measured before it was allowed to. */
export function statusCommand(): Command {
  return new Command("status")
    .description("what serves on a stack, and the measurements that let it")
    .argument("[stack]", "stack name", "dev")
    .option("--json", "print it as JSON")
    .action(async (stack: string, { json }: { json?: boolean }) => {
      const status = await readStatus(stack);
      process.stdout.write(json === true ? `${JSON.stringify(status, null, 2)}\n` : format(status));
      if (status.degraded !== null) process.exitCode = 2;
    });
}

async function readStatus(stack: string): Promise<Status> {
  const docker = connectDocker(null);
  await requireStack(docker, stack);
  const promotion = await readPromotion(stack);
  const seen = await new StackHost(docker, stack, { readyTimeoutSec: 0, drainSec: 0 }).see();
  const found = (await readLocks(docker, stack)).filter(({ device }) => device !== recoveryDevice(stack));
  const locks = await Promise.all(found.map(describe));
  const candidate = found[0]?.record.candidate ?? null;
  const promoted = promotion?.releaseId ?? null;
  return {
    stack,
    endpoint: promotion?.endpoint ?? null,
    access: seen.gateway === "missing" ? null : await readAccessOf(docker.getContainer(gatewayName(stack))),
    promoted,
    active: seen.active,
    isHeld: seen.isHeld,
    profile: promotion?.profile ?? null,
    servers: await readServers(docker, stack, seen, candidate),
    locks,
    lastRollout: await readLastRollout(docker, stack),
    verdicts: promotion?.gates ?? [],
    degraded: findTrouble(stack, promoted, seen, locks),
  };
}

async function describe(lock: Lock): Promise<LockStatus> {
  const liveness = await livenessOf(lock.record.owner);
  return { device: lock.device, holder: describeLock(lock), isAlive: liveness === "unknown" ? null : liveness === "alive" };
}

async function readServers(docker: Docker, stack: string, { active }: HostSeen, candidate: string | null): Promise<ServerStatus[]> {
  const filters = { label: [`${labels.stack}=${stack}`, `${labels.role}=server`] };
  const containers = await docker.listContainers({ all: true, filters });
  return Promise.all(
    containers.map(async ({ Id, Names, Labels, State, Status: state }) => {
      const release = Labels[labels.release] ?? "";
      const planned = Labels[labels.memory];
      const isRunning = State === "running";
      const role = release === active ? "active" : release === candidate ? "candidate" : isRunning ? "leftover" : "retained";
      return {
        name: Names[0]?.slice(1) ?? "",
        release,
        role,
        state,
        plannedMiB: planned === undefined ? null : memoryNeedSchema.parse(JSON.parse(planned)),
        memoryMiB: isRunning ? await memoryNowMiB(docker.getContainer(Id)) : null,
      } as const;
    }),
  );
}

/** How the last rollout ended; null where none was recorded, or the volume or the helper's image is gone. */
async function readLastRollout(docker: Docker, stack: string): Promise<RolloutRecord | null> {
  const volume = volumeName(stack, "evidence");
  const [gateway] = await docker.listContainers({ all: true, filters: { name: [`^/${gatewayName(stack)}$`] } });
  if (gateway === undefined || !(await exists(docker.getVolume(volume)))) return null;
  await using store = await VolumeStore.open(docker, volume, gateway.ImageID, `${stack}/status`);
  const found = await store.latest("rollouts");
  return found === undefined ? null : rolloutRecordSchema.parse(found.document);
}

function format(status: Status): string {
  const { stack, profile, endpoint, access, active, isHeld, servers, locks, lastRollout, verdicts, degraded } = status;
  const lines = [
    `stack     ${stack}${profile === null ? "" : `, profile ${profile}`}`,
    `endpoint  ${endpoint ?? "none"}`,
    ...(access === null ? [] : describeAccess(stack, access)),
    `release   ${active ?? "none"}${isHeld ? "  (requests wait)" : ""}`,
    ...servers.map((server) => `server    ${server.name}  ${server.role}, ${server.state}${describeMemory(server)}`),
    ...locks.map(({ holder, isAlive }) => `lock      ${holder}${isAlive === false ? ", which is gone" : ""}`),
    ...(lastRollout === null ? [] : [`rollout   ${lastRollout.endedAt}: ${lastRollout.result}; ${describeEnd(lastRollout)}`]),
    ...(typeof lastRollout?.reason === "string" ? [`          ${lastRollout.reason}`] : []),
    ...verdicts.flatMap((verdict) => ["", formatGateResult(verdict)]),
    "",
    degraded !== null ? `state     degraded: ${degraded}` : locks.length > 0 ? "state     ok, a rollout is at work" : "state     ok",
  ];
  return `${lines.join("\n")}\n`;
}

/** What a caller needs; nothing where that is nothing. */
function describeAccess(stack: string, { wantsKey, tls }: Access): string[] {
  const key = wantsKey ? ["an API key (Authorization: Bearer KEY)"] : [];
  const trust = tls?.mode === "internal" ? [`trust in this CA: docker exec ${gatewayName(stack)} cat ${rootCertificateFile}`] : [];
  return [...key, ...trust].map((needed) => `          needs ${needed}`);
}

function describeMemory({ plannedMiB, memoryMiB }: ServerStatus): string {
  const planned = Object.entries(plannedMiB ?? {}).map(([device, mib]) => `${device} at most ${Math.round(mib)} MiB`);
  const now = memoryMiB === null ? [] : [`now ${memoryMiB} MiB of the host`];
  return [...planned, ...now].map((part) => `, ${part}`).join("");
}
