import { containerUser } from "../server-container.ts";
import { shown, type DeclaredContainer, type DeclaredNetwork, type DeclaredVolume } from "./container.ts";
import { engineAccess, engineVolume, writableModels } from "./mounts.ts";
import { openingFlagsIn } from "./opening-flags.ts";
import { privileges, unnamedGpus } from "./privileges.ts";
import { publishedOpenly, reachedDirectly } from "./publishing.ts";

/** A resource as a policy gets it: type token and inputs. */
export interface DeclaredResource {
  readonly type: string;
  readonly props: unknown;
}

/**
 * One rule of the policy pack. `check` gives a line for each violation, none where the resource is as it should be: the property, what came, what is
 * allowed. It reads no property but those that it decides on, because a value that is not known yet makes a rule wait for the deployment.
 */
export interface Rule {
  readonly name: string;
  readonly description: string;
  readonly check: (resource: DeclaredResource) => string[];
}

/** Type token of one of Docker's resources, e.g. `docker:index/remoteImage:RemoteImage`. */
const dockerType = (name: string): string => `docker:index/${name.charAt(0).toLowerCase()}${name.slice(1)}:${name}`;

interface Declared {
  readonly Container: DeclaredContainer;
  readonly Volume: DeclaredVolume;
  readonly Network: DeclaredNetwork;
}

/** A check of one type of resource; others pass it. */
const on =
  <Name extends keyof Declared>(name: Name, check: (declared: Declared[Name]) => string[]): Rule["check"] =>
  ({ type, props }) =>
    type === dockerType(name) ? check(props as Declared[Name]) : [];

const pinned = /^(sha256:|[^\s@]+@sha256:)[0-9a-f]{64}$/;

function unpinned({ image }: DeclaredContainer): string[] {
  if (image !== undefined && pinned.test(image)) return [];
  return [`image: got ${shown(image)}, expected an image id (sha256:…) or a digest (name@sha256:…): a tag moves`];
}

function writableRoot({ readOnly, tmpfs = {} }: DeclaredContainer): string[] {
  const missing = (options: string): string[] => {
    const given = options.split(",");
    return ["noexec", "nosuid"].filter((option) => !given.includes(option) || given.includes(option.slice(2)));
  };
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

/** Docker's resources that a stack has: containers, and what they need. A service or a plugin runs what no rule sees, a builder runs with every privilege. */
const knownTypes = ["Container", "Image", "Network", "RegistryImage", "RemoteImage", "Tag", "Volume"];

function otherResources({ type }: DeclaredResource): string[] {
  if (!type.startsWith("docker:") || knownTypes.some((known) => type === dockerType(known))) return [];
  return [`type: got ${type}, expected one of ${knownTypes.join(", ")}: what runs is a container, which the other rules judge`];
}

/** The rules for every resource of a stack. */
export const rules: readonly Rule[] = [
  {
    name: "published-on-loopback",
    description:
      "Ports are published on loopback, but for a gateway with API key and TLS: a published Docker port bypasses most host firewalls.",
    check: (resource) => [...on("Container", publishedOpenly)(resource), ...on("Network", reachedDirectly)(resource)],
  },
  { name: "image-pinned", description: "Containers take images by id or digest, never by tag.", check: on("Container", unpinned) },
  {
    name: "no-privileges",
    description: `Containers run as user ${containerUser}, without capabilities, without a way to gain one, and with nothing of the host.`,
    check: on("Container", privileges),
  },
  { name: "gpus-by-id", description: "Containers see the GPUs that they are given by id, never all.", check: on("Container", unnamedGpus) },
  {
    name: "read-only-root",
    description: "The root of a container is read-only, and nothing runs from what it keeps in memory.",
    check: on("Container", writableRoot),
  },
  { name: "bounded", description: "Memory (without swap) and logs are bounded, and an init reaps.", check: on("Container", unbounded) },
  {
    name: "no-engine-socket",
    description: "No container sees the container engine, or a folder that its host is controlled by.",
    check: (resource) => [...on("Container", engineAccess)(resource), ...on("Volume", engineVolume)(resource)],
  },
  { name: "models-read-only", description: "Models are mounted read-only.", check: on("Container", writableModels) },
  {
    name: "no-opening-flags",
    description: "llama-server gets no flag that opens it to its callers.",
    check: on("Container", openingFlagsIn),
  },
  { name: "containers-only", description: "What runs on Docker is a container.", check: otherResources },
];
