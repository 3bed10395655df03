/** When `promote` has to run although nothing that it is told has changed; what it does then: tests/integration/half-promoted.test.ts. */
import { describe, expect, it } from "vitest";
import { findRepair, type Traffic } from "../../plan/promotion.ts";

const settled: Traffic = { active: "aaaaaaaaaa", switchedAt: "2026-01-02T03:04:05.000Z", rollout: null };

describe("findRepair", () => {
  it.each<[string, string | null, Traffic | null]>([
    ["the host is as the last deployment left it", "aaaaaaaaaa", settled],
    ["no release was promoted yet", null, { ...settled, rollout: "0a1b2c3d" }],
    ["there is no gateway", "aaaaaaaaaa", null],
  ])("has nothing to repair where %s", (_what, promoted, seen) => {
    expect(findRepair(promoted, seen)).toBe(undefined);
  });

  it("says which release takes the traffic in place of the promoted one, and since when", () => {
    expect(findRepair("bbbbbbbbbb", settled)).toBe(
      "release bbbbbbbbbb was promoted last, but release aaaaaaaaaa takes the traffic since 2026-01-02T03:04:05.000Z",
    );
    expect(findRepair("bbbbbbbbbb", { active: null, switchedAt: null, rollout: null })).toBe(
      "release bbbbbbbbbb was promoted last, but no release takes the traffic",
    );
  });

  it("takes a rollout that has not ended for one that may still switch, or has stopped what serves", () => {
    expect(findRepair("aaaaaaaaaa", { ...settled, rollout: "0a1b2c3d" })).toBe("rollout 0a1b2c3d has not ended");
  });
});
