/** The committed dev stack as a plan, and what each change of its configuration changes. What resources it becomes: tests/components. */
import { describe, expect, it } from "vitest";
import { ConfigError } from "../../plan/config/errors.ts";
import { parseStackConfig, requireSecretKeys, withheldKeys } from "../../plan/config/stack-config.ts";
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
    const wrong = { ...pulumiConfig("dev"), "llm-server:profil": "dev", "llm-server:gateway": '{"bind":"everywhere","port":"http"}' };
    expect(messageOf(() => parseStackConfig("dev", wrong)).split("\n")).toEqual([
      'Pulumi.dev.yaml: gateway.bind: got "everywhere", expected an IP address of the Docker host, e.g. 127.0.0.1; write an allowed value',
      'Pulumi.dev.yaml: gateway.port: got "http", expected a number; write an allowed value',
      "Pulumi.dev.yaml: profil: got an unknown key, expected keys profile, images, gateway, apiKeys, models, device, rollout, gates, accept; did you mean profile? else remove it",
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

  const key = "0123456789abcdef".repeat(2);
  const tls = { mode: "internal", names: ["llm.example.org"] };
  const withAccess = (gateway: object, apiKeys?: unknown) => ({
    ...pulumiConfig("dev"),
    "llm-server:gateway": JSON.stringify(gateway),
    ...(apiKeys === undefined ? {} : { "llm-server:apiKeys": JSON.stringify(apiKeys) }),
  });

  it.each([
    ["an address of the network", { bind: "192.0.2.7" }, undefined, ["llm-server:apiKeys", "llm-server:gateway.tls"]],
    ["every address", { bind: "0.0.0.0" }, undefined, ["llm-server:apiKeys", "llm-server:gateway.tls"]],
    ["every address in IPv6, with a key", { bind: "::" }, [key], ["llm-server:gateway.tls"]],
    ["every address, with TLS", { bind: "0.0.0.0", tls }, undefined, ["llm-server:apiKeys"]],
  ])("fails on %s: what is missing and how to add it", (_what, gateway, apiKeys, missing) => {
    const message = messageOf(() => parseStackConfig("dev", withAccess(gateway, apiKeys)));
    expect(message).toContain(
      `Pulumi.dev.yaml: gateway.bind: got "${gateway.bind}", expected 127.0.0.1 or ::1 without API key and TLS: others than this host's users reach it; set `,
    );
    expect(["llm-server:apiKeys", "llm-server:gateway.tls"].filter((part) => message.includes(`${part}:`))).toEqual(missing);
  });

  it("takes any address with key and TLS, and key or TLS alone on loopback", () => {
    for (const bind of ["0.0.0.0", "192.0.2.7", "::"])
      expect(parseStackConfig("dev", withAccess({ bind, tls }, [key])).gateway.bind).toBe(bind);
    expect(parseStackConfig("dev", withAccess({}, [key])).apiKeys).toEqual([key]);
    expect(parseStackConfig("dev", withAccess({ tls })).gateway.tls).toEqual(tls);
  });

  it("takes origins of web pages without keys, and fails on them beside keys, which pages need then", () => {
    const origins = ["https://chat.example.org"];
    expect(parseStackConfig("dev", withAccess({ origins })).gateway.origins).toEqual(origins);
    expect(messageOf(() => parseStackConfig("dev", withAccess({ origins }, [key])))).toBe(
      "Pulumi.dev.yaml: gateway.origins: got a list of 1, expected no origins with llm-server:apiKeys: a page needs a key then, wherever it comes from; remove them",
    );
    expect(messageOf(() => parseStackConfig("dev", withAccess({ origins: ["chat.example.org"] })))).toBe(
      'Pulumi.dev.yaml: gateway.origins.0: got "chat.example.org", expected an origin as browsers write it: lower case, no path, no port where it is the scheme\'s own, e.g. https://chat.example.org; write an allowed value',
    );
  });

  it("refuses an address beside whatever else is wrong", () => {
    const message = messageOf(() => parseStackConfig("dev", { ...withAccess({ bind: "0.0.0.0" }), "llm-server:profile": "No" }));
    expect(message.split("\n").map((line) => line.split(": ")[1])).toEqual(["profile", "gateway.bind"]);
  });

  it.each([[["canary canary"]], ["canarycanarycanarycanarycanarycanary"], [["canarycanarycanarycanarycanarycanary", "canary"]], [[]]])(
    "fails on keys that are none, and shows none: %j",
    (apiKeys) => {
      const message = messageOf(() => parseStackConfig("dev", withAccess({}, apiKeys)));
      expect(message).toContain("apiKeys");
      expect(message).not.toContain("canary");
    },
  );

  it("fails on keys in plain text, and takes those that Pulumi withheld", () => {
    const config = parseStackConfig("dev", withAccess({}, [key]));
    expect(messageOf(() => requireSecretKeys("dev", config, () => false, undefined))).toMatch(
      /^Pulumi\.dev\.yaml: apiKeys: got plain text \(not shown\), expected secrets; /,
    );
    requireSecretKeys("dev", config, (asked) => asked === "llm-server:apiKeys", undefined);
    expect(parseStackConfig("dev", { ...pulumiConfig("dev"), "llm-server:apiKeys": withheldKeys }).apiKeys).toHaveLength(1);
  });

  it("fails on a key in plain text beside one that is a secret, which makes Pulumi call all of them secret", () => {
    const config = parseStackConfig("dev", withAccess({}, [key, key]));
    const file = (...keys: string[]): string => `config:\n  llm-server:apiKeys:\n${keys.map((each) => `    - ${each}\n`).join("")}`;
    const check = (stackFile: string): void => requireSecretKeys("dev", config, () => true, stackFile);
    expect(messageOf(() => check(file("secure: v1:abc", key)))).toBe(
      "Pulumi.dev.yaml: apiKeys.1: got plain text (not shown), expected a secret; make another one, because this one was readable: openssl rand -hex 32 | pulumi config set --secret --path 'llm-server:apiKeys[1]'",
    );
    check(file("secure: v1:abc", "secure: v1:def"));
    check("config:\n  llm-server:apiKeys:\n    secure: v1:abc\n"); // the whole list as one secret
    check("config:\n  llm-server:profile: dev\n"); // the keys come from another file
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

  it("fails on a stack whose servers' names would be no host names: the gateway would never find them", () => {
    const config = parseStackConfig("dev", pulumiConfig("dev"));
    const named = (length: number, replicas = 1) =>
      planStack("s".repeat(length), { ...config, rollout: { ...config.rollout, replicas } }, readProjectFile).servers.map(
        ({ containerName }) => containerName.length,
      );
    expect([named(34), named(32, 2)]).toEqual([[63], [61, 63]]);
    expect(messageOf(() => named(35))).toMatch(
      /^Pulumi\.s{35}\.yaml: got a stack name of 35 characters, expected at most 34 characters: a server's host name holds it and has at most 63; name it shorter: pulumi stack rename NAME -s s{35}, and its file with it$/,
    );
    expect(messageOf(() => named(33, 2))).toContain("expected at most 32 characters");
  });

  it("keeps the release when only gateway or gates change", () => {
    const changed = planDev((config) => ({
      ...config,
      gateway: { ...config.gateway, port: 9999 },
      gates: { ...config.gates, benchmark: { ...config.gates.benchmark, dryRun: true } },
    }));
    expect(changed.releaseId).toBe(planDev().releaseId);
  });

  it("keeps the release and the gateway's container when keys change, and holds no key", () => {
    const withKeys = (apiKeys: string[]) => planDev((config) => ({ ...config, apiKeys }));
    const [one, two] = [withKeys(["canary".repeat(8)]), withKeys(["canary".repeat(9), "canary".repeat(10)])];
    expect(one).toEqual(two);
    expect(one.releaseId).toBe(planDev().releaseId);
    expect(JSON.stringify(one)).not.toContain("canary");
  });

  it("is another release, but the same perplexity, with another memory limit", () => {
    const changed = planDev((config) => ({ ...config, device: { ...config.device, memoryMiB: 4096 } }));
    expect(changed.releaseId).not.toBe(planDev().releaseId);
    expect(changed.perplexity.key).toBe(planDev().perplexity.key);
  });

  it("measures another image of the same inputs for a new release only, because one that took traffic goes on with the one it has", () => {
    const plan = planDev();
    const { releaseId, profile, servers } = plan;
    const record = { version: 1 as const, profile, servers: [...servers], imageId: "sha256:old", models: "m", perplexityKey: "k" };
    const config = parseStackConfig("dev", pulumiConfig("dev"));
    expect(plan.perplexity.measuresNewImage).toBe(true);
    const planAfter = (id: string) => planStack("dev", config, readProjectFile, [{ ...record, hasAnswers: true, releaseId: id }]);
    expect(planAfter("0123456789").perplexity.measuresNewImage).toBe(true);
    expect(planAfter(releaseId).perplexity.measuresNewImage).toBe(false);
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
