/**
 * The hardening of docs/security.md on one deployed stack: each line as Docker records it and as it is from inside the container; then requests that no
 * honest client sends, after which the same server must still answer. Cannot prove: what a kernel exploit can do, GPUs (none here), that the engine's
 * parsers hold against more than the requests tried.
 */
import { setTimeout as sleep } from "node:timers/promises";
import Docker from "dockerode";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { gatewayOpenFiles, holdScript } from "../../plan/gateway.ts";
import { networkName, serverName } from "../../plan/names.ts";
import { openingVariables } from "../../plan/policy/opening-flags.ts";
import { pidsLimit, serverPidsLimit } from "../../plan/server-container.ts";
import { execIn } from "../../scripts/docker/exec.ts";
import { projectDir } from "../../scripts/paths.ts";
import { hiddenTargets, hostileBytes, hostileRequest } from "../fuzz/requests.ts";
import { beginLargeRequests, getTarget, sendBytes, sendLargeRequest, sendRequest } from "../fuzz/send.ts";
import { chat } from "../support/load.ts";
import { prepareModels } from "../support/models.ts";
import { providerSets, type ProviderSet } from "../support/provider-sets.ts";
import { StackProject } from "../support/stack-project.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";

const sets = await providerSets();
const set = sets.find(({ name }) => name === "official") ?? sets[0];
const docker = new Docker();
const mib = 2 ** 20;
/** Where pages come from that the stack lists beside this host's own. */
const pages = "https://chat.example:8443";

describe.skipIf(set === undefined)("a deployed stack", () => {
  let project: StackProject;
  let server: Docker.Container;
  let gateway: Docker.Container;
  let output: string;
  beforeAll(async () => {
    await buildTestImage();
    await prepareModels(testImage);
    project = await StackProject.create(set as ProviderSet, { fast: true });
    await project.changeConfig(({ gateway, ...config }) => ({ ...config, gateway: { ...(gateway as object), origins: [pages] } }));
    const pack = set?.name === "official" ? ["--policy-pack", `${projectDir}policy`] : [];
    const run = await project.up(...pack);
    if (run.exitCode !== 0) throw new Error(run.output);
    output = run.output;
    server = docker.getContainer(serverName(project.stack, await project.activeRelease()));
    gateway = docker.getContainer(`llm-server-${project.stack}-gateway`);
  });
  afterAll(async () => {
    await project[Symbol.asyncDispose]();
  });

  const sh = async (container: Docker.Container, script: string): Promise<string> => {
    const { stdout, stderr } = await execIn(container, ["sh", "-c", script]);
    return `${stdout.toString("utf8")}${stderr}`.trim();
  };
  const both = (): [string, Docker.Container, number, number][] => [
    ["server", server, 2048, serverPidsLimit],
    ["gateway", gateway, 768, pidsLimit],
  ];

  it.skipIf(set?.name !== "official")("passes the policy pack with every value known", () => {
    expect(output).toContain("✅ llm-server@v0.1.0");
  });

  it("has containers that Docker holds to every line of the hardening", async () => {
    for (const [name, container, memoryMiB, processes] of both()) {
      const { HostConfig, Config, Image, Mounts } = await container.inspect();
      expect({ name, ...HostConfig }).toMatchObject({
        name,
        ReadonlyRootfs: true,
        CapDrop: ["ALL"],
        CapAdd: null,
        SecurityOpt: ["no-new-privileges:true"],
        Privileged: false,
        Init: true,
        Memory: memoryMiB * mib,
        MemorySwap: memoryMiB * mib,
        LogConfig: { Type: "json-file", Config: { "max-size": "10m", "max-file": "5" } },
        Tmpfs: { "/tmp": expect.stringContaining("noexec") as string },
        PidsLimit: processes,
        PidMode: "",
        IpcMode: "private",
        Devices: null,
        DeviceRequests: null,
      });
      expect(Config.User).toBe("10001:10001");
      expect(Image).toMatch(/^sha256:[0-9a-f]{64}$/);
      expect(Config.Image).toBe(Image);
      expect(Mounts.filter(({ Source }) => Source.endsWith(".sock"))).toEqual([]);
    }
    const { Config, Mounts } = await server.inspect();
    expect(Config).toMatchObject({ StopTimeout: 30 });
    expect(Mounts.map(({ Destination, RW }) => ({ Destination, RW }))).toEqual([{ Destination: "/models", RW: false }]);
  });

  it("has containers whose processes can do nothing but their work, seen from inside", async () => {
    for (const [name, container] of both()) {
      const status = await sh(container, "cat /proc/1/status");
      for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) expect(status, name).toMatch(new RegExp(`${set}:\\t0{16}`));
      expect(status, name).toMatch(/NoNewPrivs:\t1/);
      expect(status, name).toMatch(/Seccomp:\t2/);
      expect(status, name).toMatch(/Uid:\t10001\t10001\t10001\t10001/);
      expect(await sh(container, "touch /written"), name).toMatch(/Read-only file system/);
      expect(await sh(container, "cp /bin/true /tmp/tool && /tmp/tool"), name).toMatch(/Permission denied/);
      expect(await sh(container, "cat /proc/1/comm"), name).toBe("docker-init");
      expect(await sh(container, "grep ' /tmp ' /proc/mounts"), name).toMatch(/^tmpfs \/tmp tmpfs rw,nosuid,nodev,noexec,.*size=65536k/);
      expect(await sh(container, "find / -name '*.sock' -not -path '/proc/*' 2>&-"), name).toBe("");
    }
    expect(await sh(server, "touch /models/written")).toMatch(/Read-only file system/);
    expect(await sh(server, "mount -o remount,rw /models")).toMatch(/permission denied|must be superuser/i);
  });

  it("has limits that the kernel keeps", async () => {
    const first = "cat $(ls /sys/fs/cgroup/$0 /sys/fs/cgroup/$1 2>&- | head -1)"; // cgroup v2, else v1
    const limit = (container: Docker.Container, v2: string, v1: string) => sh(container, first.replace("$0", v2).replace("$1", v1));
    for (const [, container, memoryMiB, processes] of both()) {
      expect(await limit(container, "pids.max", "pids/pids.max")).toBe(String(processes));
      expect(await limit(container, "memory.max", "memory/memory.limit_in_bytes")).toBe(String(memoryMiB * mib));
      // no swap: version 1 counts it together with memory, version 2 apart
      expect(["0", String(memoryMiB * mib)]).toContain(await limit(container, "memory.swap.max", "memory/memory.memsw.limit_in_bytes"));
    }
  });

  it("lets the gateway have so many connections that their requests fit its memory", async () => {
    expect((await gateway.inspect()).HostConfig.Ulimits).toEqual([{ Name: "nofile", Soft: gatewayOpenFiles, Hard: gatewayOpenFiles }]);
    const running = await sh(gateway, "cat /proc/$(pidof caddy)/limits");
    expect(running).toMatch(new RegExp(`Max open files +${gatewayOpenFiles} +${gatewayOpenFiles} `));
  });

  it("publishes the gateway on loopback and nothing else", async () => {
    const published = async (container: Docker.Container) => (await container.inspect()).NetworkSettings.Ports;
    expect(await published(gateway)).toEqual({ "8000/tcp": [{ HostIp: "127.0.0.1", HostPort: String(project.port) }] });
    expect(await published(server)).toEqual({});
  });

  it("lets the server reach the gateway's side of its own network and no other", async () => {
    const { Networks } = (await gateway.inspect()).NetworkSettings;
    const reach = (address: string | undefined) => sh(server, `timeout 3 bash -c 'exec 3<>/dev/tcp/${address ?? ""}/8000' && echo reached`);
    expect(await reach(Networks[networkName(project.stack, "servers")]?.IPAddress)).toBe("reached");
    // another network of the same host: what leaves an internal network is dropped, whatever its routes say
    expect(await reach(Networks[networkName(project.stack, "edge")]?.IPAddress)).toBe("");
    expect(Object.keys((await server.inspect()).NetworkSettings.Networks)).toEqual([networkName(project.stack, "servers")]);
  });

  it("starts no flag that opens the server, on its command line or in its environment", async () => {
    const commandLine = await sh(server, "tr '\\0' ' ' < /proc/1/cmdline");
    expect(commandLine).toMatch(/llama-server$/);
    const names = (await sh(server, "tr '\\0' '\\n' < /proc/1/environ")).split("\n").map((line) => line.split("=", 1)[0]);
    expect(names.filter((name) => openingVariables.includes(name ?? ""))).toEqual([]);
  });

  it.each([
    ["POST", "/props", 501],
    ["GET", "/slots", 404],
    ["GET", "/metrics", 404],
    ["POST", "/lora-adapters", 404],
    ["POST", "/slots/0?action=save", 404],
    ["POST", "/slots/0?action=restore", 404],
    ["GET", "/tools", 403],
    ["POST", "/tools", 403],
    ["POST", "/models/load", 404],
    ["GET", "/cors-proxy", 403],
  ])("answers %s %s, which is off, with %i", async (method, path, status) => {
    const init = method === "GET" ? { method } : { method, body: "{}", headers: { "content-type": "application/json" } };
    expect((await fetch(`${project.endpoint}${path}`, init)).status).toBe(status);
  });

  it.each(["slots", "metrics", "lora-adapters"])("keeps /%s to itself, however its path is written", async (name) => {
    const statuses = await Promise.all(hiddenTargets(name).map(async (target) => [target, await getTarget(project.port, target)] as const));
    expect(statuses.filter(([, status]) => ![400, 404].includes(status))).toEqual([]);
  });

  it.each([
    ["no page", {}, 200, undefined],
    ["a page of this host", { origin: "http://localhost:3000" }, 200, undefined],
    ["a page of this host, by its address", { origin: "https://[::1]" }, 200, undefined],
    ["a page of the stack's own", { host: "llm.localhost:8080", origin: "http://llm.localhost:8080" }, 200, undefined],
    ["a page that the stack lists", { origin: pages }, 200, undefined],
    ["the name of a proxy that the stack lists", { host: "chat.example", origin: "https://chat.example" }, 200, undefined],
    ["an address of IPv6", { host: "[::1]:8080" }, 200, undefined],
    ["a page that somebody opened", { origin: "https://evil.example" }, 403, "origin_not_allowed"],
    ["a page that names no origin", { origin: "null" }, 403, "origin_not_allowed"],
    ["a page whose name begins like this host's", { origin: "https://localhost.evil.example" }, 403, "origin_not_allowed"],
    ["a page whose name ends like a listed one's", { origin: "https://evilchat.example:8443" }, 403, "origin_not_allowed"],
    ["a name that was pointed here", { host: "evil.example", origin: "http://evil.example" }, 403, "host_not_allowed"],
    ["a name that looks like an address", { host: "127.0.0.1.evil.example" }, 403, "host_not_allowed"],
  ])("answers %s, %j, with %i", async (_what, headers: Record<string, string>, status, code) => {
    const body = new TextEncoder().encode(JSON.stringify({ prompt: "hi", n_predict: 1 }));
    const simple = { "content-type": "text/plain", ...headers }; // what a browser sends without asking first
    const answer = await sendRequest(project.port, { method: "POST", path: "/completion", headers: simple, body });
    expect(answer.status).toBe(status);
    // the server's own words for pages, and none for those that may not
    if (headers["origin"] !== undefined)
      expect(answer.headers["access-control-allow-origin"]).toBe(code === undefined ? headers["origin"] : undefined);
    if (code !== undefined) expect(JSON.parse(answer.text)).toMatchObject({ error: { type: "invalid_request_error", param: null, code } });
  });

  it("answers what a browser asks before it sends a page's request as the server does, and not for other pages", async () => {
    const preflight = (origin: string) => {
      const headers = { origin, "access-control-request-method": "POST", "access-control-request-headers": "content-type" };
      return sendRequest(project.port, { method: "OPTIONS", path: "/v1/chat/completions", headers, body: new Uint8Array() });
    };
    expect(await preflight(pages)).toMatchObject({ status: 200, headers: { "access-control-allow-origin": pages } });
    const refused = await preflight("https://evil.example");
    expect([refused.status, refused.headers["access-control-allow-origin"]]).toEqual([403, undefined]);
  });

  describe("under hostile requests", () => {
    const state = async (container: Docker.Container) => {
      const { State, RestartCount } = await container.inspect();
      return { startedAt: State.StartedAt, restarts: RestartCount, running: State.Running };
    };

    it("answers the next honest request from the same process", async () => {
      const before = [await state(server), await state(gateway)];
      const statuses = new Map<number | "cut", number>();
      await fc.assert(
        fc.asyncProperty(hostileRequest, async (hostile) => {
          const { status } = await sendRequest(project.port, hostile);
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          expect([502, 503], "no release took it: the server is gone").not.toContain(status);
        }),
        { seed: 20_261_123, numRuns: 600, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false, endOnFailure: true },
      );
      expect([...statuses.keys()]).toEqual(expect.arrayContaining([200, 400]));
      expect((await chat(project.endpoint)).text).toContain("Paris");
      expect([await state(server), await state(gateway)]).toEqual(before);
    });

    it("does not run out of memory over hundreds of large requests that wait at once", async () => {
      const before = [await state(server), await state(gateway)];
      await execIn(gateway, ["sh", "-c", holdScript]);
      const end = beginLargeRequests(project.port, 400, 4 * mib);
      await sleep(4_000); // as much of each as it takes is in its memory by then
      expect((await fetch(`${project.endpoint}/-/health`)).status).toBe(200);
      end();
      expect((await project.cli("recover", project.stack)).exitCode).toBe(0);
      expect((await chat(project.endpoint)).text).toContain("Paris");
      expect([await state(server), await state(gateway)]).toEqual(before);
    });

    it("does not run out of threads over nearly as many requests at once as the gateway has files for", async () => {
      const before = [await state(server), await state(gateway)];
      const end = beginLargeRequests(project.port, gatewayOpenFiles / 2 - 100, 512 * 1024);
      const threads = async () => Number(/^Threads:\s+(\d+)$/m.exec(await sh(server, "cat /proc/$(pidof llama-server)/status"))?.[1]);
      await expect.poll(threads, { timeout: 30_000, interval: 500 }).toBeGreaterThan(800);
      end();
      expect((await chat(project.endpoint)).text).toContain("Paris");
      expect([await state(server), await state(gateway)]).toEqual(before);
    });

    it.each(["said", "chunked"] as const)("refuses a request that is larger than what it takes, its length %s", async (length) => {
      const [status, text] = await sendLargeRequest(project.port, 33 * mib, length);
      expect([status, JSON.parse(text)]).toMatchObject([
        413,
        { error: { code: 413, message: expect.stringContaining(String(32 * mib)) as string } },
      ]);
    });

    it.each(hostileBytes)("survives %s", async (_what, bytes) => {
      const before = [await state(server), await state(gateway)];
      await sendBytes(project.port, bytes);
      expect((await chat(project.endpoint)).text).toContain("Paris");
      expect([await state(server), await state(gateway)]).toEqual(before);
    });
  });
});

if (sets.length === 0) it.skip("needs a provider set: install Go for toolchain/, or name a folder of archives in PULUMI_PLUGIN_ARCHIVES");
