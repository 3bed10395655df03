import { gatewayImageTag, gatewayName, networkName, objectLabels, volumeName } from "./names.ts";

/**
 * The gateway's pointer: a link `active` in its volume that names a folder with one file per server of the active release. Caddy reads the file for
 * each attempt of each request (`{file.*}` placeholder), so a switch is one rename, nothing is reloaded, streams go on, and requests that were held
 * take the new release. The folder's name is the release id: this link is the only record of which release is active.
 * @see docker/gateway/Caddyfile
 */

/** Where the gateway's volume is mounted in its container. */
export const stateDir = "/state";
/** The link in {@link stateDir}. */
export const activeLink = `${stateDir}/active`;
/** Release id that stands for "none": the link as the image makes it. */
export const noRelease = "none";
/** Address in a slot that refuses connections inside the gateway's container, so that requests wait. */
export const refusingHost = "127.0.0.1";
/** Port the gateway listens on inside its container; another one than the servers', so that {@link refusingHost} refuses. */
export const gatewayPort = 8000;
/** Port every llama-server listens on inside its container. Always passed: recent builds moved llama-server's default. */
export const serverPort = 8080;
/** Response header with the host and port that answered, e.g. `llm-server-dev-server-0a1b2c3d4e:8080`. */
export const upstreamHeader = "x-llm-server-upstream";

export interface GatewaySettings {
  /** Address on the Docker host that clients reach. */
  readonly bind: string;
  readonly port: number;
  /** Seconds a request waits for a release to take it before it gets 503. */
  readonly holdSec: number;
  /** Servers per release; each has a slot. */
  readonly replicas: number;
}

/** The gateway of one stack, as plain values. */
export interface GatewayPlan {
  readonly containerName: string;
  readonly imageTag: string;
  /** Tag of the base image that the gateway's image is built from. */
  readonly baseImage: string;
  readonly platform: string;
  readonly stateVolume: string;
  readonly edgeNetwork: string;
  readonly labels: Readonly<Record<string, string>>;
  /** `KEY=value` each. */
  readonly envs: readonly string[];
  readonly bind: string;
  readonly port: number;
  readonly url: string;
  readonly memoryMiB: number;
}

/** Seconds that `Retry-After` asks a client to wait once the hold is exhausted. */
const retryAfterSec = 5;

/** Memory limit of the gateway, MiB: it streams, and keeps nothing but the bodies of requests that wait. */
const gatewayMemoryMiB = 256;

/** The gateway of `stack`. */
export function planGateway(
  stack: string,
  settings: GatewaySettings,
  image: { readonly base: string; readonly platform: string },
): GatewayPlan {
  const { bind, port } = settings;
  return {
    containerName: gatewayName(stack),
    imageTag: gatewayImageTag,
    baseImage: image.base,
    platform: image.platform,
    stateVolume: volumeName(stack, "gateway"),
    edgeNetwork: networkName(stack, "edge"),
    labels: objectLabels(stack, "gateway"),
    envs: gatewayEnvironment(settings),
    bind,
    port,
    url: `http://${bind.includes(":") ? `[${bind}]` : bind}:${port}`,
    memoryMiB: gatewayMemoryMiB,
  };
}

/** Environment of the gateway's container, in `KEY=value` form. */
function gatewayEnvironment({ holdSec, replicas }: GatewaySettings): string[] {
  const slots = Array.from({ length: replicas }, (_, slot) => `{file.${activeLink}/${slot}}:${serverPort}`);
  return [`GATEWAY_HOLD_SEC=${holdSec}`, `GATEWAY_RETRY_AFTER_SEC=${retryAfterSec}`, `GATEWAY_UPSTREAMS=${slots.join(" ")}`];
}

/**
 * Shell script that makes `releaseId` the active release, for `sh -c` in the gateway's container; hosts fill the slots in turn.
 * A reader sees the old link or the new one, never neither. Everything it leaves behind is the folder of the release that was active before.
 * @throws {RangeError} if an id or host has a character outside `[A-Za-z0-9._-]`: both become part of a command line
 */
export function switchScript(releaseId: string, hosts: readonly string[], slots: number): string {
  for (const word of [releaseId, ...hosts])
    if (!/^[A-Za-z0-9._-]+$/.test(word)) throw new RangeError(`gateway: got ${JSON.stringify(word)}, expected [A-Za-z0-9._-]+`);
  if (hosts.length === 0) throw new RangeError(`gateway: release ${releaseId} has no host`);
  const dir = `${stateDir}/${releaseId}`;
  const writes = Array.from({ length: slots }, (_, slot) => `echo ${hosts[slot % hosts.length] ?? refusingHost} > ${dir}/${slot}`);
  return [
    "set -e",
    `mkdir -p ${dir}`,
    ...writes,
    "sync",
    `ln -sfn ${releaseId} ${stateDir}/next`,
    `mv -T ${stateDir}/next ${activeLink}`,
  ].join("\n");
}

/** Script that prints the active release id, `none` where no release is active. */
export const readActiveScript = `readlink ${activeLink}`;
