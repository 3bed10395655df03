/** What `status` says of every state of a host. That each command mends what it is named for is shown in tests/faults/status.test.ts. */
import { describe, expect, it } from "vitest";
import type { HostSeen } from "../../plan/rollout/types.ts";
import { findTrouble, type HeldLock } from "../../plan/trouble.ts";

const server = { name: "server-a", isRunning: true, restart: "unless-stopped" };
const healthy: HostSeen = { gateway: "running", active: "a", isHeld: false, releases: { a: [server] } };
const stopped = { ...server, isRunning: false };
const second = { ...stopped, name: "server-a-2" };
const lock = (isAlive: boolean | null): HeldLock => ({ holder: "cpu: stack s tries release b", isAlive });

describe("a stack", () => {
  it.each<[string, Partial<HostSeen>, string | null, readonly HeldLock[]]>([
    ["as it should be", {}, "a", []],
    ["while a rollout has stopped its server", { isHeld: true, releases: { a: [stopped] } }, "a", [lock(true)]],
    ["while a rollout of another machine may be at work", { isHeld: true, releases: { a: [stopped] } }, "a", [lock(null)]],
    ["with a retained release that is stopped", { releases: { a: [server], b: [stopped] } }, "a", []],
  ])("%s is not degraded", (_state, change, promoted, locks) => {
    expect(findTrouble("s", promoted, { ...healthy, ...change }, locks)).toBeNull();
  });

  it.each<[string, Partial<HostSeen>, string | null, readonly HeldLock[], string]>([
    [
      "after a rollout was killed",
      { isHeld: true },
      "a",
      [lock(false)],
      "a rollout was killed (cpu: stack s tries release b); run: npm run recover -- s",
    ],
    ["before its first release", { active: null, releases: {} }, null, [], "no release has been promoted yet; run: npm run up -- s"],
    ["without a gateway", { gateway: "missing", active: null }, "a", [], "the gateway is missing; run: npm run up -- s -- --refresh"],
    ["with a gateway that is stopped", { gateway: "stopped", active: null }, "a", [], "the gateway is stopped; run: npm run recover -- s"],
    [
      "whose gateway routes nowhere",
      { active: null },
      "a",
      [],
      "the gateway routes to no release, the stack promoted a; run: npm run up -- s -- --replace '**promote'",
    ],
    [
      "whose gateway routes to another release, gone or not",
      { active: "b" },
      "a",
      [],
      "the gateway routes to b, the stack promoted a; run: npm run up -- s -- --replace '**promote'",
    ],
    ["that has forgotten what it promoted", {}, null, [], "the gateway routes to a, the stack promoted none; run: npm run up -- s"],
    ["whose server is gone", { releases: {} }, "a", [], "the server of release a is gone; run: npm run up -- s -- --refresh"],
    [
      "one of whose servers does not run",
      { releases: { a: [server, second] } },
      "a",
      [],
      "server-a-2 does not run; run: npm run recover -- s",
    ],
    [
      "that holds requests for nobody",
      { isHeld: true },
      "a",
      [],
      "the gateway makes requests wait although release a runs; run: npm run recover -- s",
    ],
  ])("%s is degraded", (_state, change, promoted, locks, trouble) => {
    expect(findTrouble("s", promoted, { ...healthy, ...change }, locks)).toBe(trouble);
  });
});
