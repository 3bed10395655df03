import { Command } from "commander";
import type Docker from "dockerode";
import { gatewayName, labels } from "../../plan/names.ts";
import { isGpu } from "../../plan/rollout/plan.ts";
import { memoryNeedSchema } from "../../plan/rollout/strategy.ts";
import type { HostSeen } from "../../plan/rollout/types.ts";
import {
  formatStatus,
  measuredNeed,
  roleOf,
  type LockStatus,
  type RoleContext,
  type ServerStatus,
  type Status,
} from "../../plan/status.ts";
import { describeCompletion, findTrouble, judgeAnswer, type Asked } from "../../plan/trouble.ts";
import { connectDocker } from "../docker/host.ts";
import { memoryNowMiB, vramUsedMiB } from "../gates/memory.ts";
import { readStackPlan } from "../images/stack-plan.ts";
import { readDeployed } from "../pulumi.ts";
import { readLocks, type Lock } from "../rollout/lock.ts";
import { readAccessOf } from "../rollout/reach-gateway.ts";
import { askStack } from "../status/answer.ts";
import { readEvidence, type Evidence } from "../status/evidence.ts";
import { isRolloutOf, seeLock, seeStack } from "../status/see.ts";
import { requireStack } from "./known-stack.ts";

/** `npm run status`: what serves, and what was measured before it was allowed to. */
export function statusCommand(): Command {
  return new Command("status")
    .description("whether a stack answers, what serves, and the measurements that let it")
    .argument("[stack]", "stack name", "dev")
    .option("--json", "print it as JSON")
    .action(async (stack: string, { json }: { json?: boolean }) => {
      const docker = connectDocker(null);
      await requireStack(docker, stack);
      const status = await lookTwice(docker, stack);
      process.stdout.write(json === true ? `${JSON.stringify(status, null, 2)}\n` : formatStatus(status));
      if (status.degraded !== null) process.exitCode = 2;
    });
}

/** A rollout that ends between two looks, at the state and at the host, leaves what looks like trouble; what is trouble is there the second time too. */
async function lookTwice(docker: Docker, stack: string): Promise<Status> {
  const first = await readStatus(docker, stack);
  return first.degraded !== null && first.answer === null ? readStatus(docker, stack) : first;
}

async function readStatus(docker: Docker, stack: string): Promise<Status> {
  const { promotion, kept, devices } = await readDeployed(stack);
  const used = devices.length > 0 ? devices : await plannedDevices(stack);
  const seen = await seeStack(docker, stack);
  const found = await readLocks(docker);
  const own = found.filter(isRolloutOf(stack));
  const locks = await Promise.all(own.map(seeLock));
  const promoted = promotion?.releaseId ?? null;
  const trouble = findTrouble(stack, promoted, seen, locks);
  const asked = trouble === null && own.length === 0 ? await askStack(docker, stack, serversOf(seen)) : null;
  if (asked !== null && asked.completion.kind !== "answered" && (await readLocks(docker)).some(isRolloutOf(stack)))
    return readStatus(docker, stack); // a rollout has begun meanwhile
  const condition = asked === null ? null : judgeAnswer(stack, asked, Date.now());
  const { lastRollout, peaks } = await readEvidence(docker, stack, promotion?.gates ?? []);
  const context = { active: seen.active, rollout: toRollout(own, locks), kept };
  const others = found.filter(({ device, record }) => record.stack !== stack && used.includes(device));
  return {
    stack,
    endpoint: promotion?.endpoint ?? null,
    access: seen.gateway === "missing" ? null : await readAccessOf(docker.getContainer(gatewayName(stack))),
    promoted,
    active: seen.active,
    isHeld: seen.isHeld,
    profile: promotion?.profile ?? null,
    answer: asked === null ? null : toAnswer(asked),
    servers: await readServers(docker, stack, context, peaks),
    locks,
    heldByOthers: await Promise.all(others.map(seeLock)),
    lastRollout,
    verdicts: promotion?.gates ?? [],
    busy: condition?.state === "busy" ? condition.why : null,
    degraded: trouble ?? (condition?.state === "degraded" ? condition.why : null),
  };
}

/** Devices of a stack that has nothing promoted yet, as its configuration says; empty where that can't be read. */
async function plannedDevices(stack: string): Promise<readonly string[]> {
  try {
    return (await readStackPlan(stack)).rollout.devices;
  } catch {
    return [];
  }
}

/** The rollout that holds the stack's devices. */
function toRollout([lock]: readonly Lock[], locks: readonly LockStatus[]): RoleContext["rollout"] {
  if (lock === undefined) return null;
  const { candidate, previous } = lock.record;
  return { candidate, previous, isAtWork: locks.some(({ isAlive }) => isAlive !== false) };
}

const serversOf = ({ releases, active }: HostSeen): string[] => (releases[active ?? ""] ?? []).map(({ name }) => name);

const toAnswer = ({ completion }: Asked): Status["answer"] =>
  completion.kind === "answered" ? { wallMs: completion.wallMs, problem: null } : { wallMs: null, problem: describeCompletion(completion) };

/** What Docker calls a container whose processes are there, or will be in a moment. */
const runningStates = ["running", "restarting", "paused"];

async function readServers(docker: Docker, stack: string, context: RoleContext, peaks: Evidence["peaks"]): Promise<ServerStatus[]> {
  const filters = { label: [`${labels.stack}=${stack}`, `${labels.role}=server`] };
  const containers = await docker.listContainers({ all: true, filters });
  return Promise.all(
    containers.map(async ({ Id, Names, Labels, State, Status: state }) => {
      const name = Names[0]?.slice(1) ?? "";
      const release = Labels[labels.release] ?? "";
      const planned = Labels[labels.memory];
      const need = planned === undefined ? null : memoryNeedSchema.parse(JSON.parse(planned));
      const peak = peaks[name];
      return {
        name,
        release,
        role: roleOf(release, runningStates.includes(State), context),
        state,
        plannedMiB: need,
        measuredMiB: peak === undefined ? null : measuredNeed(need, peak),
        memoryMiB: State === "running" ? await memoryNowMiB(docker.getContainer(Id)) : null,
        gpuMemoryMiB:
          State === "running" && Object.keys(need ?? {}).some(isGpu) ? ((await vramUsedMiB(docker.getContainer(Id))) ?? null) : null,
      };
    }),
  );
}
