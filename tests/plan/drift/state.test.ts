/** Reading of an exported state and of a refresh preview, on short documents in their form. That real ones read so is shown by tests/integration/drift.test.ts. */
import { describe, expect, it } from "vitest";
import { parseDeclared } from "../../../plan/drift/declared.ts";
import { goneNetworks, parseDifferences } from "../../../plan/drift/differences.ts";

const urn = (type: string, name: string): string => `urn:pulumi:dev::llm-server::${type}::${name}`;
const command = (name: string, dependencies: string[], outputs: object = {}) => ({
  urn: urn("command:local:Command", name),
  type: "command:local:Command",
  id: name,
  outputs,
  dependencies,
});
const container = (name: string, role: string, more: object = {}) => ({
  urn: urn("docker:index/container:Container", name),
  type: "docker:index/container:Container",
  id: `id-${name}`,
  outputs: {
    name: `llm-server-dev-${name}`,
    image: "sha256:1",
    envs: ["A=b=c"],
    networksAdvanced: [{ name: "llm-server-dev-servers" }],
    labels: [
      { label: "llm-server.role", value: role },
      { label: "llm-server.stack", value: "dev" },
    ],
    ...more,
  },
});
const server = container("server-1", "server", {
  gpus: "device=0",
  labels: [
    { label: "llm-server.role", value: "server" },
    { label: "llm-server.release", value: "1" },
  ],
});
const sha256 = "a".repeat(64);
const promotion = { endpoint: "http://127.0.0.1:1", releaseId: "1", profile: "dev", previous: null, promotedAt: "now", gates: [] };
const resources = [
  {
    urn: urn("docker:index/network:Network", "servers"),
    type: "docker:index/network:Network",
    id: "n",
    outputs: { name: "llm-server-dev-servers" },
  },
  {
    urn: urn("docker:index/image:Image", "llama-image"),
    type: "docker:index/image:Image",
    id: "t",
    outputs: { imageName: "llm-server/llama-cpp:debian", repoDigest: "sha256:1" },
  },
  {
    ...command("models-m", [], {
      environment: {
        MODEL_INPUT: JSON.stringify({
          file: { sources: ["pypi:m"] },
          volume: { source: "llm-server-dev-models" },
          helperImageId: "sha256:b",
        }),
      },
      stdout: JSON.stringify({ id: "m", path: "m/a/m.gguf", bytes: 5, sha256, source: "pypi:m" }),
    }),
    modified: "2026-11-23T10:00:00Z",
  },
  server,
  { ...server, urn: `${server.urn}-old`, delete: true },
  container("gateway", "gateway"),
  command("perplexity-k", [server.urn]),
  command("benchmark-1", [urn("command:local:Command", "perplexity-k"), server.urn], {
    environment: { GATE_INPUT: JSON.stringify({ apiKeyFile: "/run/key" }) },
  }),
  command("promote", [urn("command:local:Command", "benchmark-1")], {
    environment: { PROMOTE_INPUT: JSON.stringify({ evidenceVolume: "e", helperImage: "sha256:b" }) },
    stdout: JSON.stringify(promotion),
  }),
];
const state = (more: object = {}): string => JSON.stringify({ version: 3, deployment: { manifest: { time: "then" }, resources, ...more } });

describe("a state", () => {
  it("measures of two servers only those that it has to: what is after a server's own benchmark, not what the perplexity gate is before", () => {
    const second = { ...server, urn: `${server.urn}-2` };
    const [gate, own, next, promote] = ["perplexity-k", "benchmark-1", "benchmark-1-2", "promote"].map((name) =>
      urn("command:local:Command", name),
    ) as [string, string, string, string];
    const pair = [
      server,
      second,
      command("perplexity-k", [server.urn, second.urn]),
      command("benchmark-1", [gate, server.urn]),
      command("benchmark-1-2", [own, second.urn]),
      command("promote", [gate, own, next, server.urn, second.urn]),
    ];
    expect(parseDeclared("dev", state({ resources: pair })).servers.map(({ chain }) => chain)).toEqual([
      [own, next, promote],
      [next, promote],
    ]);
  });

  it("says what was deployed", () => {
    expect(parseDeclared("dev", state())).toEqual({
      stack: "dev",
      changedAt: "then",
      promotion: { ...promotion, outageSec: 0 },
      promoteUrn: urn("command:local:Command", "promote"),
      servers: [
        {
          urn: server.urn,
          id: "id-server-1",
          name: "llm-server-dev-server-1",
          release: "1",
          image: "sha256:1",
          environment: { A: "b=c" },
          gpus: "device=0",
          networks: ["llm-server-dev-servers"],
          chain: [urn("command:local:Command", "benchmark-1"), urn("command:local:Command", "promote")],
        },
      ],
      gateway: {
        urn: urn("docker:index/container:Container", "gateway"),
        id: "id-gateway",
        name: "llm-server-dev-gateway",
        release: null,
        image: "sha256:1",
        environment: { A: "b=c" },
        gpus: null,
        networks: ["llm-server-dev-servers"],
        chain: [],
      },
      images: [{ urn: urn("docker:index/image:Image", "llama-image"), tag: "llm-server/llama-cpp:debian", id: "sha256:1" }],
      files: [
        {
          urn: urn("command:local:Command", "models-m"),
          id: "m",
          path: "m/a/m.gguf",
          bytes: 5,
          sha256,
          sources: ["pypi:m"],
          verifiedAtMs: Date.parse("2026-11-23T10:00:00Z"),
        },
      ],
      models: "llm-server-dev-models",
      evidenceVolume: "e",
      helperImage: "sha256:b",
      apiKeyFile: "/run/key",
      protocol: null,
      networks: [{ urn: urn("docker:index/network:Network", "servers"), id: "n", name: "llm-server-dev-servers" }],
      pending: [],
    });
  });

  it("says what an update had begun", () => {
    const pending_operations = [{ resource: { urn: urn("command:local:Command", "benchmark-1") }, type: "creating" }];
    expect(parseDeclared("dev", state({ pending_operations })).pending).toEqual(["creating benchmark-1"]);
  });

  it("may hold nothing yet", () => {
    expect(parseDeclared("dev", JSON.stringify({ deployment: { manifest: { time: "" } } }))).toMatchObject({
      promotion: null,
      servers: [],
      gateway: null,
      files: [],
      models: null,
    });
  });

  it("fails on a document that is no state", () => {
    expect(() => parseDeclared("dev", "{}")).toThrow(/deployment/);
  });
});

describe("a refresh preview", () => {
  const at = (op: string, more: object = {}) => ({
    op,
    urn: server.urn,
    oldState: { type: server.type, outputs: { memory: 1, ports: [1] } },
    newState: { type: server.type, outputs: { memory: 2, ports: [] } },
    ...more,
  });
  const parse = (...steps: object[]) => parseDifferences(JSON.stringify({ steps }));

  it("says nothing of resources as the state has them", () => {
    expect(parse(at("refresh", { detailedDiff: null }), at("same"))).toEqual([]);
  });

  it("says what is gone", () => {
    expect(parse(at("delete", { newState: null }))).toEqual([
      { urn: server.urn, type: server.type, name: "server-1", isGone: true, properties: [] },
    ]);
  });

  it("says each property that differs once, with both values and whether it takes a new container", () => {
    const detailedDiff = { memory: { kind: "update" }, "ports[0]": { kind: "delete-replace" }, "ports[1].ip": { kind: "delete" } };
    expect(parse(at("update", { detailedDiff }))).toMatchObject([
      {
        isGone: false,
        properties: [
          { name: "memory", expected: 1, found: 2, replaces: false },
          { name: "ports", expected: [1], found: [], replaces: true },
        ],
      },
    ]);
  });
});

describe("networks of a stack", () => {
  it("are gone where the host has none of their id, one of the same name or not", () => {
    const networks = [
      { urn: "urn::servers", id: "n", name: "llm-server-dev-servers" },
      { urn: "urn::gateway-edge", id: "e", name: "llm-server-dev-edge" },
    ];
    expect(goneNetworks(networks, new Set(["n", "other"]))).toEqual([
      { urn: "urn::gateway-edge", type: "docker:index/network:Network", name: "gateway-edge", isGone: true, properties: [] },
    ]);
  });
});
