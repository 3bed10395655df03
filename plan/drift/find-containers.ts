import { missingNetworks, recreate, redeployCommand, restartThroughGates, short, stateOf, type Case } from "./case.ts";
import type { DeclaredContainer } from "./declared.ts";
import { finding, type Action, type Finding } from "./finding.ts";
import type { ContainerState } from "./observation.ts";

type Seen = NonNullable<ContainerState["seen"]>;

/** A container that Docker starts again this often, and that has run for less than {@link loopSec}, is in a restart loop even while it runs. */
const loopRestarts = 3;
/** Seconds; Docker waits at most a minute between two tries. */
const loopSec = 90;

/** Containers of the promoted release and the gateway that are not there, not running, or not the ones that were deployed. */
export function findContainers(one: Case): Finding[] {
  const { gateway } = one.declared;
  return [...one.servers, ...(gateway === null ? [] : [gateway])].flatMap((container) => judgeContainer(container, one) ?? []);
}

/** What is wrong with one declared container; undefined: nothing. */
export function judgeContainer(container: DeclaredContainer, one: Case): Finding | undefined {
  const isServer = container.release !== null;
  const role = isServer ? "server" : "gateway";
  const { name } = container;
  const common = {
    resource: `container ${name}`,
    expected: `running, container ${short(container.id)}`,
    consequence: isServer ? withoutServer(container, one) : "clients are refused: nothing listens",
    fix: redeployCommand(one.declared.stack),
  };
  const seen = stateOf(one, name);
  if (seen === undefined) return undefined;
  if (seen === null) return finding("error", { ...common, kind: `${role}-gone`, found: "no such container", actions: [{ do: "up" }] });
  if (seen.id !== container.id) return replaced(container, seen, role, one);
  const mend: Action[] = isServer ? restartThroughGates(container) : recreate(name, seen.id);
  if (isLooping(seen, one.nowMs))
    return finding("error", { ...common, kind: `${role}-restarting`, found: `a restart loop: ${describe(seen)}`, actions: mend });
  if (seen.status === "paused")
    return finding("error", { ...common, kind: `${role}-paused`, found: "paused", actions: recreate(name, seen.id) });
  if (seen.status !== "running")
    return finding("error", {
      ...common,
      kind: `${role}-stopped`,
      found: describe(seen),
      actions: isServer ? [{ do: "replace", urns: container.chain }] : [{ do: "up" }],
    });
  const missing = missingNetworks(one, container);
  if (missing.length > 0)
    return finding("error", {
      ...common,
      kind: `${role}-disconnected`,
      expected: `on network ${container.networks.join(", ")}`,
      found: `not on ${missing.join(", ")}`,
      actions: recreate(name, seen.id),
    });
  return seen.restarts > 0 || seen.isOutOfMemory ? died(container, seen, role) : unhealthy(container, seen, role);
}

/** What it means that a server takes no request. */
function withoutServer({ name }: DeclaredContainer, one: Case): string {
  const isLeft = one.servers.some((other) => other.name !== name && stateOf(one, other.name)?.status === "running");
  return isLeft
    ? "the release's other servers take all requests"
    : "requests wait for a server until the gateway's hold is over, and then get 503";
}

/** Whether Docker starts a container again and again. */
export function isLooping({ status, restarts, startedAtMs }: Pick<Seen, "status" | "restarts" | "startedAtMs">, nowMs: number): boolean {
  return status === "restarting" || (status === "running" && restarts >= loopRestarts && nowMs - startedAtMs < loopSec * 1000);
}

/** A container of the right name that Pulumi did not make. */
function replaced({ name, id }: DeclaredContainer, seen: Seen, role: string, { declared: { stack } }: Case): Finding {
  const isOurs = seen.stack === stack;
  return finding("error", {
    kind: `${role}-replaced`,
    resource: `container ${name}`,
    expected: `container ${short(id)}, as deployed`,
    found: `container ${short(seen.id)}, ${seen.status}, ${isOurs ? `with the labels of stack ${stack}` : "without the stack's labels"}`,
    consequence: "what answers never passed a gate, and the next update can't make the container that it wants",
    fix: isOurs ? redeployCommand(stack) : `it is not this stack's; remove it if nobody needs it: docker rm --force ${name}`,
    actions: isOurs ? recreate(name, seen.id) : [],
  });
}

/** Docker started it again. Measuring it anew would take it out of traffic, so that is left to a person; whether it answers is asked apart from this. */
function died({ name }: DeclaredContainer, seen: Seen, role: string): Finding {
  return finding("warning", {
    kind: `${role}-died`,
    resource: `container ${name}`,
    expected: "no restart since it was started on purpose",
    found: `Docker started it again ${times(seen.restarts)}${seen.isOutOfMemory ? ", out of memory" : ""}`,
    consequence: "requests that were running then were cut off, and it may happen again",
    fix: `find out why: docker logs --tail 100 ${name}; docker restart ${name} sets the count to zero, while requests wait`,
    actions: [],
  });
}

function unhealthy({ name }: DeclaredContainer, seen: Seen, role: string): Finding | undefined {
  if (seen.health !== "unhealthy") return undefined;
  return finding("warning", {
    kind: `${role}-unhealthy`,
    resource: `container ${name}`,
    expected: "healthy, as its own health check says",
    found: seen.health,
    consequence: "its health check fails; whether it answers is probed apart from that",
    fix: `see why: docker inspect --format '{{json .State.Health}}' ${name}`,
    actions: [],
  });
}

/** State, exit code, and the end of the log where that says more. */
function describe({ status, exitCode, isOutOfMemory, error, restarts, logTail }: Seen): string {
  const parts = [
    status === "created" ? "created, never started" : `${status}, exit code ${exitCode}`,
    isOutOfMemory ? "killed for its memory" : "",
    error,
    restarts > 0 ? `started again ${times(restarts)}` : "",
    logTail === "" ? "" : `its log ends: ${logTail}`,
  ];
  return parts.filter((part) => part !== "").join(", ");
}

const times = (count: number): string => (count === 1 ? "once" : `${count} times`);
