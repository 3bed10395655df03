import { releaseIdChars } from "./release.ts";

/**
 * Physical names and labels of everything that a stack puts on a Docker host. One daemon serves many stacks, so each name includes the
 * stack, and each object carries labels that say which stack, role and release it belongs to: the host is the journal.
 */

/** Prefix of every container, volume and network name. */
export const namePrefix = "llm-server";

/** Label keys; values are strings as Docker wants them. */
export const labels = {
  /** Pulumi stack, e.g. `dev`. */
  stack: "llm-server.stack",
  /** One of {@link Role}. */
  role: "llm-server.role",
  /** Release id; on servers only. */
  release: "llm-server.release",
  /** Planned memory of a server by device, as JSON; on servers only. */
  memory: "llm-server.memory",
  /** Process that made a short-lived container, as JSON, so that one that was killed in between is seen to be gone; on helpers only. */
  process: "llm-server.process",
  /** Device that a lock is for; on locks only. */
  device: "llm-server.device",
  /** Record of who holds a lock, as JSON; on locks only. */
  lock: "llm-server.lock",
} as const;

/** What an object is for; the value of the role label. */
export type Role = "server" | "gateway" | "models" | "evidence" | "network" | "helper" | "lock";

/** Container name, and host name on the servers network, of one of a release's servers. */
export const serverName = (stack: string, releaseId: string, replica = 0): string =>
  `${namePrefix}-${stack}-server-${releaseId}${replica === 0 ? "" : `-${replica + 1}`}`;

/** Longest label of a DNS name, characters; a longer one is never looked up. @see RFC 1035, 2.3.4 */
const mostLabelChars = 63;

/** Longest name of a stack, characters, with which the names of all its servers are host names that the gateway can look up. */
export const mostStackChars = (replicas: number): number =>
  mostLabelChars - serverName("", "0".repeat(releaseIdChars), replicas - 1).length;

/** Name of the lock of a device, over all stacks of a Docker host. */
export const lockName = (device: string): string => `${namePrefix}-lock-${device}`;

/** Name of the one gateway of a stack. */
export const gatewayName = (stack: string): string => `${namePrefix}-${stack}-gateway`;

/** Name of a stack's volume for `purpose`. */
export const volumeName = (stack: string, purpose: "models" | "evidence" | "gateway"): string => `${namePrefix}-${stack}-${purpose}`;

/** Name of a stack's network: `servers` has no way out, `edge` is where the gateway's port is published. */
export const networkName = (stack: string, purpose: "servers" | "edge"): string => `${namePrefix}-${stack}-${purpose}`;

/** Labels of one object, in Docker's own form. */
export function objectLabels(stack: string, role: Role, releaseId?: string): Record<string, string> {
  return { [labels.stack]: stack, [labels.role]: role, ...(releaseId === undefined ? {} : { [labels.release]: releaseId }) };
}

/** Local tag of an image of `configs/images.yaml`. Containers never refer to it: they take the image id. */
export const llamaImageTag = (image: string): string => `${namePrefix}/llama-cpp:${image}`;

/** Local tag of the gateway's image. */
export const gatewayImageTag = `${namePrefix}/gateway:latest`;
