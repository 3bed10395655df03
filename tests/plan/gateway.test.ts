/** The gateway's pointer as text and as files; that Caddy follows it is shown in tests/integration. */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { heldFile, holdScript, planGateway, refusingHost, stateDir, switchScript } from "../../plan/gateway.ts";
import { projectDir } from "../../scripts/paths.ts";

describe("planGateway", () => {
  const image = { base: "debian:forky", platform: "linux/amd64" };
  const settings = { bind: "127.0.0.1", port: 8080, holdSec: 60, maxRequestMiB: 32, replicas: 1, wantsKey: false, origins: [] };

  it("gives each replica a slot of its own", () => {
    const { envs } = planGateway("dev", { ...settings, replicas: 2 }, image);
    expect(envs).toEqual([
      "GATEWAY_HOLD_SEC=60",
      "GATEWAY_MAX_REQUEST_BYTES=33554432",
      "GATEWAY_RETRY_AFTER_SEC=5",
      "GATEWAY_SLOTS=2",
      "GATEWAY_UPSTREAMS={file./state/active/0}:8080 {file./state/active/1}:8080",
    ]);
  });

  it("asks for a key and issues certificates for its names by its own CA, an address first where callers name none", () => {
    const tls = { mode: "internal" as const, names: ["llm.example.org", "192.0.2.7"] };
    const plan = planGateway("dev", { ...settings, bind: "0.0.0.0", port: 8443, wantsKey: true, tls }, image);
    expect(plan.envs.slice(5)).toEqual([
      "GATEWAY_ACCESS=key",
      "GATEWAY_NAME=192.0.2.7",
      "GATEWAY_SITES=https://:8000, https://llm.example.org:8000, https://192.0.2.7:8000",
      "GATEWAY_TLS=internal",
    ]);
    expect(plan.url).toBe("https://llm.example.org:8443");
    expect(plan.access).toEqual({ stack: "dev", container: "llm-server-dev-gateway", wantsKey: true, certificate: null });
  });

  it("is brought a certificate of yours, again when its file changes", () => {
    const files = { certificate: "/etc/llm/chain.pem", key: "/etc/llm/key.pem" };
    const tls = { mode: "files" as const, names: ["llm.example.org"], ...files };
    const { envs, access } = planGateway("dev", { ...settings, bind: "::1", port: 8443, tls }, image, "hash");
    expect(envs.slice(5)).toEqual([
      "GATEWAY_HOSTS=llm.example.org",
      "GATEWAY_NAME=llm.example.org",
      "GATEWAY_SITES=https://:8000",
      "GATEWAY_TLS=files",
    ]);
    expect(access?.certificate).toEqual({ ...files, names: ["llm.example.org"], sha256: "hash" });
  });

  it("puts an IPv6 address into brackets", () => {
    expect(planGateway("dev", { ...settings, bind: "::1", port: 9000 }, image).url).toBe("http://[::1]:9000");
  });
});

describe("switchScript", () => {
  it("writes the slots before it renames the link", () => {
    expect(switchScript("0a1b2c3d4e", ["server-a", "server-b"])).toMatchInlineSnapshot(`
      "set -e
      put() { echo "$1" > "$2.next" && mv "$2.next" "$2"; }
      mkdir -p /state/0a1b2c3d4e/hosts
      set -- server-a server-b
      slot=0; while [ $slot -lt $GATEWAY_SLOTS ]; do eval "host=\\\${$((slot % $# + 1))}"; put $host /state/0a1b2c3d4e/hosts/$slot; put $host /state/0a1b2c3d4e/$slot; slot=$((slot + 1)); done
      sync /state/0a1b2c3d4e/* /state/0a1b2c3d4e/hosts/*
      ln -sfn 0a1b2c3d4e /state/next
      mv -T /state/next /state/active
      rm -f /state/held
      sync /state"
    `);
  });

  it.each(["a b", "a;b", "$(a)", "", "a/b"])("fails on %j, which could become another command", (word) => {
    expect(() => switchScript("0a1b2c3d4e", [word])).toThrow(RangeError);
    expect(() => switchScript(word, ["server"])).toThrow(RangeError);
  });

  it("fails on a release without a server", () => {
    expect(() => switchScript("0a1b2c3d4e", [])).toThrow("gateway: release 0a1b2c3d4e has no host");
  });
});

/** The scripts themselves, run by this machine's shell on a folder that stands for the gateway's volume. */
describe("the gateway's scripts", () => {
  const dir = mkdtempSync(join(tmpdir(), "llm-server-gateway-"));
  afterAll(() => rmSync(dir, { recursive: true }));
  const sh = (script: string): string =>
    execFileSync("sh", ["-c", script.replaceAll(stateDir, dir)], { env: { ...process.env, GATEWAY_SLOTS: "3" }, encoding: "utf8" });
  const slots = (): string[] => [0, 1, 2].map((slot) => readFileSync(join(dir, "active", String(slot)), "utf8").trim());

  it("fill the slots in turn, hold, and end the hold with a switch", () => {
    mkdirSync(join(dir, "none"));
    symlinkSync("none", join(dir, "active"));
    const active = (): string => readlinkSync(join(dir, "active"));
    const held = heldFile.replace(stateDir, dir);
    sh(switchScript("first", ["a", "b"]));
    expect(slots()).toEqual(["a", "b", "a"]);
    expect([active(), existsSync(held)]).toEqual(["first", false]);
    sh(holdScript);
    const since = statSync(held, { bigint: true }).mtimeNs;
    expect(slots()).toEqual([refusingHost, refusingHost, refusingHost]);
    expect(active()).toBe("first");
    sh(holdScript);
    expect(statSync(held, { bigint: true }).mtimeNs).toBe(since);
    sh(switchScript("first", ["a", "b"]));
    expect([active(), existsSync(held)]).toEqual(["first", false]);
    expect(slots()).toEqual(["a", "b", "a"]);
  });
});

/** What the container runs at its start, on a folder that stands for its volume and with a Caddy that does nothing. */
describe("the gateway's start", () => {
  const dir = mkdtempSync(join(tmpdir(), "llm-server-gateway-start-"));
  const script = readFileSync(join(projectDir, "docker", "gateway", "start.sh"), "utf8").replaceAll(stateDir, dir);
  beforeEach(() => {
    mkdirSync(join(dir, "access"), { recursive: true });
    for (const file of ["keys", "certificate.pem"]) writeFileSync(join(dir, "access", file), "secret");
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  it.each([
    [{}, []],
    [{ GATEWAY_TLS: "internal" }, []],
    [{ GATEWAY_TLS: "files" }, ["certificate.pem"]],
    [{ GATEWAY_ACCESS: "key" }, ["keys"]],
    [{ GATEWAY_ACCESS: "key", GATEWAY_TLS: "files" }, ["certificate.pem", "keys"]],
  ])("with %j keeps of keys and certificate what it uses: %j", (env, kept) => {
    execFileSync("sh", ["-c", `caddy() { :; }\n${script.replace("exec caddy", "caddy")}`], {
      env: { ...process.env, ...env, GATEWAY_SLOTS: "1" },
    });
    expect(readdirSync(join(dir, "access"))).toEqual(kept);
  });
});
