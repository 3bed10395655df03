/** The gateway's pointer as text; that Caddy follows it is shown in tests/integration. */
import { describe, expect, it } from "vitest";
import { planGateway, switchScript } from "../../plan/gateway.ts";

describe("planGateway", () => {
  const image = { base: "debian:forky", platform: "linux/amd64" };

  it("gives each replica a slot of its own", () => {
    const { envs } = planGateway("dev", { bind: "127.0.0.1", port: 8080, holdSec: 60, replicas: 2 }, image);
    expect(envs).toEqual([
      "GATEWAY_HOLD_SEC=60",
      "GATEWAY_RETRY_AFTER_SEC=5",
      "GATEWAY_UPSTREAMS={file./state/active/0}:8080 {file./state/active/1}:8080",
    ]);
  });

  it("puts an IPv6 address into brackets", () => {
    expect(planGateway("dev", { bind: "::1", port: 9000, holdSec: 0, replicas: 1 }, image).url).toBe("http://[::1]:9000");
  });
});

describe("switchScript", () => {
  it("writes the slots before it renames the link", () => {
    expect(switchScript("0a1b2c3d4e", ["server-a", "server-b"], 3)).toMatchInlineSnapshot(`
      "set -e
      mkdir -p /state/0a1b2c3d4e
      echo server-a > /state/0a1b2c3d4e/0
      echo server-b > /state/0a1b2c3d4e/1
      echo server-a > /state/0a1b2c3d4e/2
      sync
      ln -sfn 0a1b2c3d4e /state/next
      mv -T /state/next /state/active"
    `);
  });

  it.each(["a b", "a;b", "$(a)", "", "a/b"])("fails on %j, which could become another command", (word) => {
    expect(() => switchScript("0a1b2c3d4e", [word], 1)).toThrow(RangeError);
    expect(() => switchScript(word, ["server"], 1)).toThrow(RangeError);
  });

  it("fails on a release without a server", () => {
    expect(() => switchScript("0a1b2c3d4e", [], 1)).toThrow("gateway: release 0a1b2c3d4e has no host");
  });
});
