import { redeployCommand, stateOf, type Case } from "./case.ts";
import type { Declared, DeclaredContainer } from "./declared.ts";
import { networkType } from "./resources.ts";
import type { Difference } from "./differences.ts";
import { finding, type Action, type Finding } from "./finding.ts";

/** What only the state of a container makes different; the container itself is judged apart. */
const transient: readonly string[] = ["mustRun", "exitCode", "networkDatas", "ports", "healthcheck", "containerLogs"];

const consequences: Readonly<Record<string, string>> = {
  [networkType]: "containers can't reach each other, or can't be started",
  "docker:index/volume:Volume": "what was kept in it is lost, or not where containers look for it",
  "docker:index/container:Container": "the container is not what passed the gates",
  "docker:index/remoteImage:RemoteImage": "nothing that runs is changed; helpers and the next build need it",
};

/** What Pulumi itself sees, where no other finder has said it already. */
export function findDifferences(one: Case): Finding[] {
  return one.seen.differences.flatMap((difference) => {
    if (difference.type === "docker:index/image:Image") return []; // tags and ids are judged apart
    return difference.type === "docker:index/container:Container" ? container(difference, one) : other(difference, one);
  });
}

function container(difference: Difference, one: Case): Finding[] {
  const declared = [...one.servers, one.declared.gateway].find((candidate) => candidate?.urn === difference.urn);
  if (declared === undefined || declared === null || difference.isGone) return [];
  const state = stateOf(one, declared.name);
  if (state === undefined || state === null || state.status !== "running" || state.id !== declared.id) return [];
  const properties = difference.properties.filter(({ name }) => !transient.includes(name));
  if (properties.length === 0) return [];
  const mustReplace = properties.some(({ replaces }) => replaces);
  const actions: Action[] = mustReplace ? [{ do: "remove", container: declared.name, id: declared.id }, { do: "up" }] : [{ do: "up" }];
  return [report(difference, one, properties, "warning", actions)];
}

function other(difference: Difference, one: Case): Finding[] {
  const isVital = /network|volume/i.test(difference.type) && difference.name !== "evidence";
  const attached = difference.type === networkType && difference.isGone ? attachedTo(difference.name, one) : [];
  const removes = attached.map(({ name, id }): Action => ({ do: "remove", container: name, id }));
  return [report(difference, one, difference.properties, isVital ? "error" : "warning", [...removes, { do: "up" }])];
}

/** Containers that hold on to a network that is gone: they can't be started any more. */
function attachedTo(network: string, { servers, declared }: Case): readonly DeclaredContainer[] {
  const gateway = declared.gateway === null ? [] : [declared.gateway];
  return network === "servers" ? [...servers, ...gateway] : gateway;
}

function report(
  { urn, name, type, isGone }: Difference,
  { declared }: Case,
  properties: Difference["properties"],
  severity: "error" | "warning",
  actions: readonly Action[],
): Finding {
  const what = (type.split(":").at(-1) ?? type).toLowerCase();
  return finding(severity, {
    kind: isGone ? `${what}-gone` : `${what}-changed`,
    resource: `${what} ${physicalName(urn, name, declared)}`,
    expected: isGone ? "there, as deployed" : properties.map((property) => `${property.name} ${show(property.expected)}`).join(", "),
    found: isGone ? "gone" : properties.map((property) => `${property.name} ${show(property.found)}`).join(", "),
    consequence: consequences[type] ?? "it is not what was deployed",
    fix: redeployCommand(declared.stack),
    actions,
  });
}

/** What an operator would look for: Docker's name where the state has it. */
const physicalName = (urn: string, name: string, { servers, gateway, networks }: Declared): string =>
  [...servers, gateway, ...networks].find((declared) => declared?.urn === urn)?.name ?? name;

/** Longest text of one value. */
const maxShown = 120;

/** A value for a report; of an environment only the names, because values may be secret. */
function show(value: unknown): string {
  if (Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "string" && /^\w+=/.test(item)))
    return value.map((item: string) => item.slice(0, item.indexOf("="))).join(" ");
  const text = value === undefined ? "none" : JSON.stringify(value);
  return text.length > maxShown ? `${text.slice(0, maxShown)}…` : text;
}
