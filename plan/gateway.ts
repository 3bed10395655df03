import { accessEnvironment, bracketed, planAccess, type AccessInput, type TlsConfig } from "./access.ts";
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
  /** MiB; larger requests get 413. */
  readonly maxRequestMiB: number;
  /** Servers per release; each has a slot. */
  readonly replicas: number;
  /** Whether requests need an API key. */
  readonly wantsKey: boolean;
  /** Web pages that may use it without a key, beside this host's own; none where it wants one. */
  readonly origins: readonly string[];
  readonly tls?: TlsConfig | undefined;
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
  /** What is brought to it beside its container; null: nothing. The keys themselves are no part of any plan. */
  readonly access: AccessInput | null;
}

/** Seconds that `Retry-After` asks a client to wait once the hold is exhausted. */
const retryAfterSec = 5;

/**
 * Most connections and files that the gateway has open at a time; a client more than that waits to be let in. Each request holds one for its caller, and one for
 * the server that answers it.
 */
export const gatewayOpenFiles = 2048;

/**
 * Memory limit of the gateway, MiB: it streams, and keeps the first 255 KiB of each request that runs or waits (docker/gateway/Caddyfile). As many as
 * {@link gatewayOpenFiles} lets in take 510 MiB; Go gives back the rest above GOMEMLIMIT (docker/gateway/Dockerfile).
 */
const gatewayMemoryMiB = 768;

/** The gateway of `stack`; `certificateSha256` is that of a given certificate's file. */
export function planGateway(
  stack: string,
  settings: GatewaySettings,
  image: { readonly base: string; readonly platform: string },
  certificateSha256: string | null = null,
): GatewayPlan {
  const { bind, port, tls } = settings;
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
    url: tls === undefined ? `http://${bracketed(bind)}:${port}` : `https://${bracketed(tls.names[0] ?? bind)}:${port}`,
    memoryMiB: gatewayMemoryMiB,
    access: planSecrets(stack, settings, certificateSha256),
  };
}

function planSecrets(stack: string, { wantsKey, tls }: GatewaySettings, sha256: string | null): AccessInput | null {
  const certificate = tls?.mode === "files" ? { certificate: tls.certificate, key: tls.key, names: tls.names, sha256 } : null;
  return wantsKey || certificate !== null ? { stack, container: gatewayName(stack), wantsKey, certificate } : null;
}

/** Environment of the gateway's container, in `KEY=value` form. */
function gatewayEnvironment({ holdSec, maxRequestMiB, replicas, wantsKey, origins, tls }: GatewaySettings): string[] {
  const slots = Array.from({ length: replicas }, (_, slot) => `{file.${activeLink}/${slot}}:${serverPort}`);
  return [
    `GATEWAY_HOLD_SEC=${holdSec}`,
    `GATEWAY_MAX_REQUEST_BYTES=${maxRequestMiB * 2 ** 20}`,
    `GATEWAY_RETRY_AFTER_SEC=${retryAfterSec}`,
    `GATEWAY_SLOTS=${replicas}`,
    `GATEWAY_UPSTREAMS=${slots.join(" ")}`,
    ...accessEnvironment(planAccess(wantsKey, tls), { names: tls?.names ?? [], origins }, gatewayPort),
  ];
}

/** File that is there while requests are held; its time is since when. */
export const heldFile = `${stateDir}/held`;

/** Shell function `put WORD FILE`: writes a file whole or not at all, so that a request that reads it meanwhile gets the old name or the new one. */
const put = 'put() { echo "$1" > "$2.next" && mv "$2.next" "$2"; }';
/** Shell loop over the gateway's slots; the container's environment says how many it has. */
const eachSlot = (body: string): string => `slot=0; while [ $slot -lt $GATEWAY_SLOTS ]; do ${body}; slot=$((slot + 1)); done`;

/**
 * Shell script that makes `releaseId` the active release and ends a hold, for `sh -c` in the gateway's container; hosts fill the slots in turn.
 * A reader sees the old link or the new one, never neither. Everything it leaves behind is the folder of the release that was active before.
 * @throws {RangeError} if an id or host has a character outside `[A-Za-z0-9._-]`: both become part of a command line
 */
export function switchScript(releaseId: string, hosts: readonly string[]): string {
  for (const word of [releaseId, ...hosts])
    if (!/^[A-Za-z0-9._-]+$/.test(word)) throw new RangeError(`gateway: got ${JSON.stringify(word)}, expected [A-Za-z0-9._-]+`);
  if (hosts.length === 0) throw new RangeError(`gateway: release ${releaseId} has no host`);
  const dir = `${stateDir}/${releaseId}`;
  return [
    "set -e",
    put,
    `mkdir -p ${dir}/hosts`,
    `set -- ${hosts.join(" ")}`,
    eachSlot(`eval "host=\\\${$((slot % $# + 1))}"; put $host ${dir}/hosts/$slot; put $host ${dir}/$slot`),
    `sync ${dir}/* ${dir}/hosts/*`,
    `ln -sfn ${releaseId} ${stateDir}/next`,
    `mv -T ${stateDir}/next ${activeLink}`,
    `rm -f ${heldFile}`,
    `sync ${stateDir}`,
  ].join("\n");
}

/**
 * Script that makes requests wait from now on: the active release's slots refuse, the link stays. Run again it changes nothing, so that the time it
 * keeps is the first one. The gateway forgets a hold when it starts (docker/gateway/start.sh).
 */
export const holdScript = [
  "set -e",
  put,
  `[ -e ${heldFile} ] || : > ${heldFile}`,
  eachSlot(`put ${refusingHost} ${activeLink}/$slot`),
].join("\n");
