import { ownedRoles, redeployCommand, type Case } from "./case.ts";
import { finding, type Action, type Finding } from "./finding.ts";
import type { ContainerSeen } from "./observation.ts";

/** What an interrupted update left, and containers with the project's labels that no stack owns. */
export function findLeftovers(one: Case): Finding[] {
  const own = one.seen.labelled.filter(({ stack, role }) => stack === one.declared.stack && ownedRoles.includes(role));
  return [...interrupted(one), ...own.flatMap((container) => judge(container, one) ?? []), ...strangers(one)];
}

function interrupted({ declared, seen }: Case): Finding[] {
  const { activity } = seen;
  if (activity.kind !== "interrupted") return [];
  const { isLocked, isRollout, hasPending, what } = activity;
  const unlock: Action[] = isLocked ? [{ do: "unlock" }] : [];
  const clear: Action[] = hasPending ? [{ do: "clear" }] : [];
  const recover: Action[] = isRollout ? [{ do: "recover" }] : [];
  return [
    finding("warning", {
      kind: "update-interrupted",
      resource: `stack ${declared.stack}`,
      expected: "no update that began and did not end",
      found: what,
      consequence: isLocked ? "the next update is refused because of its lock" : "the next update has to finish or undo it first",
      fix: redeployCommand(declared.stack),
      actions: [...unlock, ...clear, ...recover], // what it left undone beside these is found by itself, and what is configured may be another release
    }),
  ];
}

/** Containers of stacks that this backend does not know: another backend may own them. One's own check looks after those that it knows. */
function strangers({ declared, seen }: Case): Finding[] {
  const unknown = seen.labelled.filter(
    ({ stack, role }) => stack !== declared.stack && ownedRoles.includes(role) && !seen.knownStacks.includes(stack),
  );
  if (unknown.length === 0) return [];
  const names = unknown.map(({ name }) => name).sort();
  return [
    finding("note", {
      kind: "containers-of-unknown-stacks",
      resource: `${names.length} containers`,
      expected: "stacks of this backend that own them",
      found: names.join(", "),
      consequence: "they may hold memory or a GPU; another backend may own them",
      fix: "if nobody does: docker rm --force NAME",
      actions: [],
    }),
  ];
}

function judge(container: ContainerSeen, { declared, release, servers }: Case): Finding | undefined {
  const { id, name, status } = container;
  const names = [...servers.map((server) => server.name), declared.gateway?.name];
  if (names.includes(name)) return undefined; // judged as what the stack declares
  const isOwned = declared.servers.some((server) => server.id === id);
  if (isOwned && status !== "running" && status !== "restarting") return undefined; // a candidate that failed its gates is kept, so that its log can be read
  return finding("warning", {
    kind: isOwned ? "candidate-running" : "container-unowned",
    resource: `container ${name}`,
    expected: isOwned ? `stopped: release ${release} was promoted` : "no container beside those of the stack's state",
    found: `release ${container.release ?? "none"}, ${status}, takes no traffic`,
    consequence: "it holds memory or a GPU that the release in traffic may need",
    fix: redeployCommand(declared.stack),
    actions: [{ do: isOwned ? "stop" : "remove", container: name, id }],
  });
}
