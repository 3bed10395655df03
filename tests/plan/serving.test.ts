/** The last line of a deployment that failed, for every state of a host. That it is the last one on the screen is shown in tests/faults/status.test.ts. */
import { describe, expect, it } from "vitest";
import type { HostSeen } from "../../plan/rollout/types.ts";
import { describeServing, servingRelease, type ServingSeen } from "../../plan/serving.ts";

const server = { name: "server-a", isRunning: true, restart: "unless-stopped" };
const stopped = { ...server, isRunning: false };
const healthy: HostSeen = { gateway: "running", active: "a", isHeld: false, releases: { a: [server], b: [stopped] } };
const seeing = (change: Partial<HostSeen>, promoted: string | null = "a", isAlive?: boolean): ServingSeen => ({
  seen: { ...healthy, ...change },
  locks: isAlive === undefined ? [] : [{ holder: "cpu: stack s", isAlive }],
  promoted,
});
const none: Partial<HostSeen> = { gateway: "missing", active: null, releases: {} };

describe("a deployment that failed", () => {
  it.each<[string, ServingSeen | undefined, string | null | undefined, string]>([
    ["beside a release that serves", seeing({}), "a", "Release a takes the traffic: npm run status -- s"],
    ["where no engine answers", undefined, undefined, "What serves could not be asked: npm run status -- s"],
    ["before anything was made", seeing(none, null), null, "No release serves yet."],
    ["with the first candidate", seeing({ active: null, releases: { b: [stopped] } }, null), null, "No release serves yet."],
    [
      "and left what served stopped",
      seeing({ isHeld: true, releases: { a: [stopped] } }),
      undefined,
      "DEGRADED: server-a does not run; run: npm run recover -- s",
    ],
    [
      "and left requests held",
      seeing({ isHeld: true }),
      undefined,
      "DEGRADED: the gateway makes requests wait although release a runs; run: npm run recover -- s",
    ],
    [
      "and was killed",
      seeing({ isHeld: true }, "a", false),
      undefined,
      "DEGRADED: a rollout was killed (cpu: stack s); run: npm run recover -- s",
    ],
    [
      "while another rollout of the stack is at work",
      seeing({ isHeld: true, releases: { a: [stopped] } }, "a", true),
      undefined,
      "Requests wait while a rollout is at work: npm run status -- s",
    ],
    [
      "after its gateway was stopped",
      seeing({ gateway: "stopped" }),
      undefined,
      "DEGRADED: the gateway is stopped; run: npm run recover -- s",
    ],
    [
      "after its gateway was removed",
      seeing({ gateway: "missing", active: null }),
      undefined,
      "DEGRADED: the gateway is missing; run: npm run up -- s -- --refresh",
    ],
    [
      "after the switch, and could not say so",
      seeing({ active: "b", releases: { a: [stopped], b: [server] } }),
      undefined,
      "DEGRADED: the gateway routes to b, the stack promoted a; run: npm run up -- s",
    ],
  ])("%s says what serves", (_state, serving, release, line) => {
    expect(servingRelease("s", serving)).toBe(release);
    expect(describeServing("s", serving)).toBe(line);
  });

  it("does not take servers behind a gateway that is gone for none, where nobody knows what was promoted", () => {
    expect(servingRelease("s", seeing({ gateway: "missing", active: null }, null))).toBeUndefined();
  });
});
