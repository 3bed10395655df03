/**
 * Two servers of one release behind the gateway, on the real CLI, Docker and llama.cpp: each is gated, both take traffic, one of them is enough. They share
 * the host's CPU here: that each has GPUs of its own is shown without them, in tests/components and tests/plan.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serverPort } from "../../plan/gateway.ts";
import type { GateResult } from "../../plan/gates/verdict.ts";
import { gatewayName, serverName } from "../../plan/names.ts";
import { underLoad } from "../support/load.ts";
import { DriftProject } from "../support/drift-project.ts";
import { prepareModels } from "../support/models.ts";
import { providerSets } from "../support/provider-sets.ts";
import { StackProject } from "../support/stack-project.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";

const [set] = await providerSets();
await buildTestImage();
await prepareModels(testImage);

interface Outputs {
  readonly verdicts: { readonly benchmark: readonly string[] };
  readonly gateResults: readonly GateResult[];
}

describe.skipIf(set === undefined)("a release of two servers", () => {
  let project: StackProject;
  beforeAll(async () => {
    if (set === undefined) throw new Error("no provider set");
    project = await StackProject.create(set, { fast: true });
    await project.set("rollout.replicas", "2");
    await project.set("rollout.retain", "0");
  });
  afterAll(async () => {
    await project[Symbol.asyncDispose]();
  });

  const pair = async (): Promise<[string, string]> => {
    const release = await project.activeRelease();
    return [serverName(project.stack, release, 0), serverName(project.stack, release, 1)];
  };
  const upstreams = (names: readonly string[]): string[] => names.map((name) => `${name}:${serverPort}`).sort();
  /** Requests for two seconds; those of six clients are more at a time than one server has slots. */
  const ask = (clients = 6): ReturnType<typeof underLoad> => underLoad(project.endpoint, () => sleep(2_000), { clients });
  /** A request that takes seconds: its status, and the message of an error. */
  const generate = async (): Promise<string> => {
    const prompt = { prompt: "Once upon a time", n_predict: 400, ignore_eos: true };
    const response = await fetch(`${project.endpoint}/completion`, { method: "POST", body: JSON.stringify(prompt) });
    const { error } = (await response.json()) as { error?: { message: string } };
    return error === undefined ? String(response.status) : `${response.status} ${error.message}`;
  };
  const status = async (): Promise<{ readonly degraded: string | null }> =>
    JSON.parse((await project.cli("status", project.stack, "--json")).output) as { degraded: string | null };

  it("is promoted after each of them passed a benchmark of its own, one after the other", async () => {
    const { exitCode, output } = await project.up();
    expect(exitCode, output).toBe(0);
    expect(await project.onHost("container")).toEqual([gatewayName(project.stack), ...(await pair())]);
    const { verdicts, gateResults } = (await project.outputs()) as unknown as Outputs;
    expect(verdicts.benchmark.filter((line) => line.includes("benchmark gate: PASSED"))).toHaveLength(2);
    const measured = gateResults.filter(({ gate }) => gate === "benchmark");
    expect(measured.map(({ server }) => server)).toEqual(await pair());
    const [first, second] = measured.map(({ startedAt, wallSec }) => [Date.parse(startedAt), Date.parse(startedAt) + wallSec * 1000]);
    expect(second?.[0]).toBeGreaterThanOrEqual(first?.[1] ?? Infinity);
  });

  it("spreads requests over both", async () => {
    const { load } = await ask();
    expect(load.failures).toEqual([]);
    expect([...load.upstreams].sort()).toEqual(upstreams(await pair()));
  });

  it("hands over to two servers of another profile without a failed request", async () => {
    const before = await pair();
    await project.useCtxSize(8192);
    const { result, load } = await underLoad(project.endpoint, () => project.up(), { clients: 3 });
    expect(result.exitCode, result.output).toBe(0);
    expect(load.failures).toEqual([]);
    const after = await pair();
    expect([...load.upstreams].sort()).toEqual(upstreams([...before, ...after]));
    expect(await project.onHost("container")).toEqual([gatewayName(project.stack), ...after]);
  });

  it("goes on answering when one of them is gone, says so, and takes it back", async () => {
    const [first, second] = await pair();
    const cutOff: Promise<string>[] = [];
    // one after the other: the gateway counts a request only after it has chosen a server, so four at once may all go to one
    for (let sent = 0; sent < 4; sent += 1) {
      cutOff.push(generate());
      await sleep(250);
    }
    await execa("docker", ["kill", second]);
    // a server may have begun with what it was killed over, so nobody but the client may send that again
    const ended = "502 the server ended before it answered; send the request again";
    expect([...new Set(await Promise.all(cutOff))].sort()).toEqual(["200", ended]);
    const { load } = await ask(2); // so that no request waits for another
    expect(load.failures).toEqual([]);
    expect(load.upstreams).toEqual(upstreams([first]));
    expect(load.slowestMs, "no request waits for the one that is gone").toBeLessThan(3_000);
    expect((await status()).degraded).toContain(`${second} does not run`);
    const found = JSON.parse((await project.cli("drift", "--stack", project.stack, "--json")).output) as { findings: [] };
    expect(DriftProject.drifting(found.findings)).toMatchObject([{ kind: "server-stopped", resource: `container ${second}` }]);
    const { exitCode, output } = await project.cli("recover", project.stack);
    expect(exitCode, output).toBe(0);
    expect((await status()).degraded).toBeNull();
    expect([...(await ask()).load.upstreams].sort()).toEqual(upstreams([first, second]));
  });

  it("says which of them hangs while the other answers, and is mended by the command that it names", async () => {
    const [first, second] = await pair();
    await execa("docker", ["exec", second, "sh", "-c", "kill -STOP $(pidof llama-server)"]);
    const { degraded } = await status();
    const problem = "none within 10 s, and no other request went on meanwhile";
    expect(degraded).toBe(`${second} does not answer: ${problem}; run: npm run drift -- --stack ${project.stack} --redeploy`);
    const { exitCode, output } = await project.cli("drift", "--stack", project.stack, "--redeploy", "--deadline", "4");
    expect(exitCode, output).toBe(0);
    expect((await status()).degraded).toBeNull();
    expect([...(await ask()).load.upstreams].sort()).toEqual(upstreams([first, second]));
  });

  it("becomes a release of one server again", async () => {
    await project.set("rollout.replicas", "1");
    const { exitCode, output } = await project.up();
    expect(exitCode, output).toBe(0);
    const [only] = await pair();
    expect(await project.onHost("container")).toEqual([gatewayName(project.stack), only]);
    expect((await ask()).load.upstreams).toEqual(upstreams([only]));
  });
});

if (set === undefined) it.skip("needs a provider set: install Go for toolchain/, or name a folder of archives in PULUMI_PLUGIN_ARCHIVES");
