/** The committed dev stack as a plan, and what each change of its configuration changes. What resources it becomes: tests/components. */
import { describe, expect, it } from "vitest";
import { ConfigError } from "../../plan/config/errors.ts";
import { parseStackConfig } from "../../plan/config/stack-config.ts";
import { planStack } from "../../plan/stack.ts";
import { planDev, pulumiConfig, readProjectFile } from "../support/project.ts";

const messageOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("expected a ConfigError");
};

describe("parseStackConfig", () => {
  it("reads the committed dev stack", () => {
    expect(parseStackConfig("dev", pulumiConfig("dev"))).toMatchObject({ profile: "dev", gateway: { bind: "127.0.0.1", port: 8080 } });
  });

  it("names all that is wrong at once, with the nearest key", () => {
    const wrong = { ...pulumiConfig("dev"), "llm-server:profil": "dev", "llm-server:gateway": '{"bind":"0.0.0.0","port":"http"}' };
    expect(messageOf(() => parseStackConfig("dev", wrong)).split("\n")).toEqual([
      'Pulumi.dev.yaml: gateway.bind: got "0.0.0.0", expected 127.0.0.1 or ::1 (other addresses need an API key and TLS, which the gateway does not have); write an allowed value',
      'Pulumi.dev.yaml: gateway.port: got "http", expected a number; write an allowed value',
      "Pulumi.dev.yaml: profil: got an unknown key, expected keys profile, images, gateway, models, device, rollout, gates, accept; did you mean profile? else remove it",
    ]);
  });

  it("reads a number with a fraction as `pulumi config set --path` writes it", () => {
    const written = { ...pulumiConfig("dev"), "llm-server:device": '{"memoryMiB":2048,"cpus":"0.5"}' };
    expect(parseStackConfig("dev", written).device.cpus).toBe(0.5);
  });

  it("fails on a stack without configuration, naming where to start", () => {
    expect(messageOf(() => parseStackConfig("mine", { "docker:host": "x" }))).toBe(
      "Pulumi.mine.yaml: got no key of llm-server:, expected at least llm-server:profile; copy the keys of Pulumi.dev.yaml",
    );
  });

  it("names missing keys", () => {
    expect(messageOf(() => parseStackConfig("mine", { "llm-server:profile": "dev" }))).toContain("Pulumi.mine.yaml: device: got nothing");
  });
});

describe("planStack", () => {
  it("fails on a profile that does not exist, naming the file it looked for", () => {
    expect(messageOf(() => planDev((config) => ({ ...config, profile: "no-such" })))).toBe(
      'Pulumi.dev.yaml: profile: got "no-such", expected the <id> of a file configs/llama-cpp-<id>.env; write configs/llama-cpp-no-such.env, or name one that there is',
    );
  });

  it("fails on an image that the profile names and images.yaml has not", () => {
    const read = (path: string) =>
      path === "configs/llama-cpp-dev.env" ? readProjectFile(path)?.replace("IMAGE=debian", "IMAGE=ubuntu") : readProjectFile(path);
    expect(messageOf(() => planStack("dev", parseStackConfig("dev", pulumiConfig("dev")), read))).toContain(
      'configs/llama-cpp-dev.env: IMAGE: got "ubuntu", expected',
    );
  });

  it("keeps the release when only gateway or gates change", () => {
    const changed = planDev((config) => ({
      ...config,
      gateway: { ...config.gateway, port: 9999 },
      gates: { ...config.gates, benchmark: { ...config.gates.benchmark, dryRun: true } },
    }));
    expect(changed.releaseId).toBe(planDev().releaseId);
  });

  it("is another release, but the same perplexity, with another memory limit", () => {
    const changed = planDev((config) => ({ ...config, device: { ...config.device, memoryMiB: 4096 } }));
    expect(changed.releaseId).not.toBe(planDev().releaseId);
    expect(changed.perplexity.key).toBe(planDev().perplexity.key);
  });

  it("measures perplexity again with another number of chunks", () => {
    const changed = planDev((config) => ({ ...config, gates: { ...config.gates, perplexity: { ...config.gates.perplexity, chunks: 4 } } }));
    expect(changed.perplexity.key).not.toBe(planDev().perplexity.key);
    expect(changed.releaseId).toBe(planDev().releaseId);
  });

  it("limits threads to the CPUs that the container gets", () => {
    const { servers } = planDev((config) => ({ ...config, device: { ...config.device, cpus: 1.5 } }));
    expect(servers[0]?.container).toMatchObject({ cpus: "1.5" });
    expect(servers[0]?.container.envs).toContain("LLAMA_ARG_THREADS=1");
  });

  it("names everything on the host after the stack", () => {
    const plan = planDev(undefined, "mine");
    const names = [
      plan.servers[0]?.containerName,
      plan.gateway.containerName,
      plan.gateway.edgeNetwork,
      plan.gateway.stateVolume,
      plan.volume.source,
      plan.serversNetwork.name,
      plan.evidence.volume,
    ];
    for (const name of names) expect(name).toMatch(/^llm-server-mine-/);
  });
});
