/**
 * Whom a program lives and dies with, shown with real processes in the places of CLI, provider and shell. Cannot prove: that Pulumi starts programs in this
 * way; tests/integration/recreate.test.ts kills the real ones.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { copyFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ownerSchema, type Owner } from "../../plan/rollout/records.ts";
import { projectDir } from "../../scripts/paths.ts";
import { isRunning, livenessOf } from "../../scripts/rollout/owner.ts";
import { processesUnder } from "../support/processes.ts";

describe("a program that Pulumi started", () => {
  let dir: string;
  let cli: ChildProcess;
  let said: AsyncIterator<string>;
  let owner: Owner;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "llm-server-owner-"));
    const provider = join(dir, "pulumi-resource-command");
    await copyFile("/bin/sh", provider);
    const program = "sh scripts/run-program.sh tests/support/started-program.ts; true"; // not its last command, which it would become
    cli = spawn("sh", ["-c", `'${provider}' -c '${program}'; true`], { cwd: projectDir, stdio: ["ignore", "pipe", "ignore"] });
    said = createInterface({ input: cli.stdout ?? process.stdin })[Symbol.asyncIterator]();
    owner = ownerSchema.parse(JSON.parse(await nextLine()));
  });
  afterEach(async () => {
    for (const { pid } of [...(await processesUnder(owner.pid)), { pid: owner.pid }])
      if (await isRunning(pid)) process.kill(pid, "SIGKILL");
    await rm(dir, { recursive: true });
  });

  const nextLine = async (): Promise<string> => String((await said.next()).value);
  const refusal = "Error: a process that started this one is gone, so nothing was stopped";

  it("belongs to the provider, a child of the CLI", async () => {
    expect(await readFile(`/proc/${owner.pid}/comm`, "utf8")).toBe("pulumi-resource\n");
    expect(owner.parent).toBe(cli.pid);
    expect(await livenessOf(owner)).toBe("alive");
  });

  it("has nobody left, and stops nothing more, when the CLI was killed and its provider was not", async () => {
    cli.kill("SIGKILL");
    expect(await nextLine()).toBe(refusal);
    expect(await isRunning(owner.pid)).toBe(true);
    expect(await livenessOf(owner)).toBe("dead");
  });

  it("has nobody left when the provider was killed, although the shell between them goes on", async () => {
    process.kill(owner.pid, "SIGKILL");
    expect(await nextLine()).toBe(refusal);
  });
});
