/** What the components declare passes the policy pack, whatever the settings; what providers fill in beside it is shown in tests/integration/policy.test.ts. */
import { expect, it } from "vitest";
import { LlmStack } from "../../components/llm-stack.ts";
import type { StackConfig } from "../../plan/config/stack-config.ts";
import { rules } from "../../plan/policy/rules.ts";
import { planDev } from "../support/project.ts";
import { record, type ComputedOutputs } from "../support/record.ts";

const id = `sha256:${"a".repeat(64)}`;
const fetched = { id: "m", path: "p", bytes: 1, sha256: "a".repeat(64), source: "volume" };
const passed = {
  ...{ version: 1, gate: "benchmark", verdict: "passed", reason: "fine", releaseId: "r", dryRun: false, metrics: [], comparedWith: null },
  ...{ samples: 1, startedAt: "", wallSec: 1, evidence: null },
};
const promotion = { endpoint: "e", releaseId: "r", profile: "dev", previous: null, promotedAt: "now", outageSec: 0, gates: [] };
const providers: ComputedOutputs = {
  "command:local:Command": (name) => ({
    stdout: JSON.stringify(name.startsWith("models-") ? fetched : name === "promote" ? promotion : passed),
  }),
  "docker:index/image:Image": () => ({ repoDigest: id }),
  "docker:index/remoteImage:RemoteImage": () => ({ imageId: id }),
};

const key = "0123456789abcdef".repeat(2);
it.each<[string, (config: StackConfig) => StackConfig]>([
  ["on loopback", (config) => config],
  [
    "on every address, with a key and TLS",
    (config) => ({
      ...config,
      apiKeys: [key],
      gateway: { ...config.gateway, bind: "0.0.0.0", tls: { mode: "internal", names: ["llm.example.org", "192.0.2.7"] } },
    }),
  ],
  [
    "of two servers, each with two GPUs, and a folder of models",
    (config) => ({
      ...config,
      models: { path: "/srv/models" },
      device: { ...config.device, gpus: ["0", "1", "2", "3"] },
      rollout: { ...config.rollout, replicas: 2 },
    }),
  ],
])("a stack %s passes every rule", async (_what, change) => {
  const plan = planDev(change, "test");
  const { resources } = await record(() => new LlmStack("llm", { plan, apiKeys: [key] }), providers);
  const containers = resources.filter(({ type }) => type === "docker:index/container:Container");
  expect(containers).toHaveLength(1 + plan.servers.length);
  const found = resources.flatMap(({ type, name, inputs }) =>
    rules.flatMap((rule) => rule.check({ type, props: inputs }).map((line) => `${name}: ${rule.name}: ${line}`)),
  );
  expect(found).toEqual([]);
});
