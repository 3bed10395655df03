import { z } from "zod";
import { scenarioSetSchema, type ScenarioSet } from "../benchmark/protocol.ts";
import { fetchedFileSchema } from "../models/store.ts";
import { labels } from "../names.ts";
import { promotionSchema, type Promotion } from "../promotion.ts";
import {
  commandsAfter,
  commandType,
  containerType,
  exportSchema,
  imageType,
  labelsOf,
  nameOf,
  networkType,
  readInput,
  type Resource,
} from "./resources.ts";

/** A container that a stack's state holds. */
export interface DeclaredContainer {
  readonly urn: string;
  readonly id: string;
  readonly name: string;
  /** Release of a server; null on the gateway. */
  readonly release: string | null;
  readonly image: string;
  /** Environment, which is where a server has its flags from. */
  readonly environment: Readonly<Record<string, string>>;
  readonly gpus: string | null;
  /** Names of the networks that it is on. */
  readonly networks: readonly string[];
  /** Resources that have to be replaced so that it passes its gates again, `promote` among them: the commands that hang on it. */
  readonly chain: readonly string[];
}

/** A model file that a stack's state holds as fetched and checked. */
export interface DeclaredFile {
  readonly urn: string;
  readonly id: string;
  /** Path inside the volume. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly sources: readonly string[];
  /** When its checksum was last right, milliseconds since 1970: the end of the command that fetched it. */
  readonly verifiedAtMs: number;
}

/** An image that was built on the Docker host. */
export interface DeclaredImage {
  readonly urn: string;
  readonly tag: string;
  readonly id: string;
}

/** One Docker network of a stack, by its name on the host. */
export interface DeclaredNetwork {
  readonly urn: string;
  readonly id: string;
  readonly name: string;
}

/** What a stack's state says there should be. */
export interface Declared {
  readonly stack: string;
  /** Last change of the state. */
  readonly changedAt: string;
  readonly promotion: Promotion | null;
  /** URN of `promote`; null before the first promotion. */
  readonly promoteUrn: string | null;
  readonly servers: readonly DeclaredContainer[];
  readonly gateway: DeclaredContainer | null;
  readonly images: readonly DeclaredImage[];
  readonly files: readonly DeclaredFile[];
  /** Volume or absolute host path of the models; null before there is one. */
  readonly models: string | null;
  readonly evidenceVolume: string | null;
  /** Image of helper containers. */
  readonly helperImage: string | null;
  /** File with the servers' API key on this machine; null: they want none. */
  readonly apiKeyFile: string | null;
  /** What the benchmark of the promoted release asked; null where the state does not say. */
  readonly protocol: ScenarioSet | null;
  readonly networks: readonly DeclaredNetwork[];
  /** Operations that an update had begun and not ended when the state was written. */
  readonly pending: readonly string[];
}

const networksSchema = z.array(z.object({ name: z.string() }));
const modelInputSchema = z.object({
  file: z.object({ sources: z.array(z.string()) }),
  volume: z.object({ source: z.string() }),
});
const promoteInputSchema = z.object({ evidenceVolume: z.string(), helperImage: z.string() });
const gateInputSchema = z.object({ apiKeyFile: z.string().nullish(), protocol: scenarioSetSchema.nullish() });

/**
 * What a stack declares, from `pulumi stack export`. A resource that waits for its deletion is left out.
 * @throws {z.ZodError} if it is not an exported state of this project
 */
export function parseDeclared(stack: string, text: string): Declared {
  const { deployment } = exportSchema.parse(JSON.parse(text));
  const resources = deployment.resources.filter((resource) => resource.delete !== true);
  const promote = resources.find(({ type, urn }) => type === commandType && nameOf(urn) === "promote");
  const promoteInput = readInput(promote, "PROMOTE_INPUT", promoteInputSchema);
  const containers = resources
    .filter(({ type }) => type === containerType)
    .map((resource) => ({ role: labelsOf(resource)[labels.role], container: toContainer(resource, resources) }));
  const fetches = resources.flatMap((resource) => toFile(resource));
  const line = promote?.outputs["stdout"];
  const promotion = typeof line === "string" && line !== "" ? promotionSchema.parse(JSON.parse(line)) : null;
  const gate = resources.find(({ urn }) => nameOf(urn) === `benchmark-${promotion?.releaseId ?? ""}`);
  const gateInput = readInput(gate, "GATE_INPUT", gateInputSchema);
  return {
    stack,
    changedAt: deployment.manifest.time,
    promotion,
    promoteUrn: promote?.urn ?? null,
    servers: containers.flatMap(({ role, container }) => (role === "server" ? [container] : [])),
    gateway: containers.find(({ role }) => role === "gateway")?.container ?? null,
    images: resources.filter(({ type }) => type === imageType).map(toImage),
    files: fetches.map(({ file }) => file),
    models: fetches[0]?.volume ?? null,
    evidenceVolume: promoteInput?.evidenceVolume ?? null,
    helperImage: promoteInput?.helperImage ?? null,
    apiKeyFile: gateInput?.apiKeyFile ?? null,
    protocol: gateInput?.protocol ?? null,
    networks: resources.flatMap(({ type, urn, id = "", outputs }) =>
      type === networkType ? [{ urn, id, name: String(outputs["name"]) }] : [],
    ),
    pending: (deployment.pending_operations ?? []).map(({ resource, type }) => `${type} ${nameOf(resource.urn)}`),
  };
}

function toContainer(resource: Resource, all: readonly Resource[]): DeclaredContainer {
  const { urn, id, outputs } = resource;
  const envs = z.array(z.string()).parse(outputs["envs"] ?? []);
  return {
    urn,
    id: id ?? "",
    name: String(outputs["name"]),
    release: labelsOf(resource)[labels.release] ?? null,
    image: String(outputs["image"]),
    environment: Object.fromEntries(envs.map((env) => [env.slice(0, env.indexOf("=")), env.slice(env.indexOf("=") + 1)])),
    gpus: typeof outputs["gpus"] === "string" && outputs["gpus"] !== "" ? outputs["gpus"] : null,
    networks: networksSchema.parse(outputs["networksAdvanced"] ?? []).map(({ name }) => name),
    chain: commandsAfter(urn, all),
  };
}

const toImage = ({ urn, outputs }: Resource): DeclaredImage => ({
  urn,
  tag: String(outputs["imageName"]),
  id: String(outputs["repoDigest"]),
});

function toFile(resource: Resource): { file: DeclaredFile; volume: string }[] {
  const input = resource.type === commandType ? readInput(resource, "MODEL_INPUT", modelInputSchema) : undefined;
  const line = resource.outputs["stdout"];
  if (input === undefined || typeof line !== "string") return [];
  const { id, path, bytes, sha256 } = fetchedFileSchema.parse(JSON.parse(line));
  const verifiedAtMs = resource.modified === undefined ? 0 : Date.parse(resource.modified);
  return [{ file: { urn: resource.urn, id, path, bytes, sha256, sources: input.file.sources, verifiedAtMs }, volume: input.volume.source }];
}
