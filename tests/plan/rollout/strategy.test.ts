/** Which strategy memory allows. Cannot prove: that the planned needs are upper bounds of what servers take; tests/oracle asks them. */
import { describe, expect, it } from "vitest";
import { chooseStrategy, type Room } from "../../../plan/rollout/strategy.ts";

const gib = 1024;
const card = "gpu-0";
const room: Room = {
  candidate: { host: 2 * gib, [card]: 6 * gib },
  serving: { host: 2 * gib, [card]: 6 * gib },
  neighbours: [],
  budget: { host: 64 * gib, [card]: 16 * gib },
};

describe("the strategy that memory allows", () => {
  it.each<{ what: string; change: Partial<Room>; strategy: "bluegreen" | "recreate"; reason: string }>([
    { what: "both fit", change: {}, strategy: "bluegreen", reason: "both releases fit beside each other" },
    {
      what: "both do not fit a device",
      change: { candidate: { host: gib, [card]: 10.5 * gib } },
      strategy: "recreate",
      reason: "both releases need up to 16896 MiB of gpu-0, which has 16384",
    },
    {
      what: "another stack's server takes the rest of the card",
      change: { neighbours: [{ stack: "b", need: { host: gib, [card]: 6 * gib } }] },
      strategy: "recreate",
      reason: "both releases need up to 12288 MiB and stack b up to 6144 of gpu-0, which has 16384",
    },
    {
      what: "servers of two stacks together take too much of the host",
      change: {
        neighbours: [
          { stack: "c", need: { host: 31 * gib } },
          { stack: "b", need: { host: 31 * gib } },
        ],
      },
      strategy: "recreate",
      reason: "both releases need up to 4096 MiB and stacks b, c up to 63488 of host, which has 65536",
    },
    {
      what: "another stack's server leaves room enough",
      change: { neighbours: [{ stack: "b", need: { host: gib, [card]: 4 * gib } }] },
      strategy: "bluegreen",
      reason: "both releases fit beside each other and stack b",
    },
    {
      what: "another stack uses another card only",
      change: { neighbours: [{ stack: "b", need: { "gpu-1": 16 * gib } }] },
      strategy: "bluegreen",
      reason: "both releases fit beside each other",
    },
    {
      what: "nobody knows what another stack's server takes",
      change: { neighbours: [{ stack: "b", need: null }] },
      strategy: "recreate",
      reason: "the memory of a server of stack b is not planned",
    },
    {
      what: "the candidate is not planned",
      change: { candidate: null },
      strategy: "recreate",
      reason: "the memory of one of the two releases is not planned",
    },
    {
      what: "what serves is not planned",
      change: { serving: null },
      strategy: "recreate",
      reason: "the memory of one of the two releases is not planned",
    },
    {
      what: "nobody knows how much a device has",
      change: { budget: { host: 64 * gib } },
      strategy: "recreate",
      reason: "the memory of gpu-0 is not known",
    },
    { what: "nothing serves", change: { serving: "nothing", candidate: null }, strategy: "bluegreen", reason: "nothing serves yet" },
    {
      what: "what serves is measured anew",
      change: { serving: "the candidate itself" },
      strategy: "bluegreen",
      reason: "the release that serves is measured anew",
    },
  ])("$strategy where $what", ({ change, strategy, reason }) => {
    expect(chooseStrategy("auto", { ...room, ...change })).toEqual({ strategy, reason });
  });

  it.each(["bluegreen", "recreate"] as const)("%s where the stack says so, whatever memory there is", (setting) => {
    expect(chooseStrategy(setting, { ...room, budget: {} })).toEqual({ strategy: setting, reason: "as the stack's rollout.strategy says" });
  });
});
