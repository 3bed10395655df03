/** What brings keys and certificates to a gateway, as far as it refuses before it asks Docker; the rest is shown in tests/integration/access.test.ts. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AccessInput } from "../../plan/access.ts";
import { projectDir } from "../../scripts/paths.ts";

describe("scripts/access.ts", () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "llm-server-access-"));
    await writeFile(join(dir, "not.pem"), "canary canary");
  });
  afterAll(() => rm(dir, { recursive: true }));

  const run = async (input: Partial<AccessInput>, stdin: string): Promise<{ exitCode: number | undefined; said: string }> => {
    const whole = { stack: "test", container: "no-such-container", wantsKey: true, certificate: null, ...input };
    const env = { ACCESS_INPUT: JSON.stringify(whole), DOCKER_HOST: "unix:///nonexistent/docker.sock" };
    const { exitCode, all } = await execa(process.execPath, [join(projectDir, "scripts/access.ts")], {
      env,
      input: stdin,
      all: true,
      reject: false,
    });
    return { exitCode, said: all };
  };

  it.each(["", "canary\n", `${"canary".repeat(8)}\ncanary canary\n`, `${"canary".repeat(8)} \n`])(
    "fails on keys that are none, and shows none: %j",
    async (keys) => {
      const { exitCode, said } = await run({}, keys);
      expect(exitCode).toBe(1);
      expect(said).toMatch(/^standard input: got \d lines?, expected API keys, one a line$/);
    },
  );

  it.each([
    ["missing", "no-such.pem", "expected a PEM file that pulumi up can read on this machine: ENOENT"],
    ["no PEM", "not.pem", "is no PEM file with a certificate"],
  ])(
    "fails on a certificate that is %s, naming the key of the configuration and showing nothing of the file",
    async (_what, file, message) => {
      const certificate = { certificate: join(dir, file), key: join(dir, "not.pem"), names: ["llm.test"], sha256: null };
      const { exitCode, said } = await run({ wantsKey: false, certificate }, "");
      expect(exitCode).toBe(1);
      expect(said).toContain("llm-server:gateway.tls.certificate: ");
      expect(said).toContain(message);
      expect(said).not.toContain("canary");
    },
  );
});
