import { isLoopback, mayPublish, readAccess } from "../access.ts";
import { containerUser, modelsDir } from "../server-container.ts";
import { environmentOf, mountsOf, type DeclaredContainer } from "./container.ts";
import { openingFlagsIn } from "./opening-flags.ts";

/**
 * One rule of the policy pack. `check` gives a line for each violation, none where the container is as it should be: the property, what came, what is
 * allowed. It reads no property but those that it decides on, because a value that is not known yet makes a rule wait for the deployment.
 */
export interface ContainerRule {
  readonly name: string;
  readonly description: string;
  readonly check: (container: DeclaredContainer) => string[];
}

/** A declared value in a message. */
const shown = (value: unknown): string => (value === undefined ? "nothing" : JSON.stringify(value));

const pinned = /^(sha256:|[^\s@]+@sha256:)[0-9a-f]{64}$/;
const socket = /(^|\/)(docker|containerd|podman)\.sock$/;

/** Ports that others than this host's own users reach. Docker publishes past most host firewalls. */
function publishedOpenly(container: DeclaredContainer): string[] {
  const { ports = [], publishAllPorts, networkMode } = container;
  const isGuarded = (ip: string): boolean =>
    mayPublish(
      ip,
      readAccess((variable) => environmentOf(container, variable)),
    );
  return [
    ...ports
      .filter(({ ip = "" }) => !isLoopback(ip) && !isGuarded(ip))
      .map(
        ({ ip, internal }) =>
          `ports: got port ${internal} on ${ip ?? "every address"}, expected 127.0.0.1 or ::1: only a gateway with API key and TLS may listen elsewhere`,
      ),
    ...(publishAllPorts === true ? ["publishAllPorts: got true, expected the ports that are meant, on 127.0.0.1 or ::1"] : []),
    ...(networkMode === "host" ? ['networkMode: got "host", expected a network of the stack: the host\'s own publishes every port'] : []),
  ];
}

function unpinned({ image }: DeclaredContainer): string[] {
  if (image !== undefined && pinned.test(image)) return [];
  return [`image: got ${shown(image)}, expected an image id (sha256:…) or a digest (name@sha256:…): a tag moves`];
}

function privileges({
  user,
  privileged,
  capabilities = {},
  securityOpts = [],
  pidMode,
  ipcMode,
  gpus,
  devices = [],
}: DeclaredContainer): string[] {
  const { adds = [], drops = [] } = capabilities;
  const confined = securityOpts.some((option) => /^no-new-privileges([:=]true)?$/.test(option));
  return [
    ...(user === containerUser ? [] : [`user: got ${shown(user)}, expected ${shown(containerUser)}`]),
    ...(privileged === true ? ["privileged: got true, expected false"] : []),
    ...(drops.includes("ALL") ? [] : [`capabilities.drops: got ${shown(drops)}, expected ["ALL"]`]),
    ...(adds.length === 0 ? [] : [`capabilities.adds: got ${shown(adds)}, expected none`]),
    ...(confined ? [] : [`securityOpts: got ${shown(securityOpts)}, expected "no-new-privileges:true" among them`]),
    ...securityOpts
      .filter((option) => /[:=]unconfined$/.test(option))
      .map((option) => `securityOpts: got ${shown(option)}, expected the default profile`),
    ...(gpus === undefined || gpus.startsWith("device=")
      ? []
      : [`gpus: got ${shown(gpus)}, expected the ids that are meant, e.g. "device=0"`]),
    ...devices.map(({ hostPath }) => `devices: got ${shown(hostPath)}, expected none: GPUs are given by gpus`),
    ...([pidMode, ipcMode].includes("host") ? ['pidMode, ipcMode: got "host", expected the container\'s own'] : []),
  ];
}

function writableRoot({ readOnly, tmpfs = {} }: DeclaredContainer): string[] {
  const missing = (options: string): string[] => ["noexec", "nosuid"].filter((option) => !options.split(",").includes(option));
  return [
    ...(readOnly === true ? [] : [`readOnly: got ${shown(readOnly)}, expected true; give what must be written a tmpfs or a volume`]),
    ...Object.entries(tmpfs)
      .filter(([, options]) => missing(options).length > 0)
      .map(
        ([path, options]) =>
          `tmpfs: got ${shown(options)} for ${path}, expected ${missing(options).join(" and ")}: what is written there must not run`,
      ),
  ];
}

function unbounded({ memory, memorySwap, logDriver, logOpts = {}, init }: DeclaredContainer): string[] {
  const rotates = logDriver === "local" || ("max-size" in logOpts && "max-file" in logOpts);
  return [
    ...(memory !== undefined && memory > 0 ? [] : [`memory: got ${shown(memory)}, expected a limit (MiB)`]),
    ...(memorySwap !== undefined && memorySwap === memory
      ? []
      : [`memorySwap: got ${shown(memorySwap)}, expected as much as memory (${shown(memory)}): no swap on top`]),
    ...(rotates ? [] : [`logOpts: got ${shown(logOpts)}, expected max-size and max-file: a log without them fills the disk`]),
    ...(init === true ? [] : [`init: got ${shown(init)}, expected true: it reaps what the server leaves`]),
  ];
}

/** The socket, and folders that hold it: whoever can use the engine is root on the host. */
function engineAccess(container: DeclaredContainer): string[] {
  const holders = new Set(["/", "/run", "/var", "/var/run"]);
  return mountsOf(container)
    .map(({ source, target }) => ({ source: source(), target }))
    .filter(({ source }) => socket.test(source) || holders.has(source.replace(/(?<=.)\/+$/, "")))
    .map(({ source, target }) => `mounts: got ${source} at ${target}, expected no engine socket and no folder that holds one`);
}

/** Mounts that hold models: the one at `/models`, and those that the server's variables point into. */
function writableModels(container: DeclaredContainer): string[] {
  const files = ["MODEL", "MMPROJ", "SPEC_DRAFT_MODEL", "MODEL_DRAFT"].flatMap((role) => {
    const path = environmentOf(container, `LLAMA_ARG_${role}`);
    return path === undefined ? [] : [path];
  });
  return mountsOf(container)
    .filter(({ readOnly }) => !readOnly)
    .filter(({ target }) => target === modelsDir || files.some((file) => file.startsWith(`${target.replace(/\/$/, "")}/`)))
    .map(({ target }) => `mounts: got ${target} writable, expected readOnly: true: a file replaced under a server changes its answers`);
}

/** The rules for every container of a stack. */
export const containerRules: readonly ContainerRule[] = [
  {
    name: "published-on-loopback",
    description:
      "Ports are published on loopback, but for a gateway with API key and TLS: a published Docker port bypasses most host firewalls.",
    check: publishedOpenly,
  },
  { name: "image-pinned", description: "Containers take images by id or digest, never by tag.", check: unpinned },
  {
    name: "no-privileges",
    description: `Containers run as user ${containerUser}, without capabilities and without a way to gain one.`,
    check: privileges,
  },
  {
    name: "read-only-root",
    description: "The root of a container is read-only, and nothing runs from what it keeps in memory.",
    check: writableRoot,
  },
  { name: "bounded", description: "Memory (without swap) and logs are bounded, and an init reaps.", check: unbounded },
  { name: "no-engine-socket", description: "No container sees the container engine.", check: engineAccess },
  { name: "models-read-only", description: "Models are mounted read-only.", check: writableModels },
  { name: "no-opening-flags", description: "llama-server gets no flag that opens it to its callers.", check: openingFlagsIn },
];
