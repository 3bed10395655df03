/** What `status` prints, from values. That they are what the host says is shown in tests/faults/status.test.ts and tests/integration. */
import { describe, expect, it } from "vitest";
import type { RolloutRecord } from "../../plan/rollout/records.ts";
import type { MemoryNeed } from "../../plan/rollout/strategy.ts";
import {
  formatStatus,
  measuredNeed,
  roleOf,
  type MeasuredPeaks,
  type RoleContext,
  type ServerRole,
  type ServerStatus,
  type Status,
} from "../../plan/status.ts";

const peace: RoleContext = { active: "a", rollout: null, kept: ["a", "b"] };
const atWork: RoleContext = { ...peace, rollout: { candidate: "c", previous: "a", isAtWork: true } };
const switched: RoleContext = { ...atWork, active: "c" };

describe("the role of a server", () => {
  it.each<[string, string, boolean, RoleContext, ServerRole]>([
    ["that takes traffic", "a", true, peace, "active"],
    ["that would take traffic if it ran", "a", false, peace, "active"],
    ["that took traffic and is kept", "b", false, peace, "retained"],
    ["that failed its gates", "c", false, peace, "unpromoted"],
    ["that runs without reason", "b", true, peace, "leftover"],
    ["that is tried", "c", true, atWork, "candidate"],
    ["that is to be tried", "c", false, atWork, "candidate"],
    ["that has taken the traffic of a rollout which is still at work", "c", true, switched, "active"],
    ["that finishes its requests after the switch", "a", true, switched, "finishing"],
    ["that has finished them", "a", false, { ...switched, kept: [] }, "retained"],
    [
      "that a killed rollout left running",
      "a",
      true,
      { ...switched, rollout: { candidate: "c", previous: "a", isAtWork: false } },
      "leftover",
    ],
    ["that is stopped, where nobody can read what is kept", "c", false, { ...peace, kept: null }, "retained"],
  ])("%s", (_what, release, isRunning, context, role) => {
    expect(roleOf(release, isRunning, context)).toBe(role);
  });
});

const server: ServerStatus = {
  name: "server-a",
  release: "a",
  role: "active",
  state: "Up 2 minutes",
  plannedMiB: null,
  measuredMiB: null,
  memoryMiB: null,
  gpuMemoryMiB: null,
};
const status: Status = {
  stack: "s",
  endpoint: "http://127.0.0.1:8080",
  access: null,
  promoted: "a",
  active: "a",
  isHeld: false,
  profile: "dev",
  answer: { wallMs: 124, problem: null },
  servers: [server],
  locks: [],
  heldByOthers: [],
  lastRollout: null,
  verdicts: [],
  busy: null,
  degraded: null,
};
const lock = { device: "cpu", holder: "cpu: stack t tries release z since now (process 1 of root on host)", isAlive: true };
const lines = (change: Partial<Status>): string[] => formatStatus({ ...status, ...change }).split("\n");

describe("a status", () => {
  it("says that the stack answers, and how fast", () => {
    expect(formatStatus(status)).toBe(
      [
        "stack     s, profile dev",
        "endpoint  http://127.0.0.1:8080",
        "release   a",
        "answer    in 0.12 s",
        "server    server-a  active, Up 2 minutes",
        "",
        "state     ok",
        "",
      ].join("\n"),
    );
  });

  it.each<[string, Partial<Status>, string | undefined, string]>([
    [
      "no answer comes",
      { answer: { wallMs: null, problem: "status 500: oops" }, degraded: "no answer; run: x" },
      "answer    status 500: oops",
      "state     degraded: no answer; run: x",
    ],
    [
      "its answer waits behind those of others",
      { answer: { wallMs: null, problem: "none within 10 s" }, busy: "it works on others" },
      "answer    none within 10 s",
      "state     busy: it works on others",
    ],
    [
      "a rollout is at work",
      { answer: null, locks: [lock] },
      "answer    not asked while a rollout is at work",
      "state     ok, a rollout is at work",
    ],
    ["it is degraded before anybody asks", { answer: null, degraded: "x; run: y" }, undefined, "state     degraded: x; run: y"],
  ])("says where %s", (_what, change, answer, state) => {
    const shown = lines(change);
    expect(shown.find((line) => line.startsWith("answer"))).toBe(answer);
    expect(shown.at(-2)).toBe(state);
  });

  it("shows a rollout of another stack on its device, which is no trouble of its own", () => {
    const shown = lines({ heldByOthers: [lock] });
    expect(shown).toContain(`device    ${lock.holder}; a rollout of this stack waits for it`);
    expect(shown.at(-2)).toBe("state     ok");
  });

  it.each<[string, Partial<ServerStatus>, string]>([
    [
      "planned and measured",
      { plannedMiB: { host: 2048 }, measuredMiB: { host: 431 } },
      "; host at most 2048 MiB planned, 431 MiB measured",
    ],
    [
      "planned on a GPU that nothing measured",
      { plannedMiB: { "gpu-0": 14_205.6, host: 512 }, measuredMiB: { host: 431 }, memoryMiB: 400, gpuMemoryMiB: 13_800 },
      "; gpu-0 at most 14206 MiB planned, not measured; host at most 512 MiB planned, 431 MiB measured; now 400 MiB of the host, 13800 MiB in use on its GPUs",
    ],
    [
      "measured on two GPUs together",
      { plannedMiB: { "gpu-0": 9000, "gpu-1": 9000 }, measuredMiB: { gpus: 13_856 } },
      "; gpu-0 at most 9000 MiB planned; gpu-1 at most 9000 MiB planned; gpus 13856 MiB measured",
    ],
    ["planned only", { plannedMiB: { host: 2048 } }, "; host at most 2048 MiB planned"],
    ["measured only", { measuredMiB: { host: 431 } }, "; host 431 MiB measured"],
  ])("shows the memory of a server that was %s", (_what, change, text) => {
    expect(lines({ servers: [{ ...server, ...change }] })).toContain(`server    server-a  active, Up 2 minutes${text}`);
  });

  const record: RolloutRecord = {
    version: 1,
    stack: "s",
    candidate: "c",
    previous: "a",
    strategy: "recreate",
    since: "before",
    endedAt: "2026-11-28T12:00:00.000Z",
    result: "degraded",
    reason: "perplexity gate error: x",
    serving: null,
    outageSec: 0,
  };
  it.each<[string, Partial<RolloutRecord>, string]>([
    ["left nothing that served", {}, "degraded: release c ended and nothing could be made to serve"],
    [
      "was put back",
      { result: "recovered", serving: "a", outageSec: 3.21 },
      "recovered: release c ended and release a served; requests waited 3.2 s",
    ],
    ["was the first", { result: "recovered" }, "recovered: release c ended and no release served, as before; no request had to wait"],
    ["was promoted", { result: "promoted", serving: "c", reason: null }, "promoted: release c took the traffic; no request had to wait"],
    [
      "only made room",
      { result: "recovered", candidate: null, serving: "a" },
      "recovered: a pause ended and release a served; no request had to wait",
    ],
  ])("tells of a last rollout that %s as of something past", (_what, change, text) => {
    const shown = lines({ lastRollout: { ...record, ...change } });
    expect(shown).toContain(`rollout   the last one ended 2026-11-28T12:00:00.000Z, ${text}`);
    expect(shown.filter((line) => line.startsWith("          because of: "))).toHaveLength(change.reason === null ? 0 : 1);
    expect(shown.join("\n")).not.toMatch(/DEGRADED|run:/);
  });
});

describe("what a benchmark measured", () => {
  it.each<[string, MemoryNeed | null, MeasuredPeaks, MemoryNeed | null]>([
    ["on its one GPU", { host: 512, "gpu-1": 14_205 }, { containerMiB: 431, vramMiB: 13_844 }, { host: 431, "gpu-1": 13_844 }],
    ["on two, together", { host: 512, "gpu-0": 9, "gpu-1": 9 }, { containerMiB: 431, vramMiB: 13_856 }, { host: 431, gpus: 13_856 }],
    ["on a GPU that does not tell", { host: 512, "gpu-0": 9 }, { containerMiB: 431, vramMiB: null }, { host: 431 }],
    ["without a plan", null, { containerMiB: 431, vramMiB: null }, { host: 431 }],
    ["on a host that tells nothing", { host: 512 }, { containerMiB: null, vramMiB: null }, null],
  ])("is said %s", (_what, planned, peaks, measured) => {
    expect(measuredNeed(planned, peaks)).toEqual(measured);
  });
});
