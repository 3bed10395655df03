import { serverPort } from "./gateway.ts";
import { labels, objectLabels, serverName } from "./names.ts";
import type { MemoryNeed } from "./rollout/strategy.ts";
import { z } from "zod";

/** User and group that every container of the project runs as. */
export const containerUser = "10001:10001";
/** Where the models volume is mounted, read-only. */
export const modelsDir = "/models";

/** What the host gives one server; from the stack config. */
export interface DeviceConfig {
  /** GPU ids as Docker takes them (`0`, `GPU-…`); empty on CPU hosts. */
  readonly gpus: readonly string[];
  /** Memory limit of the container, MiB. Swap is not added to it. */
  readonly memoryMiB: number;
  /** CPU limit, in cores; undefined: no limit. */
  readonly cpus?: number | undefined;
}

/** One llama-server container, as plain values. */
export const serverContainerPlanSchema = z.strictObject({
  envs: z.array(z.string()),
  memoryMiB: z.number(),
  cpus: z.string().optional(),
  gpus: z.string().optional(),
  stopTimeoutSec: z.number(),
});
export type ServerContainerPlan = z.infer<typeof serverContainerPlanSchema>;

/** One server of a release: its container, and the name and labels that the container has on the Docker host. */
export const serverPlanSchema = z.strictObject({
  containerName: z.string(),
  labels: z.record(z.string(), z.string()),
  container: serverContainerPlanSchema,
});
export type ServerPlan = z.infer<typeof serverPlanSchema>;

/** A release's server; `need` is the memory that it was planned to take, which a later rollout reads from its label. */
export function planServer(
  stack: string,
  releaseId: string,
  replica: number,
  container: ServerContainerPlan,
  need: MemoryNeed | null,
): ServerPlan {
  const memory: Record<string, string> = need === null ? {} : { [labels.memory]: JSON.stringify(need) };
  return {
    containerName: serverName(stack, releaseId, replica),
    labels: { ...objectLabels(stack, "server", releaseId), ...memory },
    container,
  };
}

/** Most processes and threads in a container of the project that is no server; a fork bomb stops here. */
export const pidsLimit = 512;
/**
 * Most processes and threads in a server's container. llama-server takes a thread for each connection and ends itself when it gets none: up to 1024 more
 * than LLAMA_ARG_THREADS_HTTP (llama.cpp pull request 20817), which is one per core unless told; computing takes two more per core.
 */
export const serverPidsLimit = 2048;

/** Variables that name the draft model's file, newest first: llama.cpp renamed it. */
const draftVariables = ["LLAMA_ARG_SPEC_DRAFT_MODEL", "LLAMA_ARG_MODEL_DRAFT"] as const;

/**
 * The profile's flags with those that the component sets and a profile must not: where the server listens, what it loads, what the rollout needs of it.
 * `paths` holds the files by role (`model`, `mmproj`, `draft`), `known` the variables that the image's build reads.
 */
export function serverFlags(
  profileFlags: Readonly<Record<string, string>>,
  paths: Readonly<Record<string, string>>,
  alias: string,
  known: ReadonlySet<string>,
): Record<string, string> {
  const { model, mmproj, draft } = paths;
  const draftVariable = draftVariables.find((name) => known.has(name)) ?? draftVariables[0];
  return {
    ...profileFlags,
    LLAMA_ARG_HOST: "0.0.0.0", // inside its own network namespace; nothing of it is published
    LLAMA_ARG_PORT: String(serverPort),
    LLAMA_ARG_MODEL: model ?? "",
    LLAMA_ARG_ALIAS: alias,
    LLAMA_ARG_ENDPOINT_METRICS: "1", // the drain reads from it how many requests are still running
    ...(mmproj === undefined ? {} : { LLAMA_ARG_MMPROJ: mmproj }),
    ...(draft === undefined ? {} : { [draftVariable]: draft }),
  };
}

const threadsFor = (cpus: number): Record<string, string> => ({ LLAMA_ARG_THREADS: String(Math.max(1, Math.floor(cpus))) });

/**
 * Limits and environment of one server container.
 * Threads: llama-server uses one per core of the machine unless told; with a CPU limit that oversubscribes, so `cpus` also sets the thread count,
 * unless the profile gives one.
 */
export function planServerContainer(flags: Readonly<Record<string, string>>, device: DeviceConfig): ServerContainerPlan {
  const all = { ...(device.cpus === undefined ? {} : threadsFor(device.cpus)), ...flags };
  return {
    envs: Object.keys(all)
      .sort()
      .map((key) => `${key}=${all[key] ?? ""}`),
    memoryMiB: device.memoryMiB,
    cpus: device.cpus === undefined ? undefined : String(device.cpus),
    gpus: device.gpus.length === 0 ? undefined : `device=${device.gpus.join(",")}`,
    stopTimeoutSec: 30,
  };
}
