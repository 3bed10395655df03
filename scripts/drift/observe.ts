import type Docker from "dockerode";
import type { Declared } from "../../plan/drift/declared.ts";
import { networkType } from "../../plan/drift/resources.ts";
import { goneNetworks, parseDifferences } from "../../plan/drift/differences.ts";
import type { HashPolicy } from "../../plan/drift/hashing.ts";
import type { Activity, GatewaySeen, ImageSeen, Observation, ServerSeen } from "../../plan/drift/observation.ts";
import { exists } from "../docker/host.ts";
import { serverUrl } from "../gates/candidate.ts";
import { describeServer } from "../gates/chat-client.ts";
import { listStacks, readPulumi } from "../pulumi.ts";
import { describeWaitMs } from "./completion.ts";
import { inspectDeclared, listLabelled } from "./containers.ts";
import { lookAtFiles, type FilesSeen } from "./files.ts";
import { askGateway } from "./gateway.ts";
import { openEvidence, readMemory, type Memory } from "./record.ts";
import { askServer } from "./server.ts";
import { probeSpeed } from "./speed.ts";

/** How a host is looked at. */
export interface ObserveOptions {
  /** Longest wait for a short completion, milliseconds. */
  readonly deadlineMs: number;
  readonly hash: HashPolicy;
  /** Whether decode speed is probed too. */
  readonly withSpeed: boolean;
}

/** What was seen, and what of it the next check should know. */
export interface Observed {
  readonly seen: Observation;
  readonly memory: Memory;
  readonly files: FilesSeen;
}

/** Looks at everything that a stack declares, all at once, and changes nothing but for helper containers that come and go. */
export async function observe(docker: Docker, declared: Declared, activity: Activity, options: ObserveOptions): Promise<Observed> {
  await using store = await openEvidence(docker, declared);
  const release = declared.promotion?.releaseId;
  const servers = declared.servers.filter((server) => server.release === release);
  const owned = [...servers, ...(declared.gateway === null ? [] : [declared.gateway])];
  const refresh = readPulumi(["refresh", "--preview-only", "--json", "--exclude", `**${networkType}::**`, "--stack", declared.stack]);
  refresh.catch(() => undefined); // thrown below, where it is waited for
  const [memory, labelled, containers] = await Promise.all([
    readMemory(store, declared),
    listLabelled(docker),
    Promise.all(owned.map((container) => inspectDeclared(docker, container))),
  ]);
  const isRunning = ({ name }: { readonly name: string }): boolean =>
    containers.some((container) => container.name === name && container.seen?.status === "running");
  const running = servers.filter(isRunning);
  const [asked, gateway, images, files, knownStacks] = await Promise.all([
    Promise.all(running.map((server) => askServer(docker, server, declared.apiKeyFile, options.deadlineMs))),
    readGateway(docker, declared, isRunning, { isServed: running.length > 0, waitMs: describeWaitMs(options.deadlineMs) }),
    Promise.all(declared.images.map((image) => readImage(docker, image))),
    lookAtFiles(
      docker,
      declared,
      running.map(({ name }) => name),
      memory.record.files,
      options.hash,
    ),
    labelled.every(({ stack }) => stack === declared.stack) ? [declared.stack] : listStacks(),
  ]);
  const timed = options.withSpeed ? await Promise.all(asked.map((server) => withSpeed(docker, declared, memory, server))) : asked;
  const networks = new Set((await docker.listNetworks()).map(({ Id }) => Id));
  const differences = [...parseDifferences(await refresh), ...goneNetworks(declared.networks, networks)];
  const { remembered } = memory;
  const seen: Observation = {
    activity,
    differences,
    labelled,
    knownStacks,
    containers,
    servers: timed,
    gateway,
    images,
    files: files.files,
    remembered,
  };
  return { seen, memory, files };
}

async function readGateway(
  docker: Docker,
  { gateway, promotion }: Declared,
  isRunning: (container: { readonly name: string }) => boolean,
  { isServed, waitMs }: { readonly isServed: boolean; readonly waitMs: number },
): Promise<GatewaySeen | null> {
  if (gateway === null || promotion === null || !isRunning(gateway)) return null;
  return askGateway(docker, gateway, isServed, waitMs);
}

async function readImage(docker: Docker, { tag, id }: Declared["images"][number]): Promise<ImageSeen> {
  const [tagged] = await docker.listImages({ filters: { reference: [tag] } });
  return { tag, taggedId: tagged?.Id ?? null, isThere: await exists(docker.getImage(id)) };
}

/** A probe after all others, so that they don't slow it. One that breaks off says nothing about speed: answers are probed apart. */
async function withSpeed(
  docker: Docker,
  { protocol, apiKeyFile }: Declared,
  { benchmark }: Memory,
  server: ServerSeen,
): Promise<ServerSeen> {
  if (protocol === null || benchmark === null || server.completion.kind !== "answered") return server;
  try {
    const chat = await describeServer(await serverUrl(docker.getContainer(server.name)), apiKeyFile);
    return { ...server, speed: await probeSpeed(chat, protocol, benchmark, AbortSignal.timeout(protocol.requestTimeoutSec * 1000)) };
  } catch {
    return server;
  }
}
