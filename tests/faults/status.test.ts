/**
 * Every degraded state that `status` knows but a killed rollout (tests/integration/chaos.test.ts) and a way back that is blocked (switch.test.ts), made by hand on a deployed stack and mended by
 * the very command that it names; and what its callers are told meanwhile. Cannot prove: two of them at once; a GPU that is lost.
 */
import { randomBytes } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keysFile } from "../../plan/access.ts";
import { holdScript, stateDir, switchScript } from "../../plan/gateway.ts";
import { gatewayName, serverName, volumeName } from "../../plan/names.ts";
import { connectDocker } from "../../scripts/docker/host.ts";
import { readLocks, removeLock, tryLock } from "../../scripts/rollout/lock.ts";
import { thisProcess } from "../../scripts/rollout/owner.ts";
import { prepareModels } from "../support/models.ts";
import { providerSets, type ProviderSet } from "../support/provider-sets.ts";
import type { PulumiRun } from "../support/stack-project.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";
import { describeFaults } from "./describe-faults.ts";
import { FaultStack } from "./fault-stack.ts";

const holdSec = 4;
const key = randomBytes(32).toString("hex");

const withShortHold = (stack: FaultStack): Promise<void> =>
  stack.configure((settings) => {
    (settings["gateway"] as Record<string, unknown>)["holdSec"] = holdSec;
  });

const docker = (...args: string[]) => execa("docker", args);

/** Runs a command as `status` names it. */
function run(stack: FaultStack, command: string): Promise<PulumiRun> {
  const [, program = "", words = ""] = /^npm run (\S+) -- (.*)$/.exec(command.replaceAll("'", "")) ?? [];
  const args = words.split(" ");
  return stack.cli([program, ...(program === "up" ? args.toSpliced(1, 0, "--yes") : args)]);
}

/** Fails unless `status` says that the stack is degraded, why, and a command of this program which mends it. */
async function expectMended(stack: FaultStack, trouble: RegExp, program: string): Promise<void> {
  const name = stack.project.stack;
  const { exitCode, output } = await stack.cli(["status", name]);
  expect(exitCode, output).toBe(2);
  const [, why = "", command = ""] = /degraded: (.*); run: (.*)$/m.exec(output) ?? [];
  expect(why).toMatch(trouble);
  expect(command).toMatch(new RegExp(`^npm run ${program} -- .*\\b${name}\\b`));
  const mended = await run(stack, command);
  expect(mended.exitCode, mended.output).toBe(0);
  const after = await stack.cli(["status", name]);
  expect(after.output).toMatch(/^answer {4}in \d+\.\d\d s$/m);
  expect(after).toMatchObject({ exitCode: 0, output: expect.stringContaining("state     ok") as string });
}

/** What `status` shows of {@link besideRollout}. */
const otherRollout = /^device {4}cpu: stack other tries release ffffffffff since .*; a rollout of this stack waits for it$/m;

/** Does something while a rollout of another stack holds a device. */
async function besideRollout<T>(device: string, work: () => Promise<T>): Promise<T> {
  const client = connectDocker(null);
  const times = { since: new Date().toISOString(), readyTimeoutSec: 60, drainSec: 1 };
  const what = { stack: "other", candidate: "ffffffffff", previous: null, strategy: "recreate" } as const;
  const places = { helperImage: testImage, evidenceVolume: volumeName("other", "evidence") };
  const record = { version: 1, rollout: "other", owner: await thisProcess(), ...times, ...what, ...places } as const;
  for (;;) {
    const lock = await tryLock(client, device, record);
    if (lock === undefined)
      await sleep(500); // somebody else's rollout, which ends
    else return await work().finally(() => removeLock(client, lock));
  }
}

function degraded(stack: FaultStack): void {
  const name = (): string => stack.project.stack;
  const server = (): string => serverName(name(), stack.release);
  const inGateway = (script: string) => docker("exec", gatewayName(name()), "sh", "-c", script);
  const signalServer = (signal: string) => docker("exec", server(), "sh", "-c", `kill -${signal} $(pidof llama-server)`);

  /** The file that is served is cut off, as a new one because it is the same as the one that it is fetched from; a server notices when it starts again. */
  const loseModel = async (): Promise<void> => {
    const models = join(stack.project.dir, "models");
    const [file, ...others] = (await readdir(models, { recursive: true })).filter((path) => path.endsWith("/tiny.gguf"));
    expect(others).toEqual([]);
    const served = join(models, file ?? "");
    const whole = await readFile(served);
    await rm(served);
    await writeFile(served, whole.subarray(0, 100_000));
    await signalServer("KILL");
    const restarts = async (): Promise<number> => Number((await docker("inspect", "--format", "{{.RestartCount}}", server())).stdout);
    await expect.poll(restarts, { timeout: 60_000 }).toBeGreaterThanOrEqual(3);
  };

  it.each<[string, () => Promise<unknown>, RegExp, string]>([
    ["whose gateway was stopped", () => docker("stop", gatewayName(name())), /the gateway is stopped/, "recover"],
    ["whose gateway was removed", () => docker("rm", "--force", gatewayName(name())), /the gateway is missing/, "up"],
    ["whose server was stopped", () => docker("stop", server()), /does not run/, "recover"],
    ["whose server was removed", () => docker("rm", "--force", server()), /the server of release \w+ is gone/, "up"],
    ["whose server was paused", () => docker("pause", server()), /is paused/, "drift"],
    ["whose server hangs", () => signalServer("STOP"), /no answer through the gateway: none within 10 s, and no other/, "drift"],
    ["whose server ends again and again", loseModel, /ends again and again \(.*its log ends: .*\S/, "drift"],
    ["whose gateway was paused", () => docker("pause", gatewayName(name())), /no answer through the gateway/, "drift"],
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
    await expectMended(stack, trouble, program);
    await stack.expectServing();
  });

  it("shows where a stopped gateway will route to, and the server behind it as what it is", async () => {
    await docker("stop", gatewayName(name()));
    const { output } = await stack.cli(["status", name()]);
    expect(output).toContain(`release   ${stack.release}\n`);
    expect(output).toMatch(new RegExp(`^server {4}${server()} {2}active, Up`, "m"));
    expect((await stack.cli(["recover", name()])).exitCode).toBe(0);
    await stack.expectServing();
  });

  it("is busy, not degraded, while its server works on the requests of others", async () => {
    const over = new AbortController();
    const body = JSON.stringify({ prompt: "hi", n_predict: 1900, ignore_eos: true });
    const ask = () => fetch(`${stack.project.endpoint}/completion`, { method: "POST", body, signal: over.signal }).then((r) => r.text());
    const others = Promise.allSettled(Array.from({ length: 150 }, ask));
    const { exitCode, output } = await stack.cli(["status", name()]);
    over.abort();
    await others;
    expect(output).toMatch(/^state {5}busy: no answer: none within 10 s, but it worked on other requests all the time/m);
    expect(exitCode).toBe(0);
    await stack.expectServing();
  });

  it("has the memory that its benchmark measured", async () => {
    const { output } = await stack.cli(["status", name(), "--json"]);
    const { servers } = JSON.parse(output) as { servers: { role: string; measuredMiB: object }[] };
    expect(servers.find(({ role }) => role === "active")).toMatchObject({
      measuredMiB: { host: expect.any(Number) as number },
    });
  });

  it("is told by recover, too, where only its gates can bring it back", async () => {
    await docker("rm", "--force", server());
    const { exitCode, output } = await stack.cli(["recover", name()]);
    expect(exitCode).toBe(1);
    const [, command = ""] = /DEGRADED: release \w+: its container is gone; bring it back through its gates: (.*)$/m.exec(output) ?? [];
    const mended = await run(stack, command);
    expect(mended.exitCode, mended.output).toBe(0);
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

  it("ends a deployment that was refused with what is wrong, where nothing serves", async () => {
    await docker("stop", server());
    await stack.use("no-such");
    const { output } = await stack.cli(["up", name(), "--yes"]);
    await stack.use("tiny");
    expect(output.trimEnd().split("\n").at(-1)).toBe(
      `up: not done; why stands above, under Diagnostics. DEGRADED: ${server()} does not run; run: npm run recover -- ${name()}`,
    );
    expect((await stack.cli(["recover", name()])).exitCode).toBe(0);
    await stack.expectServing();
  });

  it("shows a rollout of another stack on its device, which is no trouble of its own", async () => {
    const { exitCode, output } = await besideRollout("cpu", () => stack.cli(["status", name()]));
    expect(output).toMatch(otherRollout);
    expect(output).toContain("state     ok");
    expect(exitCode).toBe(0);
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

describeFaults(
  "a degraded stack that wants API keys",
  (stack) => {
    const ask = async (): Promise<number> =>
      (await fetch(`${stack.project.endpoint}/v1/models`, { headers: { authorization: `Bearer ${key}` } })).status;

    it("whose gateway has lost them says so and names the command, which brings them without a restart", async () => {
      const gateway = gatewayName(stack.project.stack);
      const started = async (): Promise<string> => (await docker("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", gateway)).stdout;
      const before = await started();
      await docker("exec", gateway, "rm", "-f", keysFile);
      expect(await ask()).toBe(401);
      await expectMended(stack, /the gateway has lost its API keys and refuses everybody/, "up");
      expect(await ask()).toBe(200);
      expect(await started()).toBe(before);
    });
  },
  async (stack) => {
    await stack.project.pulumi("config", "set", "--secret", "--path", "llm-server:apiKeys[0]", key, "--stack", stack.project.stack);
  },
);

const sets = await providerSets();
const set = sets.find(({ name }) => name === "official") ?? sets[0];

describe.skipIf(set === undefined)("a stack whose first deployment was refused", () => {
  const stack = new FaultStack();
  beforeAll(async () => {
    await buildTestImage();
    await prepareModels(testImage);
    await stack.start(set as ProviderSet);
  });
  afterAll(() => stack.end());

  it("has no release, says so and names the command, which deploys one once the configuration is mended", async () => {
    const name = stack.project.stack;
    await stack.project.set("gates.perplexity.thresholds.ceiling", "1.5");
    const refused = await stack.cli(["up", name, "--yes"]);
    await stack.project.set("gates.perplexity.thresholds.ceiling", "1000000000");
    expect(refused.exitCode).not.toBe(0);
    expect(refused.output.trimEnd().split("\n").at(-1)).toMatch(/No release serves yet\.$/);
    const { output } = await besideRollout("cpu", () => stack.cli(["status", name]));
    expect(output).toMatch(/^server {4}\S+ {2}candidate that was not promoted, /m);
    expect(output).toMatch(otherRollout);
    await expectMended(stack, /no release has been promoted yet/, "up");
  });
});
