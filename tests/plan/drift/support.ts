import type { Declared, DeclaredContainer } from "../../../plan/drift/declared.ts";
import { findDrift } from "../../../plan/drift/find.ts";
import type { Finding } from "../../../plan/drift/finding.ts";
import type { ContainerState, FileStat, Observation, ServerSeen } from "../../../plan/drift/observation.ts";

export const nowMs = Date.parse("2026-11-23T12:00:00Z");
export const release = "0a1b2c3d4e";
export const serverName = `llm-server-dev-server-${release}`;
export const gatewayName = "llm-server-dev-gateway";
export const path = "gemma/a5fd3b62230aa5ec/gemma.gguf";
export const chain = ["urn::benchmark-0a1b2c3d4e", "urn::promote"];

export const server: DeclaredContainer = {
  urn: "urn::server",
  id: "s".repeat(64),
  name: serverName,
  release,
  image: "sha256:llama",
  environment: { LLAMA_ARG_MODEL: `/models/${path}`, LLAMA_ARG_ALIAS: "gemma", LLAMA_ARG_N_PARALLEL: "2" },
  gpus: null,
  networks: ["llm-server-dev-servers"],
  chain,
};

export const declared: Declared = {
  stack: "dev",
  changedAt: "2026-11-23T10:00:00Z",
  promotion: {
    endpoint: "http://127.0.0.1:8080",
    releaseId: release,
    profile: "dev",
    previous: null,
    promotedAt: "2026-11-23T10:00:00Z",
    outageSec: 0,
    gates: [],
  },
  promoteUrn: "urn::promote",
  servers: [server],
  gateway: { ...server, urn: "urn::gateway", id: "g".repeat(64), name: gatewayName, release: null, chain: [] },
  images: [{ urn: "urn::llama-image", tag: "llm-server/llama-cpp:debian", id: "sha256:llama" }],
  files: [
    {
      urn: "urn::models-gemma",
      id: "gemma",
      path,
      bytes: 1000,
      sha256: "a".repeat(64),
      sources: ["pypi:gemma"],
      verifiedAtMs: nowMs - 7_200_000,
    },
  ],
  models: "llm-server-dev-models",
  evidenceVolume: "llm-server-dev-evidence",
  helperImage: "sha256:base",
  apiKeyFile: null,
  protocol: null,
  networks: [
    { urn: "urn::servers", id: "n", name: "llm-server-dev-servers" },
    { urn: "urn::gateway-edge", id: "e", name: "llm-server-dev-edge" },
  ],
  pending: [],
};

export const stat: FileStat = { bytes: 1000, inode: "7", modifiedMs: nowMs - 8_000_000, changedMs: nowMs - 8_000_000 };

export const up = (name: string, id: string): ContainerState & { seen: NonNullable<ContainerState["seen"]> } => ({
  name,
  seen: {
    id,
    stack: "dev",
    status: "running",
    exitCode: 0,
    isOutOfMemory: false,
    error: "",
    restarts: 0,
    startedAtMs: nowMs - 3_600_000,
    image: "sha256:llama",
    networks: ["llm-server-dev-servers"],
    health: null,
    logTail: "",
  },
});

export const answering: ServerSeen = {
  name: serverName,
  completion: { kind: "answered", text: " Paris.", tokens: [{ text: " Paris", likeliest: [" Paris", " The"] }], wallMs: 200 },
  self: {
    modelPath: `/models/${path}`,
    alias: "gemma",
    slots: 2,
    contextTokens: 2048,
    build: "b11669-Debian",
    models: ["gemma"],
    parameters: 268_098_176,
  },
  gpus: null,
  speed: null,
};

/** A stack on which all is as it was deployed. */
export const healthy: Observation = {
  activity: { kind: "none" },
  differences: [],
  labelled: [
    { id: server.id, name: serverName, stack: "dev", role: "server", release, status: "running", image: "sha256:llama" },
    { id: "g".repeat(64), name: gatewayName, stack: "dev", role: "gateway", release: null, status: "running", image: "sha256:gateway" },
    { id: "h", name: "happy_helper", stack: "dev", role: "helper", release: null, status: "running", image: "sha256:base" },
  ],
  knownStacks: ["dev"],
  containers: [up(serverName, server.id), up(gatewayName, "g".repeat(64))],
  servers: [answering],
  gateway: { active: release, heldSinceMs: null, isReadable: true, route: { upstream: `${serverName}:8080`, problem: null } },
  images: [{ tag: "llm-server/llama-cpp:debian", taggedId: "sha256:llama", isThere: true }],
  files: [{ path, stat, inServers: [{ server: serverName, stat, mapped: ["7"] }], sha256: null, unchecked: null, hasSource: true }],
  remembered: { build: "b11669-Debian", contextTokens: 2048, answer: null },
};

/** What is found where some of it is otherwise. */
export const find = (changes: Partial<Observation>, also: Partial<Declared> = {}): Finding[] =>
  findDrift({ ...declared, ...also }, { ...healthy, ...changes }, nowMs);

/** The healthy containers with the server's state changed; null: it is gone. */
export const withServer = (changes: Partial<NonNullable<ContainerState["seen"]>> | null): Pick<Observation, "containers" | "servers"> => ({
  containers: [
    changes === null ? { name: serverName, seen: null } : { name: serverName, seen: { ...up(serverName, server.id).seen, ...changes } },
    up(gatewayName, "g".repeat(64)),
  ],
  servers: changes !== null && (changes.status ?? "running") === "running" ? [answering] : [],
});
