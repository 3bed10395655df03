/**
 * Faults 43 and 44 of docs/faults.md: a folder lies where the gateway's next pointer is to be, so that no switch can work; under a good candidate, and under a bad one whose way back needs one.
 * Cannot prove: a switch that works and says that it did not.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterEach, beforeAll, expect, it } from "vitest";
import { stateDir } from "../../plan/gateway.ts";
import { gatewayName, serverName } from "../../plan/names.ts";
import { connectDocker } from "../../scripts/docker/host.ts";
import { readLocks } from "../../scripts/rollout/lock.ts";
import { underLoad } from "../support/load.ts";
import { describeFaults } from "./describe-faults.ts";

describeFaults("a switch that is blocked", (stack) => {
  const inGateway = (...command: string[]) => execa("docker", ["exec", gatewayName(stack.project.stack), ...command]);
  const block = () => inGateway("mkdir", `${stateDir}/next`);
  const unblock = () => inGateway("rm", "-rf", `${stateDir}/next`);

  beforeAll(async () => {
    await stack.addProfile("other", "tiny");
    const file = join(stack.project.dir, "configs", "llama-cpp-other.env");
    await writeFile(file, (await readFile(file, "utf8")).replace("LLAMA_ARG_CTX_SIZE=4096", "LLAMA_ARG_CTX_SIZE=3584"));
    await stack.addBrokenImage();
  });
  afterEach(unblock);

  it("fault 43: a switch that breaks off half-way leaves the traffic where it was, and the next deployment only switches", async () => {
    const before = stack.release;
    await stack.project.set("rollout.strategy", "bluegreen");
    await stack.use("other");
    await block();
    const { result, load } = await underLoad(stack.project.endpoint, () => stack.up());
    await unblock();
    await stack.expectRefused(
      result,
      /no gate stood against release \w+, but it did not take traffic: switch failed 3 times: sh -c set -e …: exit code 1: mv: /,
    );
    expect(load).toMatchObject({ failures: [], upstreams: [`${serverName(stack.project.stack, before)}:8080`] });
    await stack.deploy();
    expect(stack.release).not.toBe(before);
    expect(stack.output).not.toMatch(/Command (benchmark|perplexity|answers)-\S+ (creat|updat)/);
    await stack.expectServing();
  });

  it("fault 44: a way back that is blocked is tried once, says that nothing serves, and the command that mends it once the way is free", async () => {
    const name = stack.project.stack;
    const server = serverName(name, stack.release);
    const starts = async (): Promise<string> =>
      (await execa("docker", ["inspect", "--format", "{{.State.StartedAt}} {{.RestartCount}}", server])).stdout;
    await stack.replaceTool("/usr/bin/llama-perplexity", "#!/bin/sh\necho no luck >&2\nexit 1\n");
    await stack.project.set("rollout.strategy", "recreate");
    await stack.use("broken");
    await block();
    const { exitCode, output } = await stack.cli(["up", name, "--yes"]);
    await stack.use("other");
    await stack.mendImage();
    expect(exitCode).not.toBe(0);
    expect(output).toMatch(
      new RegExp(`DEGRADED: stack ${name} serves nothing: perplexity gate error: [^]*run: npm run recover -- ${name}\\b`),
    );
    expect(output.trimEnd().split("\n").at(-1)).toMatch(
      /DEGRADED: the gateway makes requests wait although .*; run: npm run recover -- \w+$/,
    );
    expect(await readLocks(connectDocker(null), name)).toEqual([]);
    const before = await starts();
    await sleep(5_000);
    expect(await starts()).toBe(before);
    expect((await stack.cli(["status", name])).exitCode).toBe(2);
    await unblock();
    const mended = await stack.cli(["recover", name]);
    expect(mended.exitCode, mended.output).toBe(0);
    const status = await stack.cli(["status", name]);
    expect(status.output).toMatch(/^rollout {3}the last one ended \S+, degraded: /m);
    expect(status.output).not.toContain("DEGRADED");
    expect(status).toMatchObject({ exitCode: 0, output: expect.stringContaining("state     ok") as string });
    await stack.expectServing();
  });
});
