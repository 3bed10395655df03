/**
 * Rollouts on a device that holds one release at a time, on the real CLI, Docker and llama.cpp: what is stopped, for how long, and what comes back. The device
 * is the host's CPU, asked to be treated as one GPU would; gates are as short as they can be.
 */
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { activeLink, noRelease, stateDir } from "../../plan/gateway.ts";
import { gatewayName, labels, lockName } from "../../plan/names.ts";
import type { RolloutRecord } from "../../plan/rollout/records.ts";
import { pidsLimit } from "../../plan/server-container.ts";
import { leftoversOf } from "../support/killing.ts";
import { chat, underLoad } from "../support/load.ts";
import { prepareModels } from "../support/models.ts";
import { processesUnder } from "../support/processes.ts";
import { providerSets } from "../support/provider-sets.ts";
import { StackProject } from "../support/stack-project.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";

const [set] = await providerSets();
await buildTestImage();
await prepareModels(testImage);

interface Status {
  readonly active: string;
  readonly degraded: string | null;
  readonly lastRollout: RolloutRecord;
  readonly servers: readonly {
    readonly name: string;
    readonly role: string;
    readonly state: string;
    readonly plannedMiB: object;
    readonly memoryMiB: number | null;
  }[];
}

describe.skipIf(set === undefined)("a stack that replaces its release in place", () => {
  let project: StackProject;
  let first: string;
  beforeAll(async () => {
    if (set === undefined) throw new Error("no provider set");
    project = await StackProject.create(set, { fast: true });
    await project.set("rollout.strategy", "recreate");
    first = await project.deploy();
  });
  afterAll(async () => {
    await project[Symbol.asyncDispose]();
  });

  const serverOf = (release: string): string => `llm-server-${project.stack}-server-${release}`;
  const status = async (): Promise<Status> => JSON.parse((await project.cli("status", project.stack, "--json")).output) as Status;
  const running = async (): Promise<string[]> => {
    const { stdout } = await execa("docker", [
      "ps",
      "--filter",
      `label=${labels.stack}=${project.stack}`,
      "--filter",
      `label=${labels.role}=server`,
      "--format",
      "{{.Names}}",
    ]);
    return stdout.split("\n").filter((name) => name !== "");
  };
  /** A profile with another context length, which is another release. */
  const choose = async (ctxSize: number, isGood = true): Promise<void> => {
    await project.useCtxSize(ctxSize);
    await project.refuseCandidates(!isGood);
  };

  it("stops the old release, measures the new one, and no request fails", async () => {
    await choose(4352);
    const { result, load } = await underLoad(project.endpoint, () => project.up());
    expect(result.exitCode, result.output).toBe(0);
    expect(result.output).toMatch(/recreate .*requests wait from now on.*stopping release.*takes traffic; requests waited \d+\.\d s/s);
    expect(load.failures).toEqual([]);
    const { active, degraded, lastRollout, servers } = await status();
    expect({ degraded, result: lastRollout.result, previous: lastRollout.previous }).toEqual({
      degraded: null,
      result: "promoted",
      previous: first,
    });
    expect(lastRollout.outageSec).toBeGreaterThan(0);
    expect(await running()).toEqual([serverOf(active)]);
    expect(servers.map(({ role }) => role).sort()).toEqual(["active", "retained"]);
    expect(servers.find(({ role }) => role === "active")).toMatchObject({
      plannedMiB: { host: 2048 },
      memoryMiB: expect.any(Number) as number,
    });
  });

  it("goes back to the retained release without measuring it again", async () => {
    await project.set("profile", "dev");
    const { result, load } = await underLoad(project.endpoint, () => project.up());
    expect(result.exitCode, result.output).toBe(0);
    expect(result.output).not.toMatch(/Command (benchmark|perplexity)-\S+ (creat|updat)/);
    expect(load.failures).toEqual([]);
    expect((await chat(project.endpoint)).upstream).toBe(`${serverOf(first)}:8080`);
    expect(await project.up("--expect-no-changes")).toMatchObject({ exitCode: 0 });
  });

  it("stops nothing for a retained release whose container was removed, and measures it when it was made again", async () => {
    const [retained = ""] = (await status()).servers.filter(({ role }) => role === "retained").map(({ name }) => name);
    await execa("docker", ["rm", "--force", retained]);
    await choose(4352);
    const refused = await project.up();
    expect(refused.exitCode).not.toBe(0);
    expect(refused.output).toContain("no container of release");
    expect(refused.output).not.toContain("stopping release");
    expect(await running()).toEqual([serverOf(first)]);
    const made = await project.up("--refresh");
    expect(made.exitCode, made.output).toBe(0);
    expect(made.output).toMatch(/benchmark gate: PASSED/);
    await project.set("profile", "dev");
    expect(await project.up()).toMatchObject({ exitCode: 0 });
    expect(await running()).toEqual([serverOf(first)]);
  });

  it("stops nothing when its gateway was removed; up makes it again, with its limit of processes", async () => {
    const gateway = gatewayName(project.stack);
    await execa("docker", ["rm", "--force", gateway]);
    const recovered = await project.cli("recover", project.stack);
    expect(recovered.output).toMatch(/DEGRADED: the gateway's container is gone; .*: npm run up -- \S+ --yes -- --refresh/);
    expect(recovered.exitCode).toBe(1);
    expect(await running()).toEqual([serverOf(first)]);
    const { exitCode, output } = await project.up("--refresh");
    expect(exitCode, output).toBe(0);
    const { stdout } = await execa("docker", ["inspect", "--format", "{{.HostConfig.PidsLimit}}", gateway]);
    expect(Number(stdout)).toBe(pidsLimit);
    expect(await running()).toEqual([serverOf(first)]);
  });

  it("does not call a promoted stack idle whose gateway routes nowhere: recover names what promotes its release again", async () => {
    const nowhere = `ln -sfn ${noRelease} ${stateDir}/next && mv -T ${stateDir}/next ${activeLink}`;
    await execa("docker", ["exec", gatewayName(project.stack), "sh", "-c", nowhere]);
    const recovered = await project.cli("recover", project.stack);
    expect(recovered.output).toMatch(/DEGRADED: the gateway routes to no release, the stack promoted \w+; run: npm run up -- \S+ --yes$/m);
    expect(recovered.exitCode).toBe(1);
    const { exitCode, output } = await project.up();
    expect(exitCode, output).toBe(0);
    expect(await running()).toEqual([serverOf(first)]);
  });

  it.each([1, 2])("puts the old release back when a candidate fails, with the numbers and the outage (attempt %i)", async () => {
    await choose(4608, false);
    const { result, load } = await underLoad(project.endpoint, () => project.up());
    expect(result.exitCode).not.toBe(0);
    expect(result.output).toMatch(/benchmark gate failed: short decode \d+(\.\d+)? tok\/s/);
    expect(result.output).toContain(`release ${first} serves; requests waited`);
    expect(load.failures).toEqual([]);
    expect(await running()).toEqual([serverOf(first)]);
    const { degraded, lastRollout } = await status();
    expect(degraded).toBe(null);
    expect(lastRollout).toMatchObject({
      result: "recovered",
      serving: first,
      reason: expect.stringContaining("benchmark gate failed") as string,
    });
  });

  it("puts the old release back when its candidate does not start, and shows the end of its log", async () => {
    await project.writeProfile("broken", (text) => text.replace(/(LLAMA_ARG_CHAT_TEMPLATE)=.*/, "$1={% if %}"));
    await project.set("profile", "broken");
    const { result, load } = await underLoad(project.endpoint, () => project.up());
    expect(result.exitCode).not.toBe(0);
    expect(result.output).toMatch(/gate error: /);
    expect(result.output).toContain(`release ${first} serves; requests waited`);
    expect(load.failures).toEqual([]);
    expect(await running()).toEqual([serverOf(first)]);
  });

  it("stops nothing for a candidate that could not start, also where its perplexity has been measured before", async () => {
    await choose(4736);
    const folder = (name: string): string => join(project.dir, "models", name);
    await rename(folder("gemma-3-270m-q4_k_m"), folder("elsewhere"));
    const { exitCode, output } = await project.up().finally(() => rename(folder("elsewhere"), folder("gemma-3-270m-q4_k_m")));
    expect(exitCode).not.toBe(0);
    expect(output).not.toContain("perplexity: rollout");
    expect(output).toMatch(/benchmark gate error: the build of the candidate's image does not take the model, so nothing was stopped: /);
    expect(output).toContain(`release ${first} serves; no request had to wait`);
    expect(await running()).toEqual([serverOf(first)]);
  });

  it.each([
    ["the gate", "scripts/gates/benchmark.ts"],
    ["the CLI", ""],
  ])("puts the old release back after kill -9 of %s", async (_what, part) => {
    await choose(4864);
    const { load } = await underLoad(project.endpoint, async () => {
      const up = project.start("up", "--yes", "--skip-preview", "--stack", project.stack);
      const cli = up.pid ?? 0;
      const gate = await found(cli, "scripts/gates/benchmark.ts");
      await until(async () => !(await running()).includes(serverOf(first)));
      process.kill(part === "" ? cli : gate, "SIGKILL");
      await until(async () => (await locks()).length === 0);
      await up;
    });
    expect(load.failures).toEqual([]);
    expect(await running()).toEqual([serverOf(first)]);
    const recovered = await project.cli("recover", project.stack);
    expect(recovered).toMatchObject({ exitCode: 0, output: expect.stringContaining(`release ${first} serves`) as string });
    expect(await project.cli("recover", project.stack)).toMatchObject({ exitCode: 0 });
    expect((await status()).degraded).toBe(null);
    expect(await leftoversOf(project)).toEqual([]);
    expect((await project.pulumi("stack", "export", "--stack", project.stack)).output).not.toContain("pending_operations");
  });

  it("says that a rollout was killed together with its guards, and recover puts back what it left", async () => {
    await choose(4864);
    const up = project.start("up", "--yes", "--skip-preview", "--stack", project.stack);
    await Promise.race([found(up.pid ?? 0, "scripts/gates/benchmark.ts"), up.then(({ all }) => expect(all).toBe("still at work"))]);
    await until(async () => !(await running()).includes(serverOf(first)));
    const cli = up.pid ?? 0;
    for (const { pid } of [...(await processesUnder(cli)), { pid: cli }]) process.kill(pid, "SIGKILL"); // guards are still below their program
    await up;
    expect((await status()).degraded).toMatch(/a rollout was killed .*; run: npm run recover -- /);
    const { exitCode, output } = await project.cli("recover", project.stack);
    expect(exitCode, output).toBe(0);
    expect(output).toContain(`release ${first} serves; requests waited`);
    expect(await running()).toEqual([serverOf(first)]);
  });

  it("waits for the device, and says who holds it when that takes too long", async () => {
    await choose(5120);
    await project.set("rollout.lockWaitSec", "1");
    const { stdout: image } = await execa("docker", ["inspect", "--format", "{{.Image}}", `llm-server-${project.stack}-gateway`]);
    const record = {
      version: 1,
      rollout: "other",
      owner: { pid: 1, startTicks: "0", bootId: "other", hostname: "another-host", user: "somebody" },
      since: "2026-01-01T00:00:00.000Z",
      stack: "another",
      candidate: "0123456789",
      previous: null,
      strategy: "recreate",
      readyTimeoutSec: 1,
      drainSec: 1,
      helperImage: image,
      evidenceVolume: "none",
    };
    const label = (key: string, value: string): string[] => ["--label", `${key}=${value}`];
    const lock = [
      ...label(labels.role, "lock"),
      ...label(labels.stack, "another"),
      ...label(labels.device, "cpu"),
      ...label(labels.lock, JSON.stringify(record)),
    ];
    await execa("docker", ["create", "--name", lockName("cpu"), ...lock, image]);
    try {
      const { exitCode, output } = await project.up();
      expect(exitCode).not.toBe(0);
      expect(output).toMatch(
        /another rollout holds the device \(cpu: stack another tries release 0123456789 since .* somebody on another-host\)/,
      );
    } finally {
      await execa("docker", ["rm", "--force", lockName("cpu")]);
    }
    expect((await chat(project.endpoint)).upstream).toBe(`${serverOf(first)}:8080`);
  });

  it("removes the failed candidates when the configuration is put back, and everything when it is destroyed while it serves", async () => {
    await project.set("profile", "dev");
    expect(await project.up()).toMatchObject({ exitCode: 0 });
    expect(await running()).toEqual([serverOf(first)]);
    expect(await project.pulumi("destroy", "--yes", "--skip-preview", "--stack", project.stack)).toMatchObject({ exitCode: 0 });
    expect(await project.onHost("container")).toEqual([]);
    expect(await project.onHost("volume")).toEqual([`llm-server-${project.stack}-evidence`]);
  });

  const locks = (): Promise<string[]> => project.onHost("container").then((names) => names.filter((name) => name === lockName("cpu")));

  /** The process below `root` whose command line has `part`, once there is one. */
  async function found(root: number, part: string): Promise<number> {
    let pid: number | undefined;
    await until(
      async () =>
        (pid = (await processesUnder(root)).find(({ command }) => command.startsWith("node") && command.includes(part))?.pid) !== undefined,
    );
    return pid ?? 0;
  }

  async function until(isSo: () => Promise<boolean>): Promise<void> {
    for (const end = Date.now() + 120_000; !(await isSo());) {
      if (Date.now() > end) throw new Error("did not come about within two minutes");
      await sleep(100);
    }
  }
});

if (set === undefined) it.skip("needs a provider set: install Go for toolchain/, or name a folder of archives in PULUMI_PLUGIN_ARCHIVES");
