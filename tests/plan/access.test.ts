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
  originSchema,
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
    const variables = new Map(
      accessEnvironment(access, { names: tls?.names ?? [], origins: [] }, 8000).map((entry) => entry.split("=", 2) as [string, string]),
    );
    expect(readAccess((name) => variables.get(name))).toEqual(access);
  });

  it("gives an open gateway no variable, so that its container stays as it is", () => {
    expect(accessEnvironment(planAccess(false, undefined), { names: [], origins: [] }, 8000)).toEqual([]);
  });
});

describe("accessEnvironment", () => {
  const callers = { names: ["a.example", "192.0.2.7"], origins: ["https://a.example:8443", "http://[::1]:9", "app://b.example"] };

  it("lists whose pages may ask, and the names: those of the certificate and of these pages, but for addresses", () => {
    expect(accessEnvironment(planAccess(false, undefined), callers, 8000)).toEqual([
      "GATEWAY_HOSTS=a.example",
      "GATEWAY_ORIGINS=https://a.example:8443 http://[::1]:9 app://b.example",
    ]);
  });

  it("lists neither with a key", () => {
    expect(accessEnvironment(planAccess(true, undefined), callers, 8000)).toEqual(["GATEWAY_ACCESS=key"]);
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

  it.each(["https://a.example", "http://localhost:3000", "http://192.0.2.7:8080", "http://[2001:db8::7]", "app://obsidian.md"])(
    "take the origin %s",
    (origin) => {
      expect(originSchema.safeParse(origin).success).toBe(true);
    },
  );

  it.each([
    ...[
      "a.example",
      "https://A.example",
      "https://a.example/",
      "https://a.example:443",
      "https://u:p@a.example",
      "https://a.example https://b",
    ],
    ...["null", "*", "https://*.example", "https://", 'https://a"b', "app://a/b", 'app://a"', "app://a b", "https://a.example:99999"],
  ])("refuse the origin %j", (origin) => {
    expect(originSchema.safeParse(origin).success).toBe(false);
  });

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
