/** The rules of the policy pack on declared containers. That Pulumi asks them, and that the real stack passes, is shown in tests/integration/policy.test.ts. */
import type * as docker from "@pulumi/docker";
import { describe, expect, it } from "vitest";
import { refusalOf } from "../../../plan/config/refused-flags.ts";
import type { DeclaredContainer, DeclaredVolume } from "../../../plan/policy/container.ts";
import { openingVariables } from "../../../plan/policy/opening-flags.ts";
import { harmlessInputs } from "../../../plan/policy/privileges.ts";
import { rules, type DeclaredResource } from "../../../plan/policy/rules.ts";

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

const violationsOf = (resource: DeclaredResource): string[] =>
  rules.flatMap(({ name, check }) => check(resource).map((line) => `${name}: ${line}`));
const violations = (props: DeclaredContainer): string[] => violationsOf({ type: "docker:index/container:Container", props });

describe("the rules for containers", () => {
  it("find nothing in a container as the components make them", () => {
    expect(violations(good)).toEqual([]);
  });

  it.each<[string, DeclaredContainer, string[]]>([
    [
      "a port without an address",
      { ports: [{ internal: 80 }] },
      [
        "published-on-loopback: ports: got port 80 on every address, expected 127.0.0.1 or ::1: only port 8000 of a gateway with API key and TLS may listen elsewhere",
      ],
    ],
    [
      "a port on an address of the network",
      { ports: [{ internal: 80, ip: "192.0.2.7" }] },
      [
        "published-on-loopback: ports: got port 80 on 192.0.2.7, expected 127.0.0.1 or ::1: only port 8000 of a gateway with API key and TLS may listen elsewhere",
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
      ['published-on-loopback: networkMode: got "host", expected a network of the stack: what another one publishes is not judged'],
    ],
    [
      "another container's network",
      { networkMode: "container:other" },
      [
        'published-on-loopback: networkMode: got "container:other", expected a network of the stack: what another one publishes is not judged',
      ],
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
    ["every GPU", { gpus: "all" }, ['gpus-by-id: gpus: got "all", expected the ids that are meant, e.g. "device=0"']],
    [
      "every GPU as a device",
      { gpus: "device=all" },
      ['gpus-by-id: gpus: got "device=all", expected the ids that are meant, e.g. "device=0"'],
    ],
    [
      "every GPU beside one",
      { gpus: "device=0,count=-1" },
      ['gpus-by-id: gpus: got "device=0,count=-1", expected the ids that are meant, e.g. "device=0"'],
    ],
    [
      "every GPU by the variable of NVIDIA's runtime",
      { envs: ["NVIDIA_VISIBLE_DEVICES=all"] },
      ["gpus-by-id: envs: got NVIDIA_VISIBLE_DEVICES, expected it unset: GPUs are given by gpus"],
    ],
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
      "a folder in memory whose last option takes the first one back",
      { tmpfs: { "/tmp": "noexec,nosuid,exec" } },
      ['read-only-root: tmpfs: got "noexec,nosuid,exec" for /tmp, expected noexec: what is written there must not run'],
    ],
    ["swap on top of memory", { memorySwap: -1 }, ["bounded: memorySwap: got -1, expected as much as memory (2048): no swap on top"]],
    ["a log that grows", { logOpts: {} }, ["bounded: logOpts: got {}, expected max-size and max-file: a log without them fills the disk"]],
    ["no init", { init: false }, ["bounded: init: got false, expected true: it reaps what the server leaves"]],
    [
      "the engine's socket",
      { volumes: [{ hostPath: "/var/run/docker.sock", containerPath: "/var/run/docker.sock" }] },
      [
        "no-engine-socket: mounts: got /var/run/docker.sock at /var/run/docker.sock, expected no folder that the host is controlled by, and no socket",
      ],
    ],
    [
      "a path of the host in place of a volume's name",
      { volumes: [{ hostPath: "", volumeName: "/run", containerPath: "/host", readOnly: true }] },
      ["no-engine-socket: mounts: got /run at /host, expected no folder that the host is controlled by, and no socket"],
    ],
    [
      "all that another container mounts",
      { volumes: [{ fromContainer: "other" }] },
      ["no-engine-socket: volumes: got all that other mounts, expected each mount by itself: others can't be judged"],
    ],
    [
      "a volume that is made in passing",
      { mounts: [{ target: "/x", type: "volume", volumeOptions: { driverOptions: { type: "none", o: "bind", device: "/var/run" } } }] },
      ["no-engine-socket: mounts.volumeOptions.driverOptions: expected none: a volume with options is a resource of its own"],
    ],
    [
      "a volume of another driver, made in passing",
      { mounts: [{ target: "/x", type: "volume", volumeOptions: { driverName: "local-persist" } }] },
      [`no-engine-socket: mounts.volumeOptions: got driver "local-persist", expected local: what another mounts can't be seen`],
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

  it.each(["device=0", "device=0,1", '"device=0,1"', "device=GPU-1b2c-3d", "device=MIG-1b2c-3d", ""])("let GPUs by id: %j", (gpus) => {
    expect(violations({ ...good, gpus })).toEqual([]);
  });

  it.each([
    [],
    ["no-new-privileges:true", "no-new-privileges:false"],
    ["no-new-privileges:true", 'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}'],
    ["no-new-privileges:true", "seccomp=unconfined"],
    ["no-new-privileges:true", "apparmor=mine"],
    ["no-new-privileges:true", "label=disable"],
  ])("let no security option beside the one: %j %j", (...securityOpts) => {
    expect(violations({ ...good, securityOpts })).toEqual([
      `no-privileges: securityOpts: got ${JSON.stringify(securityOpts)}, expected ["no-new-privileges:true"] and the default profiles`,
    ]);
  });

  it.each<[keyof docker.ContainerArgs | "ofALaterProvider", unknown]>([
    ["cgroupParent", "/"],
    ["cgroupnsMode", "host"],
    ["deviceCgroupRules", ["c 1:1 rwm"]],
    ["deviceRequests", [{ driver: "nvidia", count: -1 }]],
    ["devices", [{ hostPath: "/dev/kvm" }]],
    ["groupAdds", ["docker"]],
    ["ipcMode", "host"],
    ["pidMode", "host"],
    ["runtime", "nvidia"],
    ["sysctls", { "net.ipv4.ip_forward": "1" }],
    ["uploads", [{ file: "/x", content: "hush" }]],
    ["usernsMode", "host"],
    ["ofALaterProvider", true],
  ])("let no input that is not known to be harmless: %s", (input, value) => {
    expect(violations({ ...good, [input]: value })).toEqual([
      `no-privileges: ${input}: expected it unset: not among the inputs that are known to give a container nothing of the host`,
    ]);
  });

  it("let inputs be that the provider has and writes empty, and its marks of what it filled in", () => {
    const names: readonly (keyof docker.ContainerArgs)[] = harmlessInputs;
    const given = Object.fromEntries(names.map((name) => [name, "something"]));
    const empty = { runtime: "", devices: [], sysctls: {}, pidMode: undefined, __defaults: ["attach"] };
    expect(violations({ ...good, ...given, ...empty })).toEqual([]);
  });

  const sites = "GATEWAY_SITES=https://:8000, https://llm.example.org:8000";
  it.each([
    [8000, ["GATEWAY_ACCESS=key", "GATEWAY_TLS=internal", sites], 0],
    [8000, ["GATEWAY_ACCESS=key", "GATEWAY_TLS=files", "GATEWAY_SITES=https://:8000"], 0],
    [8000, ["GATEWAY_ACCESS=key", sites], 1],
    [8000, ["GATEWAY_TLS=internal", sites], 1],
    [8000, ["GATEWAY_ACCESS=open", "GATEWAY_TLS=internal", sites], 1],
    [8000, ["GATEWAY_ACCESS=key", "GATEWAY_TLS=none", sites], 1],
    [8000, ["GATEWAY_ACCESS=key", "GATEWAY_ACCESS=open", "GATEWAY_TLS=internal", sites], 1],
    [8000, ["GATEWAY_ACCESS=key", "GATEWAY_TLS=internal"], 1],
    [8000, ["GATEWAY_ACCESS=key", "GATEWAY_TLS=internal", `${sites}, http://:8000`], 1],
    [8080, ["GATEWAY_ACCESS=key", "GATEWAY_TLS=internal", sites], 1],
  ])("let a gateway listen on every address only on its port, with key and TLS on every site: %i %j", (internal, envs, refusals) => {
    expect(violations({ ...good, ports: [{ internal, ip: "0.0.0.0" }], envs })).toHaveLength(refusals);
  });

  const models = "models-read-only: mounts: got";
  it.each<[string, DeclaredContainer, string[]]>([
    ["a slash at the end", { mounts: [{ target: "/models/" }] }, ["/models/"]],
    ["a folder below", { mounts: [{ target: "/models/drafts" }] }, ["/models/drafts"]],
    ["a variable", { mounts: [{ target: "/data/" }], envs: ["LLAMA_ARG_MMPROJ=/data/a"] }, ["/data/"]],
    ["a flag", { mounts: [{ target: "/data" }], command: ["-m", "/data/blob"] }, ["/data"]],
    ["a flag with its value", { mounts: [{ target: "/data" }], command: ["--model=/data/blob"] }, ["/data"]],
    ["a shell's line", { mounts: [{ target: "/data" }], command: ["sh", "-c", "llama-server --model '/data/blob'"] }, ["/data"]],
    ["the working folder", { mounts: [{ target: "/data" }], workingDir: "/data", command: ["--lora", "a"] }, ["/data"]],
    ["the name of the file", { mounts: [{ target: "/data" }], envs: ["MINE=/data/a.gguf"] }, ["/data"]],
    [
      "the same volume twice",
      {
        mounts: [
          { source: "m", target: "/models", readOnly: true },
          { source: "m", target: "/rw" },
        ],
      },
      ["/rw"],
    ],
    [
      "a folder of the same folder",
      {
        mounts: [{ type: "bind", source: "/srv/models/", target: "/models", readOnly: true }],
        volumes: [{ hostPath: "/srv/models/a", containerPath: "/rw" }],
      },
      ["/rw"],
    ],
    ["what holds no model", { mounts: [{ target: "/state" }], command: ["--model", "/models/a.gguf"] }, []],
  ])("know models that can be written by %s", (_what, change, targets) => {
    expect(violations({ ...good, ...change })).toEqual(
      targets.map((target) => `${models} ${target} writable, expected readOnly: true: a file replaced under a server changes its answers`),
    );
  });

  it.each<[string, DeclaredContainer]>([
    ["as words", { command: ["llama-server", "--props"] }],
    ["in a shell's line", { command: ["sh", "-c", "llama-server '--props'"] }],
    ["as a shell's variable", { entrypoints: ["sh", "-c", "LLAMA_ARG_ENDPOINT_PROPS=1 exec llama-server"] }],
    ["through env", { command: ["env", "LLAMA_ARG_ENDPOINT_PROPS=1", "llama-server"] }],
  ])("find an opening flag %s", (_how, change) => {
    expect(violations({ ...good, ...change }).map((line) => line.replace(/: \S+: expected it unset: /, ": "))).toEqual([
      "no-opening-flags: no --props: any caller could change the server's settings",
    ]);
  });

  it("find a flag that is written with underscores, and none in what only looks like one", () => {
    expect(violations({ ...good, command: ["--slot_save_path", "/tmp"] })).toEqual([
      "no-opening-flags: --slot-save-path: expected it unset: no paths that callers can read or write through the server",
    ]);
    expect(violations({ ...good, command: ["--no-props-x", "a--props", "--paths"] })).toEqual([]);
  });

  it("read nothing that they do not decide on, so that one unknown value makes one rule wait", () => {
    const unknown = {
      get image(): string {
        throw new Error("unknown");
      },
    };
    const resource = {
      type: "docker:index/container:Container",
      props: Object.defineProperties({ ...good }, Object.getOwnPropertyDescriptors(unknown)),
    };
    const waiting = rules.filter(({ check }) => {
      try {
        return check(resource).length > 0;
      } catch {
        return true;
      }
    });
    expect(waiting.map(({ name }) => name)).toEqual(["image-pinned"]);
  });

  it("refuse no flag that profiles may set", () => {
    for (const env of openingVariables) expect(refusalOf(env), env).toBeDefined();
  });
});

describe("the rules for other resources of Docker", () => {
  const volume = (props: DeclaredVolume): string[] => violationsOf({ type: "docker:index/volume:Volume", props });

  it.each<[DeclaredVolume, string[]]>([
    [
      { driverOpts: { type: "none", o: "bind", device: "/var/run" } },
      ['got device "/var/run", expected no folder that the host is controlled by'],
    ],
    [{ driverOpts: { type: "nfs", o: "bind", device: "/run" } }, ['got device "/run", expected no folder that the host is controlled by']],
    [
      { driverOpts: { type: "none", o: "bind", device: "var/run" } },
      ['got device "var/run", expected no folder that the host is controlled by'],
    ],
    [
      { driverOpts: { type: "overlay", o: "lowerdir=/run", device: "overlay" } },
      ['got type "overlay", expected one of none, bind, nfs, nfs4, cifs, tmpfs'],
    ],
    [
      { driverOpts: { type: "ext4", device: "/dev/sda1" } },
      [
        'got type "ext4", expected one of none, bind, nfs, nfs4, cifs, tmpfs',
        'got device "/dev/sda1", expected no folder that the host is controlled by',
      ],
    ],
    [{ driver: "local-persist" }, ['got driver "local-persist", expected local: what another mounts can\'t be seen']],
  ])("name what a volume shows of the host: %j", (props, expected) => {
    expect(volume(props)).toEqual(expected.map((line) => `no-engine-socket: driverOpts: ${line}`));
  });

  it.each<[DeclaredVolume]>([
    [{}],
    [{ driver: "local" }],
    [{ driverOpts: { type: "none", o: "bind", device: "/srv/models" } }],
    [{ driverOpts: { type: "nfs", o: "addr=192.0.2.7,ro", device: ":/models" } }],
    [{ driverOpts: { type: "cifs", o: "ro", device: "//192.0.2.7/models" } }],
    [{ driverOpts: { type: "tmpfs", device: "tmpfs" } }],
  ])("let a volume be: %j", (props) => {
    expect(volume(props)).toEqual([]);
  });

  it("let no network whose containers are reached without a published port", () => {
    const network = (driver?: string) => violationsOf({ type: "docker:index/network:Network", props: { driver } });
    expect([network(), network("bridge")]).toEqual([[], []]);
    expect(network("macvlan")).toEqual([
      'published-on-loopback: driver: got "macvlan", expected bridge: others give containers addresses that other machines reach',
    ]);
  });

  it.each(["service:Service", "plugin:Plugin", "buildxBuilder:BuildxBuilder", "ofALaterProvider:OfALaterProvider"])("let no %s", (name) => {
    const type = `docker:index/${name}`;
    expect(violationsOf({ type, props: {} })).toEqual([
      `containers-only: type: got ${type}, expected one of Container, Image, Network, RegistryImage, RemoteImage, Tag, Volume: what runs is a container, which the other rules judge`,
    ]);
  });

  it.each([
    ...["image:Image", "registryImage:RegistryImage", "remoteImage:RemoteImage", "tag:Tag"].map((name) => `docker:index/${name}`),
    ...["pulumi:providers:docker", "command:local:Command", "llm-server:serving:Gateway"],
  ])("judge no %s", (type) => {
    expect(violationsOf({ type, props: {} })).toEqual([]);
  });
});
