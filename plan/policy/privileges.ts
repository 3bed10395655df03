import { containerUser } from "../server-container.ts";
import { shown, valuesOf, type DeclaredContainer } from "./container.ts";
import { namesGpus } from "./gpu-ids.ts";

/** Inputs that a rule judges. */
const judged = [
  ...(["image", "user", "privileged", "readOnly", "init", "tmpfs", "capabilities", "securityOpts", "memory", "memorySwap"] as const),
  ...(["logDriver", "logOpts", "ports", "publishAllPorts", "networkMode", "mounts", "volumes", "gpus", "envs", "entrypoints"] as const),
  ...(["command", "workingDir"] as const),
] satisfies readonly (keyof DeclaredContainer)[];

/**
 * Inputs that give a container nothing of the host: names, times, shares and limits of what it has anyway, networks that resources make.
 * @see ContainerArgs of @pulumi/docker 5.1.0
 */
export const harmlessInputs = [
  ...(["name", "hostname", "domainname", "labels", "platform", "networksAdvanced", "dns", "dnsOpts", "dnsSearches", "hosts"] as const),
  ...(["cpuPeriod", "cpuQuota", "cpuSet", "cpuShares", "cpus", "memoryReservation", "shmSize", "storageOpts", "ulimits"] as const),
  ...(["deviceReadBps", "deviceReadIops", "deviceWriteBps", "deviceWriteIops", "healthcheck", "restart", "maxRetryCount"] as const),
  ...(["attach", "logs", "mustRun", "rm", "removeVolumes", "start", "stdinOpen", "tty", "wait", "waitTimeout"] as const),
  ...(["stopSignal", "stopTimeout", "destroyGraceSeconds", "containerReadRefreshTimeoutMilliseconds"] as const),
] as const;

/** An input that says nothing, as the provider writes one that the program did not give. */
const isEmpty = (value: unknown): boolean =>
  typeof value === "object" && value !== null ? Object.keys(value).length === 0 : !value || value === "0";

/**
 * Inputs that nothing is known of: namespaces of the host, other runtimes, devices, groups, settings of the kernel, files, and what a later provider adds.
 * Without their values, which may be secrets.
 */
function otherInputs(container: DeclaredContainer): string[] {
  const known = new Set<string>([...judged, ...harmlessInputs]);
  const inputs = container as Readonly<Record<string, unknown>>; // no copy: that would read what is not known yet
  return Object.keys(inputs)
    .filter((name) => !name.startsWith("__") && !known.has(name) && !isEmpty(inputs[name]))
    .map((name) => `${name}: expected it unset: not among the inputs that are known to give a container nothing of the host`);
}

/**
 * The one security option is the whole list: others exchange the default profiles of seccomp and AppArmor or switch labels off, and of two that contradict
 * each other nobody can say which holds, because the provider keeps no order.
 */
const securityOptions = ["no-new-privileges:true"];

export function privileges(container: DeclaredContainer): string[] {
  const { user, privileged, capabilities = {}, securityOpts = [] } = container;
  const { adds = [], drops = [] } = capabilities;
  const isConfined = securityOpts.length === 1 && securityOpts[0] === securityOptions[0];
  return [
    ...(user === containerUser ? [] : [`user: got ${shown(user)}, expected ${shown(containerUser)}`]),
    ...(privileged === true ? ["privileged: got true, expected false"] : []),
    ...(drops.includes("ALL") ? [] : [`capabilities.drops: got ${shown(drops)}, expected ["ALL"]`]),
    ...(adds.length === 0 ? [] : [`capabilities.adds: got ${shown(adds)}, expected none`]),
    ...(isConfined ? [] : [`securityOpts: got ${shown(securityOpts)}, expected ${shown(securityOptions)} and the default profiles`]),
    ...otherInputs(container),
  ];
}

/** GPUs that nobody named; NVIDIA's runtime, which may be the host's default, reads a variable too. */
export function unnamedGpus(container: DeclaredContainer): string[] {
  const { gpus = "" } = container;
  const variable = "NVIDIA_VISIBLE_DEVICES";
  return [
    ...(gpus === "" || namesGpus(gpus) ? [] : [`gpus: got ${shown(gpus)}, expected the ids that are meant, e.g. "device=0"`]),
    ...(valuesOf(container, variable).length === 0 ? [] : [`envs: got ${variable}, expected it unset: GPUs are given by gpus`]),
  ];
}
