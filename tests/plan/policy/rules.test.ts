/** The rules of the policy pack on declared containers. That Pulumi asks them, and that the real stack passes, is shown in tests/integration/policy.test.ts. */
import { describe, expect, it } from "vitest";
import { refusalOf } from "../../../plan/config/refused-flags.ts";
import type { DeclaredContainer } from "../../../plan/policy/container.ts";
import { openingVariables } from "../../../plan/policy/opening-flags.ts";
import { containerRules } from "../../../plan/policy/rules.ts";

/** A container as the rules want it. */
const good: DeclaredContainer = {
  image: `sha256:${"a".repeat(64)}`,
  user: "10001:10001",
  readOnly: true,
  init: true,
  tmpfs: { "/tmp": "rw,noexec,nosuid,nodev,size=64m,mode=1777" },
  capabilities: { drops: ["ALL"] },
  securityOpts: ["no-new-privileges:true"],
  memory: 2048,
  memorySwap: 2048,
  logDriver: "json-file",
  logOpts: { "max-size": "10m", "max-file": "5" },
  ports: [{ internal: 8000, external: 8080, ip: "127.0.0.1" }],
  mounts: [{ type: "volume", source: "models", target: "/models", readOnly: true }],
  envs: ["LLAMA_ARG_MODEL=/models/a/b.gguf", "LLAMA_ARG_CTX_SIZE=4096"],
};

const violations = (container: DeclaredContainer): string[] =>
  containerRules.flatMap(({ name, check }) => check(container).map((line) => `${name}: ${line}`));

describe("the rules for containers", () => {
  it("find nothing in a container as the components make them", () => {
    expect(violations(good)).toEqual([]);
  });

  it.each<[string, DeclaredContainer, string[]]>([
    [
      "a port without an address",
      { ports: [{ internal: 80 }] },
      [
        "published-on-loopback: ports: got port 80 on every address, expected 127.0.0.1 or ::1: only a gateway with API key and TLS may listen elsewhere",
      ],
    ],
    [
      "a port on an address of the network",
      { ports: [{ internal: 80, ip: "192.0.2.7" }] },
      [
        "published-on-loopback: ports: got port 80 on 192.0.2.7, expected 127.0.0.1 or ::1: only a gateway with API key and TLS may listen elsewhere",
      ],
    ],
    [
      "every port published",
      { publishAllPorts: true },
      ["published-on-loopback: publishAllPorts: got true, expected the ports that are meant, on 127.0.0.1 or ::1"],
    ],
    [
      "the host's network",
      { networkMode: "host" },
      [`published-on-loopback: networkMode: got "host", expected a network of the stack: the host's own publishes every port`],
    ],
    [
      "an image by tag",
      { image: "llm-server/llama-cpp:latest" },
      ['image-pinned: image: got "llm-server/llama-cpp:latest", expected an image id (sha256:…) or a digest (name@sha256:…): a tag moves'],
    ],
    ["root", { user: "0" }, ['no-privileges: user: got "0", expected "10001:10001"']],
    ["a privileged container", { privileged: true }, ["no-privileges: privileged: got true, expected false"]],
    [
      "kept and added capabilities",
      { capabilities: { adds: ["SYS_ADMIN"] } },
      ['no-privileges: capabilities.drops: got [], expected ["ALL"]', 'no-privileges: capabilities.adds: got ["SYS_ADMIN"], expected none'],
    ],
    [
      "a profile switched off",
      { securityOpts: ["seccomp=unconfined"] },
      [
        'no-privileges: securityOpts: got ["seccomp=unconfined"], expected "no-new-privileges:true" among them',
        'no-privileges: securityOpts: got "seccomp=unconfined", expected the default profile',
      ],
    ],
    ["every GPU", { gpus: "all" }, ['no-privileges: gpus: got "all", expected the ids that are meant, e.g. "device=0"']],
    ["the host's processes", { pidMode: "host" }, [`no-privileges: pidMode, ipcMode: got "host", expected the container's own`]],
    [
      "a writable root",
      { readOnly: false },
      ["read-only-root: readOnly: got false, expected true; give what must be written a tmpfs or a volume"],
    ],
    [
      "a folder in memory that programs run from",
      { tmpfs: { "/tmp": "rw,nosuid,size=64m" } },
      ['read-only-root: tmpfs: got "rw,nosuid,size=64m" for /tmp, expected noexec: what is written there must not run'],
    ],
    [
      "a device of the host",
      { devices: [{ hostPath: "/dev/kvm" }] },
      ['no-privileges: devices: got "/dev/kvm", expected none: GPUs are given by gpus'],
    ],
    ["swap on top of memory", { memorySwap: -1 }, ["bounded: memorySwap: got -1, expected as much as memory (2048): no swap on top"]],
    ["a log that grows", { logOpts: {} }, ["bounded: logOpts: got {}, expected max-size and max-file: a log without them fills the disk"]],
    ["no init", { init: false }, ["bounded: init: got false, expected true: it reaps what the server leaves"]],
    [
      "the engine's socket",
      { volumes: [{ hostPath: "/var/run/docker.sock", containerPath: "/var/run/docker.sock" }] },
      [
        "no-engine-socket: mounts: got /var/run/docker.sock at /var/run/docker.sock, expected no engine socket and no folder that holds one",
      ],
    ],
    [
      "the folder of the engine's socket",
      { mounts: [{ type: "bind", source: "/run/", target: "/host", readOnly: true }] },
      ["no-engine-socket: mounts: got /run/ at /host, expected no engine socket and no folder that holds one"],
    ],
    [
      "models elsewhere, writable",
      { mounts: [{ target: "/data" }], envs: ["LLAMA_ARG_MODEL=/data/a.gguf"] },
      ["models-read-only: mounts: got /data writable, expected readOnly: true: a file replaced under a server changes its answers"],
    ],
    [
      "a flag that callers could write through",
      { envs: ["LLAMA_ARG_SLOT_SAVE_PATH=/tmp"] },
      ["no-opening-flags: LLAMA_ARG_SLOT_SAVE_PATH: expected it unset: no paths that callers can read or write through the server"],
    ],
    [
      "a key on the command line, without showing it",
      { command: ["--api-key=hush", "--ctx-size", "4096"] },
      ["no-opening-flags: --api-key: expected it unset: no key in a profile: the gateway checks keys"],
    ],
  ])("name %s", (_what, change, expected) => {
    expect(violations({ ...good, ...change })).toEqual(expected);
  });

  it("want every line of the hardening, not the absence of the opposite", () => {
    const broken = new Set(violations({}).map((line) => line.split(":", 1)[0]));
    expect([...broken]).toEqual(["image-pinned", "no-privileges", "read-only-root", "bounded"]);
  });

  it("let a volume that holds no models be written, and a driver that rotates by itself be used", () => {
    expect(
      violations({ ...good, mounts: [{ type: "volume", source: "state", target: "/state" }], logDriver: "local", logOpts: {} }),
    ).toEqual([]);
  });

  it.each([
    [["GATEWAY_ACCESS=key", "GATEWAY_TLS=internal"], 0],
    [["GATEWAY_ACCESS=key", "GATEWAY_TLS=files"], 0],
    [["GATEWAY_ACCESS=key"], 1],
    [["GATEWAY_TLS=internal"], 1],
    [["GATEWAY_ACCESS=open", "GATEWAY_TLS=internal"], 1],
    [["GATEWAY_ACCESS=key", "GATEWAY_TLS=none"], 1],
  ])("let a gateway listen on every address only with key and TLS: %j", (envs, refusals) => {
    expect(violations({ ...good, ports: [{ internal: 8000, ip: "0.0.0.0" }], envs })).toHaveLength(refusals);
  });

  it("refuse no flag that profiles may set", () => {
    for (const env of openingVariables) expect(refusalOf(env), env).toBeDefined();
  });
});
