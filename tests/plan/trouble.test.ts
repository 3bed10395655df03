/** What `status` says of every state of a host. That each command mends what it is named for is shown in tests/faults/status.test.ts. */
import { describe, expect, it } from "vitest";
import type { HostSeen } from "../../plan/rollout/types.ts";
import { findTrouble, judgeAnswer, type Asked, type AskedServer, type HeldLock } from "../../plan/trouble.ts";

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
      "the gateway routes to no release, the stack promoted a; run: npm run up -- s",
    ],
    [
      "whose gateway routes to another release, gone or not",
      { active: "b" },
      "a",
      [],
      "the gateway routes to b, the stack promoted a; run: npm run up -- s",
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

describe("a stack whose containers all run", () => {
  const nowMs = 3_600_000;
  const runs = { status: "running", exitCode: 0, restarts: 0, startedAtMs: nowMs - 600_000 };
  const asked: AskedServer = { name: "server-a", seen: runs, lastLine: "", health: "", own: null };
  const answered = { kind: "answered", text: "yes", tokens: [], wallMs: 120 } as const;
  const late = { kind: "late", afterMs: 10_000, isWorking: false } as const;
  const silent: Asked = { completion: late, servers: [{ ...asked, lastLine: "all slots are idle", health: '{"status":"ok"}' }] };
  const loading = '{"error":{"message":"Loading model","type":"unavailable_error","code":503}}';
  const mend = "run: npm run drift -- --stack s --redeploy";

  /** One that answers, and one of which `own` is said. */
  const pair = (own: AskedServer["own"], change: Partial<AskedServer> = {}): readonly AskedServer[] => [
    { ...asked, own: answered },
    { ...asked, name: "server-a-2", own, ...change },
  ];

  it.each<[string, Asked]>([
    ["that answers", { completion: answered, servers: [asked] }],
    ["whose server ended once and came back", { completion: answered, servers: [{ ...asked, seen: { ...runs, restarts: 1 } }] }],
    ["whose servers both answer", { completion: answered, servers: pair(answered) }],
    ["one of whose servers works on other requests", { completion: answered, servers: pair({ ...late, isWorking: true }) }],
    [
      "one of whose servers loads its model while the other answers",
      {
        completion: answered,
        servers: pair(
          { kind: "failed", reason: "status 503: loading" },
          { seen: { ...runs, startedAtMs: nowMs - 30_000 }, health: loading },
        ),
      },
    ],
    ["whose server ended often, but not lately", { completion: answered, servers: [{ ...asked, seen: { ...runs, restarts: 5 } }] }],
  ])("%s is ok", (_state, seen) => {
    expect(judgeAnswer("s", seen, nowMs)).toEqual({ state: "ok" });
  });

  it.each<[string, Asked, string]>([
    [
      "whose server works on other requests",
      { ...silent, completion: { ...late, isWorking: true } },
      "no answer: none within 10 s, but it worked on other requests all the time; look when it has less to do",
    ],
    [
      "whose server loads its model",
      { ...silent, servers: [{ ...asked, seen: { ...runs, startedAtMs: nowMs - 30_000 }, health: loading }] },
      "server-a loads its model, and requests wait; look again in some minutes",
    ],
  ])("%s is busy", (_state, seen, why) => {
    expect(judgeAnswer("s", seen, nowMs)).toEqual({ state: "busy", why });
  });

  it.each<[string, Asked, string]>([
    [
      "whose server ends again and again",
      {
        completion: late,
        servers: [{ ...asked, seen: { ...runs, status: "restarting", exitCode: 1, restarts: 6 }, lastLine: "error loading model" }],
      },
      `server-a ends again and again (exit code 1, started again 6 times, its log ends: error loading model); ${mend}`,
    ],
    [
      "whose server ends again and again, seen while it runs and says that it loads",
      { completion: late, servers: [{ ...asked, seen: { ...runs, restarts: 3, startedAtMs: nowMs - 2_000 }, health: loading }] },
      `server-a ends again and again (started again 3 times); ${mend}`,
    ],
    [
      "one of whose servers ends again and again while the other answers",
      {
        completion: answered,
        servers: [asked, { ...asked, name: "server-a-2", seen: { ...runs, status: "restarting", exitCode: 139, restarts: 1 } }],
      },
      `server-a-2 ends again and again (exit code 139, started again once); ${mend}`,
    ],
    [
      "one of whose servers hangs while the other answers",
      { completion: answered, servers: pair(late) },
      `server-a-2 does not answer: none within 10 s, and no other request went on meanwhile; ${mend}`,
    ],
    [
      "whose gateway asked the one of its servers that hangs, while the other worked",
      { completion: { ...late, isWorking: true }, servers: pair(late) },
      `server-a-2 does not answer: none within 10 s, and no other request went on meanwhile; ${mend}`,
    ],
    [
      "whose servers all hang",
      { completion: late, servers: [{ ...asked, own: late }, ...pair(late).slice(1)] },
      `no answer through the gateway: none within 10 s, and no other request went on meanwhile; ${mend}`,
    ],
    [
      "whose server is paused",
      { completion: late, servers: [{ ...asked, seen: { ...runs, status: "paused" } }] },
      `server-a is paused; ${mend}`,
    ],
    [
      "whose server hangs behind a fine health check",
      silent,
      `no answer through the gateway: none within 10 s, and no other request went on meanwhile; ${mend}`,
    ],
    [
      "whose server loads its model for ever",
      { ...silent, servers: [{ ...asked, seen: { ...runs, startedAtMs: nowMs - 1_000_000 }, health: loading }] },
      `no answer through the gateway: none within 10 s, and no other request went on meanwhile; ${mend}`,
    ],
    [
      "that answers what is no completion, in several lines",
      { ...silent, completion: { kind: "failed", reason: "not a chat completion: <html>\n  <b>hello</b>\n" } },
      `no answer through the gateway: not a chat completion: <html> <b>hello</b>; ${mend}`,
    ],
    [
      "whose gateway has lost its keys",
      { ...silent, completion: { kind: "failed", reason: 'status 401: {"error":{}}' } },
      "the gateway has lost its API keys and refuses everybody; run: npm run up -- s -- --replace '**gateway-access'",
    ],
    [
      "whose server is gone since it was seen",
      { completion: late, servers: [{ ...asked, seen: null }] },
      `no answer through the gateway: none within 10 s, and no other request went on meanwhile; ${mend}`,
    ],
  ])("%s is degraded", (_state, seen, why) => {
    expect(judgeAnswer("s", seen, nowMs)).toEqual({ state: "degraded", why });
  });
});
