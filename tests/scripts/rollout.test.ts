/**
 * What locks, guards and recoveries do to a host and in which order, before a fake engine. Cannot prove: that Docker keeps names unique and removes what it is
 * told to; tests/integration and tests/faults run on the real one.
 */
import { spawn } from "node:child_process";
import http from "node:http";
import { hostname, tmpdir } from "node:os";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { activeLink, upstreamHeader } from "../../plan/gateway.ts";
import { gatewayName, labels, lockName, objectLabels, serverName } from "../../plan/names.ts";
import type { LockRecord, Owner } from "../../plan/rollout/records.ts";
import { pidsLimit } from "../../plan/server-container.ts";
import { projectDir } from "../../scripts/paths.ts";
import { lockDevices } from "../../scripts/rollout/device-locks.ts";
import { drain } from "../../scripts/rollout/drain.ts";
import { tryLock } from "../../scripts/rollout/lock.ts";
import { readNeed, readNeighbours } from "../../scripts/rollout/memory.ts";
import { thisProcess } from "../../scripts/rollout/owner.ts";
import { recoverRollout, recoverStack, recoveryDevice } from "../../scripts/rollout/recover.ts";
import { FakeEngine } from "../support/fake-engine.ts";

const stack = "s";
const dead: Owner = { pid: 1, startTicks: "0", bootId: "before the last reboot", hostname: hostname(), user: "somebody" };
const elsewhere: Owner = { ...dead, hostname: "elsewhere" };
const times = { readyTimeoutSec: 20, drainSec: 1 };
const described: LockRecord = {
  version: 1,
  rollout: "r1",
  owner: dead,
  since: "2026-01-01T00:00:00.000Z",
  stack,
  candidate: "new",
  previous: "old",
  strategy: "recreate",
  ...times,
  helperImage: "sha256:fake",
  evidenceVolume: "evidence",
};

let engine: FakeEngine;
let server: http.Server;
/** Whether the release answers; until then requests to it hang. */
let answers: boolean;
let said: string[];
beforeEach(async () => {
  engine = await FakeEngine.start();
  answers = true;
  said = [];
  // the release and, on the same port, the gateway before it
  server = http.createServer((_, response) => {
    if (answers)
      response
        .writeHead(200, { "content-type": "application/json", [upstreamHeader]: `${serverName(stack, "old")}:8080` })
        .end(JSON.stringify({ choices: [{ finish_reason: "stop" }] }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await engine[Symbol.asyncDispose]();
});

const options = (reason = "test") => ({
  reason,
  signal: new AbortController().signal,
  progress: (line: string): void => void said.push(line),
});
const port = (): number => (server.address() as AddressInfo).port;
const addServer = (release: string, isRunning = false): string =>
  engine.add({ name: serverName(stack, release), labels: objectLabels(stack, "server", release), isRunning, port: port() });
const addGateway = (active: string): string =>
  engine.add({
    name: gatewayName(stack),
    labels: objectLabels(stack, "gateway"),
    isRunning: true,
    port: port(),
    links: { [activeLink]: `/state/${active}` },
  });
const addHelper = (owner: Owner, isLeaving = false): string =>
  engine.add({
    name: "helper",
    labels: { ...objectLabels(stack, "helper"), [labels.process]: JSON.stringify(owner) },
    isRunning: true,
    isLeaving,
  });
const lock = (device: string, change: Partial<LockRecord> = {}) => tryLock(engine.client, device, { ...described, ...change });
const hasLock = (device: string): boolean => engine.names().includes(lockName(device));

describe("a recovery", () => {
  it.each([
    { what: "removes the helper of a killed gate", isLeaving: false, end: "remove helper" },
    { what: "waits until the helper that its guard is removing is gone", isLeaving: true, end: "gone helper" },
  ])("$what before it starts what served: both would need the GPU", async ({ isLeaving, end }) => {
    addServer("old");
    addHelper(dead, isLeaving);
    await lock("gpu-0");
    const ended = await recoverRollout(engine.client, described, options());
    expect(ended).toMatchObject({ result: "degraded", reason: expect.stringContaining("release old runs behind it") as string });
    const started = engine.changes.indexOf(`start ${serverName(stack, "old")}`);
    expect(started).toBeGreaterThan(0);
    expect(engine.changes.indexOf(end)).toBeGreaterThanOrEqual(0);
    expect(engine.changes.indexOf(end)).toBeLessThan(started);
    expect(hasLock("gpu-0")).toBe(false);
  });

  it("of a stack without a rollout removes dead helpers, and gives the gateway its limit of processes", async () => {
    addServer("old", true);
    addGateway("old");
    addHelper(dead);
    expect(await recoverStack(engine.client, stack, times, options())).toEqual({ kind: "serves", release: "old" });
    expect(engine.changes).toContain("remove helper");
    expect(engine.changes).toContain(`update ${gatewayName(stack)} ${JSON.stringify({ PidsLimit: pidsLimit })}`);
  });

  it("leaves the helpers of another machine, unless it is forced", async () => {
    addServer("old", true);
    addGateway("old");
    addHelper(elsewhere);
    await recoverStack(engine.client, stack, times, options());
    expect(engine.names()).toContain("helper");
    await recoverStack(engine.client, stack, times, { ...options(), force: true });
    expect(engine.names()).not.toContain("helper");
  });

  it("of a stack without a rollout lets no other one begin, and ends when a rollout does", async () => {
    addServer("old", true);
    addGateway("old");
    answers = false;
    const recovery = recoverStack(engine.client, stack, times, options());
    await expect.poll(() => hasLock(recoveryDevice(stack))).toBe(true);
    await lock("gpu-0", { rollout: "r2", owner: await thisProcess() });
    expect(await recovery).toMatchObject({ kind: "busy", rollout: { record: { rollout: "r2" } } });
    expect(engine.names()).toEqual([gatewayName(stack), lockName("gpu-0"), serverName(stack, "old")].sort());
    expect(engine.changes.filter((change) => !change.includes("lock"))).toEqual([]);
  });

  it("does not begin beside a rollout", async () => {
    addServer("old");
    addGateway("old");
    await lock("gpu-0", { owner: await thisProcess() });
    expect(await recoverStack(engine.client, stack, times, options())).toMatchObject({ kind: "busy" });
    expect(engine.changes.filter((change) => !change.includes("lock"))).toEqual([]);
  });

  it("takes over the lock that an earlier try of the same process left", async () => {
    addServer("old", true);
    addGateway("old");
    await lock(recoveryDevice(stack), { owner: await thisProcess() });
    expect(await recoverStack(engine.client, stack, times, options())).toEqual({ kind: "serves", release: "old" });
    expect(hasLock(recoveryDevice(stack))).toBe(false);
  });

  it("says for whom it waits, on a machine that it can't look at, and takes over by force", async () => {
    addServer("old", true);
    addGateway("old");
    await lock(recoveryDevice(stack), { owner: elsewhere });
    const abort = new AbortController();
    const waiting = recoverStack(engine.client, stack, times, { ...options(), signal: abort.signal });
    await expect.poll(() => said).toHaveLength(1);
    abort.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow();
    expect(said[0]).toMatch(/waiting for another recovery of the stack \(since .* on elsewhere\)\); .* npm run recover -- s --force/);
    expect(await recoverStack(engine.client, stack, times, { ...options(), force: true })).toEqual({ kind: "serves", release: "old" });
  });
});

describe("the locks of a rollout", () => {
  const take = (waitSec: number, describe = (): Promise<LockRecord> => own()): Promise<LockRecord> =>
    lockDevices(engine.client, ["gpu-0"], describe, waitSec, options());
  const own = async (change: Partial<LockRecord> = {}): Promise<LockRecord> => ({ ...described, owner: await thisProcess(), ...change });

  it("wait for a recovery of the stack, say so, and are given back if it takes too long", async () => {
    await lock(recoveryDevice(stack), { owner: elsewhere });
    await expect(take(0.3)).rejects.toThrow(
      /a recovery of stack s is at work \(since .* on elsewhere\)\); .* npm run recover -- s --force/,
    );
    expect(said).toEqual([expect.stringMatching(/^waiting for a recovery of the stack \(since .* on elsewhere\)\)$/)]);
    expect(hasLock("gpu-0")).toBe(false);
  });

  it("are taken when the recovery has ended", async () => {
    const recovery = await lock(recoveryDevice(stack), { owner: elsewhere });
    const taking = take(10);
    await expect.poll(() => said).toHaveLength(1);
    engine.containers.delete(recovery?.id ?? "");
    expect(await taking).toMatchObject({ rollout: "r1" });
    expect(hasLock("gpu-0")).toBe(true);
  });

  it("are found held by an earlier program of the same chain, and taken anew where a recovery has ended its rollout meanwhile", async () => {
    const earlier = await lock("gpu-0", { rollout: "r0", owner: await thisProcess() });
    expect(await take(1)).toMatchObject({ rollout: "r0" });
    const recovery = await lock(recoveryDevice(stack), { owner: elsewhere });
    const taking = take(10);
    await expect.poll(() => said).toHaveLength(1);
    engine.containers.delete(earlier?.id ?? "");
    engine.containers.delete(recovery?.id ?? "");
    expect(await taking).toMatchObject({ rollout: "r1" });
    expect(hasLock("gpu-0")).toBe(true);
  });

  it("say what is true when the wait is over: what served may have changed during it", async () => {
    const previous = ["old", "new", "new", "new"];
    let rollouts = 0;
    const record = await take(1, () => own({ rollout: `r${rollouts++}`, previous: previous.shift() ?? null }));
    expect(record).toMatchObject({ rollout: "r2", previous: "new" });
    expect(engine.names()).toEqual([lockName("gpu-0")]);
  });

  it("can't be had while another container has their name: fails after the wait, naming it, without asking all the time", async () => {
    engine.add({ name: lockName("gpu-0"), labels: {} });
    engine.add({
      name: lockName("gpu-1"),
      labels: { ...objectLabels("b", "lock"), [labels.device]: "gpu-1", [labels.lock]: '"of another version"' },
    });
    await expect(take(1)).rejects.toThrow(
      /the device can't be locked: container llm-server-lock-gpu-0 has the name of a lock and is none; .*docker rm --force llm-server-lock-gpu-0/,
    );
    expect(engine.requests).toBeLessThan(40);
  });
});

describe("the guard of a rollout", { timeout: 60_000 }, () => {
  it("goes on where the engine does not answer for a while", async () => {
    addServer("old");
    await lock("gpu-0");
    engine.isBroken = true;
    const guard = spawn(process.execPath, [join(projectDir, "scripts", "rollout", "guard.ts")], {
      env: { ...process.env, ...engine.env },
      stdio: ["pipe", "ignore", "ignore"],
    });
    const ended = new Promise<number | null>((resolve) => guard.once("exit", resolve));
    const before = engine.requests;
    guard.stdin.end(`${JSON.stringify(described)}\n`);
    await expect.poll(() => engine.requests, { timeout: 10_000 }).toBeGreaterThan(before);
    engine.isBroken = false;
    expect(await ended).toBe(0);
    expect(engine.changes).toContain(`start ${serverName(stack, "old")}`);
    expect(hasLock("gpu-0")).toBe(false);
  });
});

describe("npm run recover", { timeout: 120_000 }, () => {
  const recover = (...args: readonly string[]) =>
    execa(process.execPath, ["scripts/cli.ts", "recover", stack, ...args], {
      cwd: projectDir,
      env: { ...engine.env, PULUMI_BACKEND_URL: `file://${join(tmpdir(), "no-such-backend")}` },
      all: true,
      reject: false,
    });

  it("stops nothing where the gateway's container is gone, and names the command that mends it", async () => {
    addServer("old", true);
    const { exitCode, stdout } = await recover();
    expect(stdout).toBe(
      "s: DEGRADED: the gateway's container is gone; what it routed to is not known, and nothing was started or stopped; bring it back through its gates: npm run up -- s --yes -- --refresh",
    );
    expect(exitCode).toBe(1);
    expect(engine.changes).not.toContain(`stop ${serverName(stack, "old")}`);
  });

  it("mends what several killed rollouts left, each of them", async () => {
    addServer("old", true);
    addGateway("old");
    await lock("gpu-0");
    await lock("gpu-1");
    await lock("cpu", { rollout: "r2" });
    const { exitCode, stdout, stderr } = await recover();
    expect(stdout).toMatch(/^s: release old serves/);
    expect(exitCode).toBe(0);
    expect(stderr.match(/a rollout was killed/g)).toHaveLength(2);
    expect(engine.names().filter((name) => name.includes("lock"))).toEqual([]);
  });

  it("leaves a recovery of another machine alone, and takes over by force", async () => {
    addServer("old", true);
    addGateway("old");
    await lock(recoveryDevice(stack), { owner: elsewhere });
    const left = await recover();
    expect(left.stdout).toMatch(
      /^s: a recovery was begun on another machine \(since .* on elsewhere\)\); .* npm run recover -- s --force$/,
    );
    expect(left.exitCode).toBe(1);
    expect(await recover("--force")).toMatchObject({ exitCode: 0, stdout: "s: release old serves" });
  });
});

describe("a drain", () => {
  const drainOf = (id: string, drainSec: number): Promise<number> =>
    drain(engine.client.getContainer(id), drainSec, new AbortController().signal);

  it("takes a server that does not answer for one that is at work, until its time is over", async () => {
    answers = false;
    const startMs = performance.now();
    expect(await drainOf(addServer("old", true), 0.3)).toBe(1);
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(300);
  });

  it("has nothing to wait for at a server that refuses connections", async () => {
    const id = addServer("old", true);
    await new Promise((resolve) => server.close(resolve));
    expect(await drainOf(id, 60)).toBe(0);
  });

  it("has nothing to wait for at a server that does not run", async () => {
    expect(await drainOf(addServer("old"), 60)).toBe(0);
  });

  it("has nothing to wait for at a server whose container is gone", async () => {
    expect(await drainOf("gone", 60)).toBe(0);
  });
});

describe("planned memory, as the containers' labels say it", () => {
  const addPlanned = (of: string, release: string, need: object | null, isRunning = true, replica = 0): string =>
    engine.add({
      name: serverName(of, release, replica),
      labels: { ...objectLabels(of, "server", release), ...(need === null ? {} : { [labels.memory]: JSON.stringify(need) }) },
      isRunning,
    });

  it("of a release is that of all its servers, and unknown where one does not say it or none is there", async () => {
    addPlanned(stack, "old", { host: 1, "gpu-0": 2 });
    addPlanned(stack, "old", { host: 1, "gpu-1": 4 }, true, 1);
    addPlanned(stack, "unplanned", null);
    expect(await readNeed(engine.client, stack, "old")).toEqual({ host: 2, "gpu-0": 2, "gpu-1": 4 });
    expect(await readNeed(engine.client, stack, "unplanned")).toBe(null);
    expect(await readNeed(engine.client, stack, "gone")).toBe(null);
  });

  it("of neighbours is that of the servers of other stacks that run", async () => {
    addPlanned(stack, "old", { host: 1 });
    addPlanned("b", "runs", { host: 2, "gpu-0": 3 });
    addPlanned("b", "stopped", { host: 4 }, false);
    addPlanned("c", "unplanned", null);
    expect(await readNeighbours(engine.client, stack)).toEqual([
      { stack: "b", need: { host: 2, "gpu-0": 3 } },
      { stack: "c", need: null },
    ]);
  });
});
