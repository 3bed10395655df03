/** Locks on the state as Pulumi's file backend leaves them. Cannot prove: that a full disk leaves these; tests/faults/runbook.test.ts fills one. */
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { readStateLocks } from "../../scripts/rollout/state-lock.ts";

describe("locks on a stack's state", () => {
  let root: string;
  let folder: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "llm-server-locks-"));
    folder = join(root, ".pulumi", "locks", "organization", "llm-server", "dev");
    await mkdir(folder, { recursive: true });
    vi.stubEnv("PULUMI_BACKEND_URL", `file://${root}`);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(root, { recursive: true });
  });
  const whole = (pid: number | undefined, host = hostname()): string =>
    JSON.stringify({ pid, username: "someone", hostname: host, timestamp: "2026-11-24T00:00:00Z" });

  it("are dead where their process is gone, and not where it runs or is another machine's", async () => {
    await writeFile(join(folder, "a.json"), whole(process.pid));
    await writeFile(join(folder, "b.json"), whole(spawnSync("true").pid));
    await writeFile(join(folder, "c.json"), whole(1, "elsewhere"));
    const locks = await readStateLocks("dev");
    expect(locks?.map(({ isDead }) => isDead)).toEqual([false, true, false]);
    expect(locks?.[1]?.by).toMatch(/^pulumi, process \d+ of someone on .*, since 2026-11-24T00:00:00Z$/);
  });

  it.each(["f00d.json", "f00d.json.18a9.tmp"])(
    "are dead where %s was never written whole, once it is too old to be written now",
    async (file) => {
      await writeFile(join(folder, file), "");
      await writeFile(join(folder, `${file}.attrs`), "{}");
      expect(await readStateLocks("dev")).toMatchObject([{ isDead: false }]);
      await utimes(join(folder, file), new Date(0), new Date(0));
      expect(await readStateLocks("dev")).toEqual([
        { by: `pulumi, in ${file}, which is a lock that was never written whole`, isDead: true },
      ]);
    },
  );

  it("are none for a stack without any, and unknown where the backend is no folder", async () => {
    expect(await readStateLocks("other")).toEqual([]);
    vi.stubEnv("PULUMI_BACKEND_URL", "s3://bucket");
    expect(await readStateLocks("dev")).toBeUndefined();
  });
});
