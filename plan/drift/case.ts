import type { Declared, DeclaredContainer } from "./declared.ts";
import { finding, type Action, type Finding } from "./finding.ts";
import type { ContainerState, Observation } from "./observation.ts";

/** What each finder is given: one stack, declared and seen. */
export interface Case {
  readonly declared: Declared;
  readonly seen: Observation;
  /** Release that was promoted last. */
  readonly release: string;
  /** Its servers, as the state holds them. */
  readonly servers: readonly DeclaredContainer[];
  readonly nowMs: number;
}

/** Roles of containers that a stack's state owns; helpers and locks come and go. */
export const ownedRoles: readonly string[] = ["server", "gateway"];

/** The command that mends what can be mended. */
export const redeployCommand = (stack: string): string => `npm run drift -- --stack ${stack} --redeploy`;

/** A container's state by its name; undefined where the stack declares none of that name. */
export const stateOf = ({ seen }: Case, name: string): ContainerState["seen"] | undefined =>
  seen.containers.find((container) => container.name === name)?.seen;

/** Networks that a container was deployed on and is no longer on; empty where it does not run. */
export function missingNetworks(one: Case, { name, id, networks }: DeclaredContainer): string[] {
  const seen = stateOf(one, name);
  return seen?.id === id && seen.status === "running" ? networks.filter((network) => !seen.networks.includes(network)) : [];
}

/** Stops a server, so that its gates start it afresh: nothing is lost where it does not answer. */
export const restartThroughGates = ({ name, id, chain }: DeclaredContainer): Action[] => [
  { do: "stop", container: name, id },
  { do: "replace", urns: chain },
];

/** Removes a container, so that `pulumi up --refresh` makes it anew; a server then passes its gates, because its id is among their triggers. */
export const recreate = (name: string, id: string): Action[] => [{ do: "remove", container: name, id }, { do: "up" }];

/** The only finding of a stack that never had a release. */
export const notPromoted = ({ stack }: Declared): Finding =>
  finding("error", {
    kind: "no-release",
    resource: `stack ${stack}`,
    expected: "a release that passed its gates",
    found: "none was promoted yet",
    consequence: "no request is answered",
    fix: `deploy one: pulumi up -s ${stack}`,
    actions: [],
  });

/** A number of bytes for people. */
export const showBytes = (bytes: number): string =>
  bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(2)} GiB (${bytes} bytes)` : `${bytes} bytes`;

/** First characters of an id or checksum. */
export const short = (id: string): string => id.replace(/^sha256:/, "").slice(0, 12);
