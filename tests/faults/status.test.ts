/**
 * Every degraded state that `status` knows but a killed rollout (tests/integration/chaos.test.ts), made by hand on one deployed stack and mended by the very command that it names; and what
 * its callers are told meanwhile. Cannot prove: two of them at once.
 */
import { execa } from "execa";
import { expect, it } from "vitest";
import { holdScript, stateDir, switchScript } from "../../plan/gateway.ts";
import { gatewayName, serverName, volumeName } from "../../plan/names.ts";
import { connectDocker } from "../../scripts/docker/host.ts";
import { readLocks, tryLock } from "../../scripts/rollout/lock.ts";
import { thisProcess } from "../../scripts/rollout/owner.ts";
import type { PulumiRun } from "../support/stack-project.ts";
import { testImage } from "../support/test-image.ts";
import { describeFaults } from "./describe-faults.ts";
import type { FaultStack } from "./fault-stack.ts";

const holdSec = 4;

const withShortHold = (stack: FaultStack): Promise<void> =>
  stack.configure((settings) => {
    (settings["llm-server:gateway"] as Record<string, unknown>)["holdSec"] = holdSec;
  });

function degraded(stack: FaultStack): void {
  const name = (): string => stack.project.stack;
  const server = (): string => serverName(name(), stack.release);
  const docker = (...args: string[]) => execa("docker", args);
  const inGateway = (script: string) => docker("exec", gatewayName(name()), "sh", "-c", script);

  /** Runs a command as `status` names it. */
  const run = (command: string): Promise<PulumiRun> => {
    const [words, pulumiWords = ""] = command
      .replaceAll("'", "")
      .replace("npm run ", "")
      .split(/ -- -(?=-)/);
    const [program = "", ...args] = (words ?? "").split(" ").filter((word) => word !== "--");
    return stack.cli([
      program,
      ...args,
      ...(program === "up" ? ["--yes", "--", ...(pulumiWords === "" ? [] : `-${pulumiWords}`.split(" "))] : []),
    ]);
  };

  it.each<[string, () => Promise<unknown>, RegExp, string]>([
    ["whose gateway was stopped", () => docker("stop", gatewayName(name())), /the gateway is stopped/, "recover"],
    ["whose gateway was removed", () => docker("rm", "--force", gatewayName(name())), /the gateway is missing/, "up"],
    ["whose server was stopped", () => docker("stop", server()), /does not run/, "recover"],
    ["whose server was removed", () => docker("rm", "--force", server()), /the server of release \w+ is gone/, "up"],
    ["whose gateway holds requests for nobody", () => inGateway(holdScript), /makes requests wait although/, "recover"],
    [
      "whose gateway routes nowhere",
      () => inGateway(`ln -sfn none ${stateDir}/next && mv -T ${stateDir}/next ${stateDir}/active`),
      /routes to no release/,
      "up",
    ],
    [
      "whose gateway routes to a release that is gone",
      () => inGateway(switchScript("ffffffffff", ["nowhere"])),
      /routes to ffffffffff/,
      "up",
    ],
  ])("%s says so and names the command, which mends it", async (_state, fault, trouble, program) => {
    await fault();
    const { exitCode, output } = await stack.cli(["status", name()]);
    expect(exitCode).toBe(2);
    const [, why = "", command = ""] = /degraded: (.*); run: (.*)$/m.exec(output) ?? [];
    expect(why).toMatch(trouble);
    expect(command).toContain(`npm run ${program} -- ${name()}`);
    const mended = await run(command);
    expect(mended.exitCode, mended.output).toBe(0);
    expect(await stack.cli(["status", name()])).toMatchObject({ exitCode: 0, output: expect.stringContaining("state     ok") as string });
    await stack.expectServing();
  });

  it("lets a request wait while nobody takes it, for holdSec seconds, and then says when to come again", async () => {
    await inGateway(holdScript);
    const startMs = performance.now();
    const response = await fetch(`${stack.project.endpoint}/completion`, {
      method: "POST",
      body: JSON.stringify({ prompt: "hi", n_predict: 1 }),
    });
    const waitedSec = (performance.now() - startMs) / 1000;
    expect(waitedSec).toBeGreaterThanOrEqual(holdSec);
    expect(waitedSec).toBeLessThan(holdSec + 5);
    expect(response.status).toBe(503);
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    const message = `no release took the request within ${holdSec} s`;
    expect(await response.json()).toMatchObject({ error: { code: 503, type: "unavailable_error", message } });
    await stack.cli(["recover", name()]);
    await stack.expectServing();
  });

  it("ends a deployment that was refused with what serves, below what Pulumi prints of the release before", async () => {
    await stack.use("no-such");
    const { exitCode, output } = await stack.cli(["up", name(), "--yes"]);
    await stack.use("tiny");
    expect(exitCode).not.toBe(0);
    expect(output.trimEnd().split("\n").at(-1)).toBe(
      `up: not done; why stands above, under Diagnostics. Release ${stack.release} takes the traffic: npm run status -- ${name()}`,
    );
  });

  it("keeps a rollout of another machine, which may be at work, until it is taken over by force", async () => {
    const client = connectDocker(null);
    const owner = { ...(await thisProcess()), hostname: "elsewhere" };
    const candidate = "ffffffffff";
    const places = { helperImage: testImage, evidenceVolume: volumeName(name(), "evidence") };
    const times = { since: new Date().toISOString(), readyTimeoutSec: 60, drainSec: 1 };
    const what = { stack: name(), candidate, previous: stack.release, strategy: "recreate" } as const;
    await tryLock(client, `test-${name()}`, { version: 1, rollout: "elsewhere", owner, ...times, ...what, ...places });
    await inGateway(holdScript);
    await docker("stop", server());
    const left = await stack.cli(["recover", name()]);
    expect(left.exitCode).toBe(1);
    expect(left.output).toMatch(
      /a rollout was begun on another machine .*on elsewhere.*; if it is gone for good: npm run recover -- \w+ --force/,
    );
    expect(await readLocks(client, name())).toHaveLength(1);
    const forced = await stack.cli(["recover", name(), "--force"]);
    expect(forced.exitCode, forced.output).toBe(0);
    expect(await readLocks(client, name())).toEqual([]);
    await stack.expectServing();
  });
}

describeFaults("a degraded stack", degraded, withShortHold);
