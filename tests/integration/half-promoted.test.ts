/**
 * A promotion that was killed after the gateway was switched and before Pulumi knew of it: what serves is in no program any more once the configuration is put
 * back. Cannot prove: what a promotion does that fails by itself there; it leaves the same host.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { switchScript } from "../../plan/gateway.ts";
import { killPart, runningServers, untilQuiet } from "../support/killing.ts";
import { chat, underLoad } from "../support/load.ts";
import { prepareModels } from "../support/models.ts";
import { providerSets } from "../support/provider-sets.ts";
import { StackProject } from "../support/stack-project.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";

const [set] = await providerSets();
await buildTestImage();
await prepareModels(testImage);

describe.skipIf(set === undefined)("a stack whose promotion was killed after the switch", () => {
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
  const upstream = async (): Promise<string> => (await chat(project.endpoint)).upstream;

  /** Deploys a release with another context length, and kills its promotion once the gateway points to it. Gives its id. */
  async function killAfterSwitch(ctxSize: number): Promise<string> {
    await project.useCtxSize(ctxSize);
    const up = project.start("up", "--yes", "--skip-preview", "--stack", project.stack);
    const isOver = up.then(() => true);
    for (;;) {
      const { stdout } = await execa("docker", ["exec", `llm-server-${project.stack}-gateway`, "readlink", "/state/active"]);
      if (!stdout.endsWith(first)) {
        await killPart("promote", up.pid ?? 0);
        const { exitCode, all } = await up;
        expect(exitCode, all).not.toBe(0);
        await untilQuiet(project.stack);
        return stdout.slice(stdout.lastIndexOf("/") + 1);
      }
      if (await Promise.race([isOver, sleep(20, false)])) throw new Error(`up ended before the switch: ${(await up).all}`);
    }
  }

  it("gives the promoted release the traffic again when the configuration is put back, and no request fails", async () => {
    const half = await killAfterSwitch(4352);
    expect(await upstream()).toBe(`${serverOf(half)}:8080`); // the guard finished what had begun
    await project.set("profile", "dev");
    const { result, load } = await underLoad(project.endpoint, () => project.up());
    expect(result.exitCode, result.output).toBe(0);
    expect(result.output).toContain(`release ${first} was promoted last, but release ${half} takes the traffic since `);
    expect(load.failures).toEqual([]);
    expect(await upstream()).toBe(`${serverOf(first)}:8080`);
    expect(await runningServers(project.stack)).toEqual([serverOf(first)]);
    expect(await project.onHost("container")).not.toContain(serverOf(half));
    expect(await project.up("--expect-no-changes")).toMatchObject({ exitCode: 0 });
  });

  it("finishes the promotion when the same configuration is deployed again", async () => {
    const half = await killAfterSwitch(4608);
    const { result, load } = await underLoad(project.endpoint, () => project.up());
    expect(result.exitCode, result.output).toBe(0);
    expect(load.failures).toEqual([]);
    expect(await upstream()).toBe(`${serverOf(half)}:8080`);
    expect(await project.up("--expect-no-changes")).toMatchObject({ exitCode: 0 });
    first = half;
  });

  it("puts back a pointer that was changed by hand, twice if it has to, although the evidence of its gates is gone", async () => {
    await execa("docker", ["volume", "rm", `llm-server-${project.stack}-evidence`]);
    for (let round = 0; round < 2; round++) {
      const script = switchScript("0000000000", [serverOf("0000000000")]);
      await execa("docker", ["exec", `llm-server-${project.stack}-gateway`, "sh", "-c", script]);
      const { exitCode, output } = await project.up();
      expect(exitCode, output).toBe(0);
      expect(output).toContain(`release ${first} was promoted last, but release 0000000000 takes the traffic since `);
      expect(output).toMatch(/what was measured could not be kept, .*: not in the volume/);
      expect(await upstream()).toBe(`${serverOf(first)}:8080`);
      expect(await project.up("--expect-no-changes")).toMatchObject({ exitCode: 0 });
    }
  });

  it("previews without a Docker host", async () => {
    const { exitCode, all } = await execa("pulumi", ["preview", "--non-interactive", "--stack", project.stack], {
      cwd: project.dir,
      env: { ...project.env, DOCKER_HOST: "unix:///nonexistent/docker.sock" },
      all: true,
      reject: false,
    });
    expect(exitCode, all).toBe(0);
    expect(all).not.toContain("promote");
  });
});

if (set === undefined) it.skip("needs a provider set: install Go for toolchain/, or name a folder of archives in PULUMI_PLUGIN_ARCHIVES");
