/**
 * Faults that are drift, made on a real stack by hand, found by `npm run drift` and mended by `--redeploy`. One stack goes through all of them; its gates ask
 * little, because they run again after each repair. Not shown here: a lost GPU (no GPU), a real reboot (what one leaves is made by hand), a hash of 20 GB.
 */
import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { copyFile, cp, mkdir, open, rename, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Finding } from "../../plan/drift/finding.ts";
import { gatewayName, labels, serverName } from "../../plan/names.ts";
import { connectDocker } from "../../scripts/docker/host.ts";
import { tryLock } from "../../scripts/rollout/lock.ts";
import { thisProcess } from "../../scripts/rollout/owner.ts";
import { DriftProject, type DriftRun } from "../support/drift-project.ts";
import { chat } from "../support/load.ts";
import { prepareModels } from "../support/models.ts";
import { mainProviderSets } from "../support/provider-sets.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";

const sets = await mainProviderSets();
await buildTestImage();
await prepareModels(testImage);
const docker = (...args: string[]) => execa("docker", args);
const kinds = (findings: readonly Finding[]): string[] =>
  DriftProject.drifting(findings)
    .map(({ kind }) => kind)
    .sort();

describe.each(sets)("with the $name providers", (set) => {
  let drift: DriftProject;
  let server: string;
  let gateway: string;
  const inspect = async (format: string): Promise<string> => (await docker("inspect", "--format", format, server)).stdout;

  /** Redeploys, and expects that this was found and that nothing is left to find. */
  async function mend(found: readonly string[], ...options: string[]): Promise<DriftRun> {
    const run = await drift.drift("--redeploy", ...options);
    expect(run.report.redeployment, run.progress).toMatchObject({ isDone: true, problem: null });
    expect(kinds(run.report.redeployment?.found ?? [])).toEqual(found);
    expect(kinds(run.report.findings)).toEqual([]);
    expect(run.exitCode).toBe(0);
    await expectServing();
    return run;
  }

  async function expectServing(): Promise<void> {
    const answer = await chat(drift.project.endpoint);
    expect(answer.upstream).toBe(`${server}:8080`);
    expect(answer.text).toContain("Paris");
  }

  beforeAll(async () => {
    drift = await DriftProject.create(set);
    const { stack } = drift.project;
    server = serverName(stack, await drift.project.deploy());
    gateway = gatewayName(stack);
  });
  afterAll(() => drift.remove());

  it("finds nothing on a stack as it was deployed, changes nothing, and reads no model file a second time", async () => {
    const before = await inspect("{{.State.StartedAt}} {{.RestartCount}}");
    const [first, second] = [await drift.drift("--speed"), await drift.drift()];
    expect(first).toMatchObject({ exitCode: 0, report: { isDrift: false, hashed: {} } });
    expect(second).toMatchObject({ exitCode: 0, report: { isDrift: false, hashed: {} } });
    expect(await inspect("{{.State.StartedAt}} {{.RestartCount}}")).toBe(before);
    expect(await drift.project.onHost("container")).toEqual([gateway, server]);
  });

  it("finds removed containers, which `pulumi up --refresh` alone brings back through the gates", async () => {
    await docker("rm", "--force", server, gateway);
    const run = await drift.drift();
    expect(run.exitCode).toBe(2);
    expect(kinds(run.report.findings)).toEqual(["gateway-gone", "server-gone"]);
    expect(run.report.findings[0]).toMatchObject({ resource: `container ${server}`, canRedeploy: true });
    const { exitCode, output } = await drift.project.up("--refresh");
    expect(output).toMatch(/benchmark gate: PASSED/);
    expect(exitCode, output).toBe(0);
    expect(kinds((await drift.drift()).report.findings)).toEqual([]);
  });

  if (set !== sets[0]) return; // what follows is this project's own work, whoever the providers are

  it("finds a dead server, a moved tag, a half-done switch and a container that nobody owns, and mends them", async () => {
    const { stack } = drift.project;
    await docker("kill", server);
    await docker("tag", "debian:forky", drift.imageTag);
    await docker("exec", gateway, "sh", "-c", "ln -sfn none /state/next && mv -T /state/next /state/active");
    const label = (key: string, value: string): string[] => ["--label", `${key}=${value}`];
    const owned = [...label(labels.stack, stack), ...label(labels.role, "server"), ...label(labels.release, "ffffffffff")];
    await docker("run", "--detach", "--name", `${server}-stray`, ...owned, "--entrypoint", "sleep", testImage, "600");
    const id = await inspect("{{.Id}}");
    const mended = await mend(["container-unowned", "gateway-elsewhere", "image-tag-elsewhere", "server-stopped"]);
    expect(mended.progress).toMatch(/benchmark gate: PASSED/);
    expect(await inspect("{{.Id}}")).toBe(id);
    expect(await drift.project.onHost("container")).toEqual([gateway, server]);
  });

  it("finds a generation that hangs behind a fine health check, and leaves a configuration alone that asks for another release", async () => {
    await docker("exec", server, "sh", "-c", "kill -STOP $(pidof llama-server)");
    await drift.project.set("profile", "q2");
    const run = await drift.drift("--redeploy", "--deadline", "4");
    await drift.project.set("profile", "dev");
    expect(kinds(run.report.redeployment?.found ?? [])).toEqual(["server-hangs"]);
    expect(kinds(run.report.findings)).toEqual(["server-hangs"]);
    expect(run).toMatchObject({
      exitCode: 1,
      report: { redeployment: { isDone: false, problem: expect.stringContaining("asks for release") as string } },
    });
  });

  it("lets one of two redeployments through, and the other one leaves", async () => {
    const runs = await Promise.all([drift.start("--redeploy", "--deadline", "4"), drift.start("--redeploy", "--deadline", "4")]);
    expect(runs.map(({ exitCode }) => exitCode).sort()).toEqual([0, 1]);
    expect(runs.find(({ exitCode }) => exitCode === 1)?.stderr).toMatch(/another redeployment is at work .*nothing was changed/);
    await expectServing();
  });

  it("judges nothing while an update runs", async () => {
    const folder = join(drift.project.dir, "state", ".pulumi", "locks", "organization", "llm-server", drift.project.stack);
    const lock = join(folder, `${randomUUID()}.json`);
    await mkdir(folder, { recursive: true });
    await writeFile(lock, JSON.stringify({ pid: process.pid, username: "root", hostname: hostname(), timestamp: "now" }));
    const run = await drift.drift("--redeploy");
    await rm(lock);
    expect(run).toMatchObject({
      exitCode: 0,
      report: { activity: { kind: "running", by: expect.stringContaining(`process ${process.pid}`) as string }, findings: [] },
    });
  });

  it("finds a model file that was replaced beside the server's, and mends it without a restart", async () => {
    const file = await drift.modelFile();
    const startedAt = await inspect("{{.State.StartedAt}}");
    await spoil(file, `${file}.new`);
    await rename(`${file}.new`, file);
    const run = await drift.drift();
    expect(run.exitCode).toBe(2);
    expect(Object.values(run.report.hashed)).toEqual(["its metadata changed"]);
    await mend(["model-replaced"]);
    expect(await inspect("{{.State.StartedAt}}")).toBe(startedAt);
  });

  it("finds a model file that was overwritten in place, and the rubbish that the server answers with it", async () => {
    await spoil(await drift.modelFile());
    await docker("restart", "--time", "1", server);
    await drift.ready(server);
    expect((await mend(["model-replaced", "server-rubbish"])).progress).toMatch(/benchmark gate: PASSED/);
  });

  it("finds a truncated model file and the restart loop that comes of it", async () => {
    const file = await open(await drift.modelFile(), "r+");
    await file.truncate(1_000_000);
    await file.close();
    await docker("exec", server, "sh", "-c", "kill -9 $(pidof llama-server)");
    // a loop from its third turn on, in whichever moment it is looked at
    await expect.poll(async () => Number(await inspect("{{.RestartCount}}")), { timeout: 30_000, interval: 50 }).toBeGreaterThanOrEqual(3);
    await mend(["model-truncated", "server-restarting"]);
  });

  it("finds a folder of models that was replaced under the container", async () => {
    const models = join(drift.project.dir, "models");
    const id = await inspect("{{.Id}}");
    await rename(models, `${models}.old`);
    await cp(`${models}.old`, models, { recursive: true });
    expect((await mend(["mount-stale"])).progress).toMatch(/benchmark gate: PASSED/);
    expect(await inspect("{{.Id}}")).not.toBe(id);
  });

  it("finds what a reboot in the middle of a rollout leaves: a lock without an owner, and nothing that runs", async () => {
    const helperImage = (await docker("image", "inspect", "--format", "{{.Id}}", "debian:forky")).stdout;
    const gone = { ...(await thisProcess()), pid: spawnSync("true").pid, startTicks: "1" };
    const { stack } = drift.project;
    const times = { readyTimeoutSec: 60, drainSec: 1 };
    await tryLock(connectDocker(null), `test-${stack}`, {
      ...{ version: 1, rollout: randomUUID(), owner: gone, since: new Date().toISOString(), stack, candidate: null, previous: null },
      ...{ strategy: "bluegreen", helperImage, evidenceVolume: `llm-server-${stack}-evidence`, ...times },
    });
    await docker("stop", "--time", "1", server, gateway);
    await mend(["gateway-stopped", "server-stopped", "update-interrupted"]);
    expect((await docker("ps", "--all", "--quiet", "--filter", `name=test-${stack}`)).stdout).toBe("");
  });

  it("reports a model file that can't be had again, and leaves the server that still has it alone", async () => {
    const file = await drift.modelFile();
    const startedAt = await inspect("{{.State.StartedAt}}");
    await rename(drift.source, `${drift.source}.away`);
    await rm(file);
    const run = await drift.drift("--redeploy");
    await rename(`${drift.source}.away`, drift.source);
    expect(run.exitCode).toBe(2);
    expect(DriftProject.drifting(run.report.findings)).toMatchObject([{ kind: "model-gone", canRedeploy: false }]);
    expect(run.progress).toMatch(/left alone: .*none of its sources is there/);
    expect(await inspect("{{.State.StartedAt}}")).toBe(startedAt);
  });

  it("finds that image and container were pruned too, and fetches, builds and measures all of it anew", async () => {
    const image = await inspect("{{.Image}}");
    await docker("rm", "--force", server);
    await docker("rmi", "--force", image);
    await mend(["image-gone", "model-gone", "server-gone"]);
  });

  it("tells no secret of a hook's address, and fails on an option that it does not know", async () => {
    const { all, exitCode } = await execa("node", ["scripts/cli.ts", "drift", "--stack", "no-such-stack"], {
      cwd: drift.project.dir,
      env: { ...drift.project.env, LLM_SERVER_NOTIFY_URL: "http://127.0.0.1:9/canary-81f2" },
      all: true,
      reject: false,
    });
    expect(exitCode).toBe(1);
    expect(all).toMatch(/no-such-stack/);
    expect(all).not.toContain("canary");
    expect((await drift.start("--no-such-option")).exitCode).toBe(3);
  });
});

/** Zeroes most of a model's weights: the same size, a header that reads well, another content. */
async function spoil(file: string, to = file): Promise<void> {
  if (to !== file) await copyFile(file, to);
  const handle = await open(to, "r+");
  const { size } = await handle.stat();
  const zeros = Buffer.alloc(2 ** 20);
  for (let at = size / 2; at + zeros.length < size; at += zeros.length) await handle.write(zeros, 0, zeros.length, Math.floor(at));
  await handle.close();
}

if (sets.length === 0) it.skip("needs a provider set: install Go for toolchain/, or name a folder of archives in PULUMI_PLUGIN_ARCHIVES");
