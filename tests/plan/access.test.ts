/** Who may reach a gateway and how its container says so. That Caddy does what its environment says is shown in tests/integration/access.test.ts. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import {
  accessDir,
  accessEnvironment,
  apiKeySchema,
  isLoopback,
  keysFile,
  planAccess,
  putSecretScript,
  readAccess,
  tlsSchema,
} from "../../plan/access.ts";

describe("readAccess", () => {
  it.each([
    [false, undefined],
    [true, undefined],
    [false, { mode: "files" as const, names: ["a.example"], certificate: "/c", key: "/k" }],
    [true, { mode: "internal" as const, names: ["a.example", "2001:db8::7"] }],
  ])("reads what a gateway with keys: %j and TLS: %j was given", (wantsKey, tls) => {
    const access = planAccess(wantsKey, tls);
    const variables = new Map(accessEnvironment(access, tls?.names ?? [], 8000).map((entry) => entry.split("=", 2) as [string, string]));
    expect(readAccess((name) => variables.get(name))).toEqual(access);
  });

  it("gives an open gateway no variable, so that its container stays as it is", () => {
    expect(accessEnvironment(planAccess(false, undefined), [], 8000)).toEqual([]);
  });
});

describe("isLoopback", () => {
  it.each([
    ["127.0.0.1", true],
    ["127.9.9.9", true],
    ["::1", true],
    ["0.0.0.0", false],
    ["::", false],
    ["", false],
    ["127.0.0.1.example.org", false],
    ["1.127.0.0.1", false],
    ["::ffff:127.0.0.1", false],
  ])("%s: %j", (address, expected) => {
    expect(isLoopback(address)).toBe(expected);
  });
});

describe("the schemas", () => {
  it.each(["0".repeat(31), "0".repeat(257), `${"0".repeat(31)}\n0`, `${"0".repeat(31)} 0`, `${"0".repeat(31)}"`, `${"0".repeat(31)}{`])(
    "refuse %j as a key",
    (key) => {
      expect(apiKeySchema.safeParse(key).success).toBe(false);
    },
  );

  it.each([["a.example", "A.example"], ["192.0.2.7", "192.0.2.8"], ["a b"], ["a,b"], ["*.example"], ["a.example {"], [""], []])(
    "refuse the names %j %j",
    (...names) => {
      expect(tlsSchema.safeParse({ mode: "internal", names }).success).toBe(false);
    },
  );
});

describe("putSecretScript", () => {
  const dir = mkdtempSync(join(tmpdir(), "llm-server-access-"));
  afterAll(() => rmSync(dir, { recursive: true }));
  const put = (secret: string): void => {
    execFileSync("sh", ["-c", putSecretScript(keysFile).replaceAll(accessDir, join(dir, "access"))], { input: secret });
  };

  it("replaces the file whole, readable by its owner alone", () => {
    put("one\n");
    put("two\nthree\n");
    const file = join(dir, "access", "keys");
    expect(readFileSync(file, "utf8")).toBe("two\nthree\n");
    expect((statSync(file).mode & 0o777).toString(8)).toBe("400");
    expect((statSync(join(dir, "access")).mode & 0o777).toString(8)).toBe("700");
  });
});
