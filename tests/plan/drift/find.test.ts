/**
 * What counts as drift, on plain values. That the values are what Docker, Pulumi and llama-server say is shown by tests/integration/drift.test.ts.
 * No GPU was lost for these tests: what `nvidia-smi` says then is taken from its documentation.
 */
import { describe, expect, it } from "vitest";
import type { Difference } from "../../../plan/drift/differences.ts";
import type { Observation } from "../../../plan/drift/observation.ts";
import {
  answering,
  chain,
  declared,
  find,
  gatewayName,
  healthy,
  nowMs,
  path,
  server,
  serverName,
  stat,
  up,
  withServer,
} from "./support.ts";

const gone = (type: string, name: string): Difference => ({ urn: `urn::${name}`, type, name, isGone: true, properties: [] });
const restart = [
  { do: "stop", container: serverName, id: server.id },
  { do: "replace", urns: chain },
];
const recreate = [{ do: "remove", container: serverName, id: server.id }, { do: "up" }];
const [file] = healthy.files;
const other = { ...stat, inode: "8", changedMs: nowMs };
const withFile = (changes: Partial<NonNullable<typeof file>>): Pick<Observation, "files"> => ({
  files: file === undefined ? [] : [{ ...file, ...changes }],
});
const answer = (completion: typeof answering.completion): Pick<Observation, "servers"> => ({ servers: [{ ...answering, completion }] });

describe("a stack as it was deployed", () => {
  it("has no finding", () => {
    expect(find({})).toEqual([]);
  });

  it("is not judged while a deployment runs, whatever it looks like", () => {
    expect(find({ ...withServer(null), activity: { kind: "running", by: "pulumi, process 7" } })).toEqual([]);
  });

  it("is found to serve nothing before its first promotion", () => {
    expect(find({}, { promotion: null })).toMatchObject([{ kind: "no-release", severity: "error", canRedeploy: false }]);
  });
});

describe("what is found, how bad it is, and what mends it", () => {
  it.each<[string, Partial<Observation>, string, string, readonly object[]]>([
    ["a removed server", withServer(null), "server-gone", "error", [{ do: "up" }]],
    [
      "a stopped server",
      withServer({ status: "exited", exitCode: 137, isOutOfMemory: true }),
      "server-stopped",
      "error",
      [{ do: "replace", urns: chain }],
    ],
    ["a server that was never started", withServer({ status: "created" }), "server-stopped", "error", [{ do: "replace", urns: chain }]],
    ["a restart loop", withServer({ status: "restarting", restarts: 1 }), "server-restarting", "error", restart],
    [
      "a restart loop caught while it runs",
      { ...withServer({ restarts: 5, startedAtMs: nowMs - 2000 }) },
      "server-restarting",
      "error",
      restart,
    ],
    ["a paused server", withServer({ status: "paused" }), "server-paused", "error", recreate],
    ["a server that died and serves again", withServer({ restarts: 1 }), "server-died", "warning", []],
    ["a server taken off its network", withServer({ networks: [] }), "server-disconnected", "error", recreate],
    ["a failing health check", withServer({ health: "unhealthy" }), "server-unhealthy", "warning", []],
    [
      "another container under the server's name",
      withServer({ id: "x" }),
      "server-replaced",
      "error",
      [{ do: "remove", container: serverName, id: "x" }, { do: "up" }],
    ],
    ["a stranger under the server's name", withServer({ id: "x", stack: null }), "server-replaced", "error", []],
    ["a refused connection", answer({ kind: "failed", reason: "fetch failed" }), "server-unanswering", "error", restart],
    ["a generation that hangs", answer({ kind: "late", afterMs: 30_000, isWorking: false }), "server-hangs", "error", restart],
    ["a long queue", answer({ kind: "late", afterMs: 30_000, isWorking: true }), "server-busy", "note", []],
    ["rubbish", answer({ kind: "answered", text: "@@@@@@@@", tokens: [], wallMs: 1 }), "server-rubbish", "error", restart],
    [
      "another model",
      { servers: [{ ...answering, self: { ...answering.self!, modelPath: "/models/other.gguf" } }] },
      "server-other",
      "error",
      recreate,
    ],
    ["another build", { servers: [{ ...answering, self: { ...answering.self!, build: "b1" } }] }, "server-other", "error", recreate],
    ["other slots", { servers: [{ ...answering, self: { ...answering.self!, slots: 4 } }] }, "server-other", "error", recreate],
    [
      "another context",
      { servers: [{ ...answering, self: { ...answering.self!, contextTokens: 512 } }] },
      "server-other",
      "error",
      recreate,
    ],
    [
      "another name in /v1/models",
      { servers: [{ ...answering, self: { ...answering.self!, models: ["llama"] } }] },
      "server-other",
      "error",
      recreate,
    ],
    ["half the speed", { servers: [{ ...answering, speed: { measured: 20, baseline: 60 } }] }, "server-slow", "warning", []],
    [
      "a pointer at another release",
      { gateway: { ...healthy.gateway!, active: "ffffffffff" } },
      "gateway-elsewhere",
      "error",
      [{ do: "replace", urns: ["urn::promote"] }],
    ],
    [
      "a pointer at no release",
      { gateway: { ...healthy.gateway!, active: null } },
      "gateway-elsewhere",
      "error",
      [{ do: "replace", urns: ["urn::promote"] }],
    ],
    [
      "a lost pointer",
      { gateway: { ...healthy.gateway!, active: null, isReadable: false } },
      "gateway-pointer-lost",
      "error",
      [{ do: "replace", urns: ["urn::promote"] }],
    ],
    [
      "a hold without a rollout",
      { gateway: { ...healthy.gateway!, heldSinceMs: nowMs - 1000 } },
      "gateway-holding",
      "error",
      [{ do: "replace", urns: ["urn::promote"] }],
    ],
    [
      "an answer by another server",
      { gateway: { ...healthy.gateway!, route: { upstream: "evil:8080", problem: null } } },
      "gateway-elsewhere",
      "error",
      [{ do: "replace", urns: ["urn::promote"] }],
    ],
    [
      "a gateway that answers nobody",
      { gateway: { ...healthy.gateway!, route: { upstream: null, problem: "status 502" } } },
      "gateway-unanswering",
      "error",
      [{ do: "remove", container: gatewayName, id: "g".repeat(64) }, { do: "up" }],
    ],
    [
      "a moved tag",
      { images: [{ ...healthy.images[0]!, taggedId: "sha256:x" }] },
      "image-tag-elsewhere",
      "warning",
      [{ do: "tag", image: "sha256:llama", tag: "llm-server/llama-cpp:debian" }],
    ],
    [
      "a tag that is gone",
      { images: [{ ...healthy.images[0]!, taggedId: null }] },
      "image-tag-elsewhere",
      "warning",
      [{ do: "tag", image: "sha256:llama", tag: "llm-server/llama-cpp:debian" }],
    ],
    [
      "a pruned image",
      { images: [{ ...healthy.images[0]!, taggedId: null, isThere: false }] },
      "image-gone",
      "error",
      [{ do: "replace", urns: ["urn::llama-image"] }],
    ],
    [
      "a model file that is gone",
      withFile({ stat: null, inServers: [] }),
      "model-gone",
      "error",
      [{ do: "fetch", path, setAside: false, urns: ["urn::models-gemma"] }],
    ],
    [
      "a truncated model file",
      withFile({ stat: { ...stat, bytes: 10 }, inServers: [{ server: serverName, stat: { ...stat, bytes: 10 }, mapped: ["7"] }] }),
      "model-truncated",
      "error",
      [{ do: "fetch", path, setAside: true, urns: ["urn::models-gemma"] }, ...restart],
    ],
    [
      "a model file overwritten under the server",
      withFile({ sha256: "b".repeat(64) }),
      "model-replaced",
      "error",
      [{ do: "fetch", path, setAside: true, urns: ["urn::models-gemma"] }, ...restart],
    ],
    [
      "a model file replaced beside the server's",
      withFile({ stat: other, inServers: [{ server: serverName, stat: other, mapped: ["7"] }], sha256: "b".repeat(64) }),
      "model-replaced",
      "error",
      [{ do: "fetch", path, setAside: true, urns: ["urn::models-gemma"] }],
    ],
    ["a stale mount", withFile({ stat: other, sha256: "a".repeat(64) }), "mount-stale", "warning", recreate],
    ["a model file that was not read", withFile({ unchecked: "its metadata changed" }), "model-unchecked", "note", []],
    [
      "a candidate that runs",
      {
        labelled: [
          ...healthy.labelled,
          { id: "c", name: "old", stack: "dev", role: "server", release: "1", status: "running", image: "i" },
        ],
      },
      "container-unowned",
      "warning",
      [{ do: "remove", container: "old", id: "c" }],
    ],
    [
      "a killed update",
      { activity: { kind: "interrupted", what: "an update", hasPending: true, isLocked: true, isRollout: true } },
      "update-interrupted",
      "warning",
      [{ do: "unlock" }, { do: "clear" }, { do: "recover" }],
    ],
    [
      "a network that is gone",
      { differences: [gone("docker:index/network:Network", "servers")] },
      "network-gone",
      "error",
      [{ do: "remove", container: serverName, id: server.id }, { do: "remove", container: gatewayName, id: "g".repeat(64) }, { do: "up" }],
    ],
    [
      "a base image that is gone",
      { differences: [gone("docker:index/remoteImage:RemoteImage", "base-debian:forky")] },
      "remoteimage-gone",
      "warning",
      [{ do: "up" }],
    ],
  ])("%s", (_, changes, kind, severity, actions) => {
    expect(find(changes).map((finding) => ({ kind: finding.kind, severity: finding.severity, actions: finding.actions }))).toEqual([
      { kind, severity, actions },
    ]);
  });

  it("says of each finding what is expected, what was found, what it means and what to do", () => {
    expect(find(withServer({ status: "exited", exitCode: 137, isOutOfMemory: true, logTail: "killed" }))).toEqual([
      {
        kind: "server-stopped",
        resource: `container ${serverName}`,
        expected: "running, container ssssssssssss",
        found: "exited, exit code 137, killed for its memory, its log ends: killed",
        consequence: "requests wait for a server until the gateway's hold is over, and then get 503",
        fix: "npm run drift -- --stack dev --redeploy",
        severity: "error",
        canRedeploy: true,
        actions: [{ do: "replace", urns: chain }],
      },
    ]);
  });
});

describe("what is no drift", () => {
  it.each<[string, Partial<Observation>]>([
    [
      "a model file that was touched and is the same",
      withFile({ stat: { ...stat, changedMs: nowMs }, inServers: [], sha256: "a".repeat(64) }),
    ],
    ["a server that keeps no file mapped", withFile({ inServers: [{ server: serverName, stat, mapped: [] }] })],
    ["a server that could not be looked into", withFile({ inServers: [] })],
    ["a server that tells nothing of itself", { servers: [{ ...answering, self: null }] }],
    ["a slower probe, as neighbours make it", { servers: [{ ...answering, speed: { measured: 35, baseline: 60 } }] }],
    [
      "a container of a stack with a check of its own",
      { knownStacks: ["dev", "prod"], labelled: [{ ...healthy.labelled[0]!, id: "p", name: "p", stack: "prod" }] },
    ],
    [
      "what only a stopped gateway's ports look like to Pulumi",
      {
        differences: [
          {
            urn: "urn::gateway",
            type: "docker:index/container:Container",
            name: "gateway",
            isGone: false,
            properties: [{ name: "ports", expected: [1], found: [], replaces: true }],
          },
        ],
      },
    ],
  ])("%s", (_, changes) => {
    expect(find(changes)).toEqual([]);
  });

  it("lets a server load its model for a while after its start, and not for ever", () => {
    const loading = answer({ kind: "failed", reason: 'status 503: {"error":{"message":"Loading model"}}' });
    const after = (minutes: number): string[] =>
      find({ ...withServer({ startedAtMs: nowMs - minutes * 60_000 }), ...loading }).map(({ kind }) => kind);
    expect(after(1)).toEqual(["server-loading"]);
    expect(after(60)).toEqual(["server-unanswering"]);
  });

  it("keeps a failed candidate that is stopped, and stops one that runs", () => {
    const candidate = { ...server, id: "c", name: "candidate", release: "1" };
    const seen = (status: string): Partial<Observation> => ({
      labelled: [...healthy.labelled, { id: "c", name: "candidate", stack: "dev", role: "server", release: "1", status, image: "i" }],
    });
    const servers = [...declared.servers, candidate];
    expect(find(seen("exited"), { servers })).toEqual([]);
    expect(find(seen("running"), { servers })).toMatchObject([{ kind: "candidate-running", actions: [{ do: "stop", id: "c" }] }]);
  });

  it("is not misled by a helper of another stack that uses the image which a tag names", () => {
    const helper = { ...healthy.labelled[0]!, id: "p", name: "p", stack: "prod", role: "helper", image: "sha256:x" };
    const moved = { images: [{ ...healthy.images[0]!, taggedId: "sha256:x" }] };
    expect(find({ ...moved, knownStacks: ["dev", "prod"], labelled: [...healthy.labelled, helper] })).toMatchObject([
      { kind: "image-tag-elsewhere" },
    ]);
  });

  it("says of a server in a restart loop only that, whatever it answered just now", () => {
    const looping = { ...withServer({ restarts: 5, startedAtMs: nowMs - 1000 }), ...answer({ kind: "failed", reason: "fetch failed" }) };
    expect(find(looping).map(({ kind }) => kind)).toEqual(["server-restarting"]);
  });

  it("takes a tag that another stack's deployment moved for what it is", () => {
    const elsewhere = { ...healthy.labelled[0]!, id: "p", name: "p", stack: "prod", image: "sha256:x" };
    expect(
      find({
        knownStacks: ["dev", "prod"],
        labelled: [...healthy.labelled, elsewhere],
        images: [{ ...healthy.images[0]!, taggedId: "sha256:x" }],
      }),
    ).toMatchObject([{ kind: "image-tag-shared", severity: "note" }]);
  });
});

describe("a GPU", () => {
  const gpuServer = { ...server, gpus: "device=0" };
  it("is lost where a server that was given one sees none", () => {
    expect(find({ servers: [{ ...answering, gpus: [] }] }, { servers: [gpuServer] })).toMatchObject([
      { kind: "gpu-lost", severity: "error", actions: restart },
    ]);
  });
  it("is fine where it is seen", () => {
    expect(find({ servers: [{ ...answering, gpus: ["NVIDIA H200"] }] }, { servers: [gpuServer] })).toEqual([]);
  });
});

describe("what Pulumi alone sees of a running container", () => {
  const changed = (name: string, replaces: boolean, expected: unknown = 1, found: unknown = 2): Partial<Observation> => ({
    differences: [
      {
        urn: "urn::server",
        type: "docker:index/container:Container",
        name: "server",
        isGone: false,
        properties: [{ name, expected, found, replaces }],
      },
    ],
  });

  it("is put right in place where it can be, else by a new container", () => {
    expect(find(changed("memory", false))).toMatchObject([
      { kind: "container-changed", resource: `container ${serverName}`, found: "memory 2", actions: [{ do: "up" }] },
    ]);
    expect(find(changed("networksAdvanced", true))).toMatchObject([{ kind: "container-changed", actions: recreate }]);
  });

  it("shows names of variables only, because values may be secret", () => {
    const [finding] = find(changed("envs", true, ["KEY=canary-1", "A=b"], ["KEY=canary-2"]));
    expect(finding).toMatchObject({ expected: "envs KEY A", found: "envs KEY" });
    expect(JSON.stringify(finding)).not.toContain("canary");
  });
});

it("puts what keeps requests from being answered first", () => {
  const findings = find({
    ...withServer(null),
    activity: { kind: "interrupted", what: "x", hasPending: false, isLocked: false, isRollout: false },
    knownStacks: [],
    labelled: [{ ...healthy.labelled[0]!, id: "p", name: "p", stack: "prod" }],
  });
  expect(findings.map(({ severity }) => severity)).toEqual(["error", "warning", "note"]);
});

it("judges a release with several servers one by one", () => {
  const second = { ...server, id: "2".repeat(64), name: `${serverName}-2` };
  expect(
    find({ containers: [...healthy.containers, { ...up(second.name, second.id), seen: null }] }, { servers: [server, second] }),
  ).toMatchObject([{ kind: "server-gone", resource: `container ${second.name}` }]);
});
