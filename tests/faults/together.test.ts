/**
 * Faults 47 and 49 of docs/faults.md: deployments at once, of one stack and of two on one device, and Ctrl-C, once and twice, in the middle of a measurement in place of what serves.
 * Cannot prove: two people on two machines; locks are looked at from one.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { recover } from "../support/killing.ts";
import { describeFaults, set } from "./describe-faults.ts";
import { FaultStack } from "./fault-stack.ts";

describeFaults("a deployment in the middle", (stack) => {
  const other = new FaultStack();
  beforeAll(async () => {
    if (set !== undefined) await other.start(set);
    await other.deploy();
    await other.addProfile("next", "tiny", "debian", 2048);
    await other.project.set("rollout.lockWaitSec", "1");
    await stack.addBrokenImage();
    await stack.replaceTool("/usr/bin/llama-perplexity", "#!/bin/sh\nexec sleep 600\n");
    await stack.project.set("gates.perplexity.timeoutSec", "900"); // it measures until it is stopped
    await stack.setStrategy("recreate");
    await stack.use("broken");
  });
  afterAll(() => other.end());

  /** Starts one that goes on measuring, and waits until what served is stopped for it; gives its process in an object, because a promise of a promise would wait for its end. */
  const start = async () => {
    const up = stack.project.start("up", "--yes", "--skip-preview", "--stack", stack.project.stack);
    const isMeasuring = (roles: readonly string[]): boolean => roles.includes("helper running") && !roles.includes("server running");
    await expect.poll(async () => isMeasuring(await stack.roles()), { timeout: 120_000, interval: 200 }).toBe(true);
    return { up };
  };
  /** Ctrl-C in a terminal goes to everything that runs in its foreground. */
  const pressCtrlC = (pid: number | undefined): void => void process.kill(-(pid ?? Number.NaN), "SIGINT");
  /** After an interrupt nothing is left to a person: what served does, and the next command works. */
  const expectPutBack = async (exitCode: number | undefined): Promise<void> => {
    expect(exitCode).not.toBe(0);
    const recovered = await recover(stack.project);
    expect(recovered.exitCode, recovered.output).toBe(0);
    expect(recovered.output).toContain(`release ${stack.release} serves`);
    const status = await stack.cli(["status", stack.project.stack]);
    expect(status.exitCode, status.output).toBe(0);
    await stack.expectServing();
  };

  it("fault 47: is not disturbed by a second one of its stack, nor by another stack's on its device, which says who holds it and goes through afterwards", async () => {
    const { up } = await start();
    const second = await stack.up();
    expect(second.output).toContain("the stack is currently locked by 1 lock(s)");
    expect(second.exitCode).not.toBe(0);
    await other.use("next");
    const held = `another rollout holds the device \\(cpu: stack ${stack.project.stack} tries release \\w+ since .* \\(process \\d+ of .*\\)\\)`;
    const next = `wait for it, or if it is gone for good run: npm run recover -- ${stack.project.stack} --force`;
    await other.expectRefused(await other.up(), new RegExp(`${held}; ${next}`));
    expect(await stack.roles()).toContain("helper running"); // it goes on
    pressCtrlC(up.pid);
    await expectPutBack((await up).exitCode);
    await stack.expectState();
    await other.deploy();
    await other.expectServing();
  });

  it.each([1, 2])("fault 49: is interrupted by Ctrl-C (%i times) and puts back what served", async (times) => {
    const { up } = await start();
    for (let pressed = 0; pressed < times; pressed += 1) {
      pressCtrlC(up.pid);
      await Promise.race([sleep(500), up]);
    }
    await expectPutBack((await up).exitCode);
    // the second one ends Pulumi before it writes that it begins nothing any more; drift says so, and clears it
    const drift = await stack.cli(["drift", "--stack", stack.project.stack, "--redeploy"]);
    expect(drift.exitCode, drift.output).toBe(0);
    await stack.expectServing();
    await stack.expectState();
  });
});
