/** Which resources a stack registers and with what inputs; that the providers accept them is shown in tests/integration. */
import { beforeAll, describe, expect, it } from "vitest";
import { LlmStack } from "../../components/llm-stack.ts";
import type { ReleaseRecord } from "../../plan/retained.ts";
import { planDev } from "../support/project.ts";
import { record, valueOf, type ComputedOutputs, type RecordedResource } from "../support/record.ts";

const plan = planDev(undefined, "test");
const sha256 = "a".repeat(64);
const gateLine = (gate: string): string =>
  JSON.stringify({
    version: 1,
    gate,
    verdict: "passed",
    reason: "fine",
    releaseId: plan.releaseId,
    dryRun: false,
    metrics: [],
    comparedWith: null,
    samples: 1,
    startedAt: "",
    wallSec: 1,
    evidence: null,
  });
const promotion = {
  endpoint: plan.gateway.url,
  releaseId: plan.releaseId,
  profile: "dev",
  previous: null,
  promotedAt: "now",
  outageSec: 0,
  gates: [],
};

/** What a program of the project prints, by the resource that runs it. */
function stdoutOf(name: string): string {
  if (name.startsWith("models-")) return JSON.stringify({ id: "m", path: "p", bytes: 1, sha256, source: "volume" });
  if (name === "promote") return JSON.stringify(promotion);
  return gateLine(name.slice(0, name.indexOf("-")));
}

const providers: ComputedOutputs = {
  "command:local:Command": (name) => ({ stdout: stdoutOf(name) }),
  "docker:index/image:Image": (name) => ({ repoDigest: `sha256:${name}` }),
  "docker:index/remoteImage:RemoteImage": () => ({ imageId: "sha256:base" }),
};
const build = (planned = plan, apiKeys?: string[], computed = providers, repair?: string) =>
  record(() => new LlmStack("llm", { plan: planned, apiKeys, repair }), computed);

let stack: LlmStack;
let resources: readonly RecordedResource[];
beforeAll(async () => ({ built: stack, resources } = await build()));

const find = (name: string): RecordedResource => {
  const [found, ...more] = resources.filter((resource) => resource.name === name && resource.custom);
  if (found === undefined || more.length > 0) throw new Error(`${name}: expected one, got ${more.length + Number(found !== undefined)}`);
  return found;
};
const environment = (name: string, key: string): Record<string, unknown> =>
  JSON.parse((find(name).inputs["environment"] as Record<string, string>)[key] ?? "null") as Record<string, unknown>;

describe("LlmStack", () => {
  it("registers these resources and no others", () => {
    const all = resources.filter(({ type }) => type !== "pulumi:pulumi:Stack").map(({ type, name }) => `${type} ${name}`);
    expect(all.sort()).toEqual(
      [
        "command:local:Command llama-image-build",
        "command:local:Command models-gemma-3-270m-q4_k_m",
        "command:local:Command preflight",
        "command:local:Command promote",
        `command:local:Command answers-${plan.releaseId}`,
        `command:local:Command benchmark-${plan.releaseId}`,
        `command:local:Command perplexity-${plan.perplexity.key}`,
        "docker:index/container:Container gateway",
        `docker:index/container:Container server-${plan.releaseId}`,
        "docker:index/image:Image gateway-image",
        "docker:index/image:Image llama-image",
        "docker:index/network:Network gateway-edge",
        "docker:index/network:Network servers",
        "docker:index/remoteImage:RemoteImage base-debian:forky",
        "docker:index/volume:Volume evidence",
        "docker:index/volume:Volume gateway-state",
        "docker:index/volume:Volume models",
        "llm-server:images:LlamaImage llama-image",
        "llm-server:models:ModelVolume models",
        "llm-server:serving:Gateway gateway",
        `llm-server:serving:LlamaServer server-${plan.releaseId}`,
        "llm-server:stack:LlmStack llm",
      ].sort(),
    );
  });

  it("builds the images that it is asked for beside its own, and runs from none of them", async () => {
    const two = planDev((config) => ({ ...config, images: ["latest"] }), "test");
    const { resources: all } = await build(two);
    const added = all
      .filter(({ name }) => !resources.some((resource) => resource.name === name))
      .map(({ type, name }) => `${type} ${name}`);
    expect(added.sort()).toEqual([
      "command:local:Command llama-image-latest-build",
      "docker:index/image:Image llama-image-latest",
      expect.stringMatching(/RemoteImage base-nvidia\/cuda:12\.8\.1-devel-ubuntu24\.04@sha256:[0-9a-f]{64}$/),
      expect.stringMatching(/RemoteImage base-nvidia\/cuda:12\.8\.1-runtime-ubuntu24\.04@sha256:[0-9a-f]{64}$/),
      "llm-server:images:LlamaImage llama-image-latest",
    ]);
    expect(all.find(({ name, custom }) => name === `server-${two.releaseId}` && custom)?.inputs["image"]).toBe("sha256:llama-image");
  });

  it("builds an image again when its arguments, its files or its bases change", () => {
    expect(environment("llama-image-build", "BUILD_INPUT")).toEqual({
      stack: "test",
      tag: plan.image.tag,
      dockerfile: plan.image.dockerfile,
      context: "docker",
      platform: "linux/amd64",
      args: { RUNTIME_BASE: "debian:forky", RUNTIME_BASE_ID: "sha256:base" },
      inputs: plan.imageInputs,
    });
  });

  it("hardens every container, and publishes the gateway on loopback only", () => {
    for (const name of ["gateway", `server-${plan.releaseId}`]) {
      expect(find(name).inputs).toMatchObject({
        readOnly: true,
        privileged: false,
        capabilities: { drops: ["ALL"] },
        securityOpts: ["no-new-privileges:true"],
        user: "10001:10001",
        init: true,
        logOpts: { "max-file": "5", "max-size": "10m" },
      });
      expect(find(name).inputs["memory"]).toBe(find(name).inputs["memorySwap"]);
    }
    expect(find("gateway").inputs["ulimits"]).toEqual([{ name: "nofile", soft: 2048, hard: 2048 }]);
    expect(find("gateway").inputs["ports"]).toEqual([{ internal: 8000, external: 8080, ip: "127.0.0.1" }]);
    expect(find(`server-${plan.releaseId}`).inputs["ports"]).toBeUndefined();
    expect(find("servers").inputs["internal"]).toBe(true);
  });

  it("creates the server stopped, from the image's id, with its models read-only", () => {
    expect(find(`server-${plan.releaseId}`).inputs).toMatchObject({
      image: "sha256:llama-image",
      start: false,
      mustRun: false,
      mounts: [{ type: "volume", source: "llm-server-test-models", target: "/models", readOnly: true }],
    });
  });

  it("measures the container that it created and the file that was fetched", () => {
    expect(environment(`benchmark-${plan.releaseId}`, "GATE_INPUT")).toMatchObject({
      container: plan.servers[0]?.containerName,
      modelSha256: sha256,
      imageId: "sha256:llama-image",
    });
    expect(find(`benchmark-${plan.releaseId}`).inputs["triggers"]).toEqual([`server-${plan.releaseId}-id`]);
    expect(environment(`perplexity-${plan.perplexity.key}`, "GATE_INPUT")).toMatchObject({
      modelVolume: "llm-server-test-models",
      modelSha256: sha256,
    });
    expect(find(`perplexity-${plan.perplexity.key}`).inputs["triggers"]).toEqual(["sha256:llama-image"]);
  });

  it("asks the container that was measured, after its benchmark", () => {
    const answers = `answers-${plan.releaseId}`;
    expect(environment(answers, "GATE_INPUT")).toMatchObject({
      container: plan.servers[0]?.containerName,
      family: "gemma-3-270m",
      dryRun: false,
    });
    expect(find(answers).inputs["triggers"]).toEqual([`server-${plan.releaseId}-id`]);
  });

  it("promotes with the gates' own lines", () => {
    expect(environment("promote", "PROMOTE_INPUT")).toMatchObject({
      rollout: { releaseId: plan.releaseId, strategy: "auto", devices: ["cpu"] },
      gates: [gateLine("perplexity"), gateLine("benchmark"), gateLine("answers")],
    });
  });

  it("tells promote why it has to run although nothing else has changed", async () => {
    const { resources: all } = await build(plan, undefined, providers, "another release takes the traffic");
    const promote = all.find(({ name }) => name === "promote");
    expect(promote?.inputs["environment"]).toMatchObject({ PROMOTE_REPAIR: "another release takes the traffic" });
    expect(find("promote").inputs["environment"]).toMatchObject({ PROMOTE_REPAIR: "" });
  });

  it("says what was promoted", async () => {
    expect(await valueOf(stack.promotion)).toEqual(promotion);
    expect(await valueOf(stack.endpoint)).toBe("http://127.0.0.1:8080");
  });
});

describe("LlmStack with a release that is retained", () => {
  const record: ReleaseRecord = {
    version: 1,
    releaseId: "0123456789",
    profile: "old",
    servers: [
      { containerName: "llm-server-test-server-0123456789", labels: {}, container: { envs: [], memoryMiB: 512, stopTimeoutSec: 30 } },
    ],
    imageId: "sha256:old",
    models: "llm-server-test-models",
    perplexityKey: "abcdefabcd",
    hasAnswers: true,
  };
  let kept: readonly RecordedResource[];
  let releases: ReleaseRecord[];
  beforeAll(async () => {
    const { built, resources: all } = await build({ ...plan, retained: [record] });
    kept = all;
    releases = await valueOf(built.releases);
  });

  it("goes on declaring its server, stopped, and the gates that it passed", () => {
    const names = kept
      .filter(({ name }) => name.includes("0123456789") || name.includes("abcdefabcd"))
      .map(({ type, name }) => `${type} ${name}`);
    expect(names.sort()).toEqual([
      "command:local:Command answers-0123456789",
      "command:local:Command benchmark-0123456789",
      "command:local:Command perplexity-abcdefabcd",
      "docker:index/container:Container server-0123456789",
      "llm-server:serving:LlamaServer server-0123456789",
    ]);
  });

  it("hands both releases on to the next deployment, the serving one first", () => {
    expect(releases.map(({ releaseId }) => releaseId)).toEqual([plan.releaseId, "0123456789"]);
  });
});

describe("LlmStack with two replicas", () => {
  it("has a server and a benchmark for each, measured one after the other, and one gateway", async () => {
    const two = planDev((config) => ({ ...config, rollout: { ...config.rollout, replicas: 2 } }), "test");
    const { resources: all } = await build(two);
    const names = (start: string): string[] => all.filter(({ name, custom }) => custom && name.startsWith(start)).map(({ name }) => name);
    expect(names("server-").sort()).toEqual([`server-${two.releaseId}`, `server-${two.releaseId}-2`]);
    expect(names("benchmark-").sort()).toEqual([`benchmark-${two.releaseId}`, `benchmark-${two.releaseId}-2`]);
    expect(all.find(({ name, custom }) => custom && name === "gateway")?.inputs["envs"]).toContain("GATEWAY_SLOTS=2");
  });
});

describe("a stack with further images", () => {
  it("measures nothing while one of them is built: compiling would be measured with it", async () => {
    const done: string[] = [];
    const doneBefore: Record<string, boolean> = {};
    await build(
      planDev((config) => ({ ...config, images: ["latest"] }), "test"),
      undefined,
      {
        ...providers,
        "docker:index/image:Image": async (name) => {
          if (name === "llama-image-latest") for (let turn = 0; turn < 1000; turn++) await new Promise(setImmediate);
          done.push(name);
          return { repoDigest: `sha256:${name}` };
        },
        "command:local:Command": (name) => {
          doneBefore[name.slice(0, name.indexOf("-"))] = done.includes("llama-image-latest");
          return { stdout: stdoutOf(name) };
        },
      },
    );
    expect(doneBefore).toMatchObject({ perplexity: true, benchmark: true, answers: true });
  });
});

describe("a stack with API keys", () => {
  it("brings them to the gateway on a program's standard input, as a secret, before any rollout, and nowhere else", async () => {
    const key = "canary".repeat(8);
    const planned = planDev((config) => ({ ...config, apiKeys: [key] }), "test");
    const { resources: all } = await build(planned, [key]);
    const access = all.find(({ name }) => name === "gateway-access");
    expect(access?.inputs).toEqual({
      create: "exec sh scripts/run-program.sh scripts/access.ts",
      update: "exec sh scripts/run-program.sh scripts/access.ts",
      addPreviousOutputInEnv: false,
      logging: "stderr",
      environment: { ACCESS_INPUT: JSON.stringify(planned.gateway.access) },
      stdin: expect.objectContaining({ value: `${key}\n` }) as object, // wrapped: a secret
      triggers: ["gateway-id"],
    });
    expect(JSON.stringify(all.filter(({ name }) => name !== "gateway-access"))).not.toContain("canary");
  });
});
