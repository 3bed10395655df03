import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nextBisectStep, stepsLeft } from "../../../plan/images/bisect.ts";
import type { CommitOutcome } from "../../../plan/images/bisect.ts";

/* The search alone. Doesn't prove that a measurement tells good from bad. */

const commits = Array.from({ length: 8 }, (_, index) => `c${index}`);

/** Runs the search to its end against a culprit, with commits that can't be measured. */
function search(list: readonly string[], culprit: number, skipped: ReadonlySet<number>): { suspects: readonly string[]; tests: number } {
  const outcomes = new Map<string, CommitOutcome>();
  for (let tests = 0; ; tests++) {
    const step = nextBisectStep(list, outcomes);
    if (step.kind === "found") return { suspects: step.suspects, tests };
    const index = list.indexOf(step.commit);
    expect(outcomes.has(step.commit)).toBe(false);
    outcomes.set(step.commit, skipped.has(index) ? "skip" : index < culprit ? "good" : "bad");
  }
}

describe("nextBisectStep", () => {
  it("starts in the middle", () => {
    expect(nextBisectStep(commits, new Map())).toEqual({ kind: "test", commit: "c3", remaining: 7 });
  });

  it("takes the nearest neighbour of a commit that can't be measured", () => {
    expect(nextBisectStep(commits, new Map([["c3", "skip"]]))).toEqual({ kind: "test", commit: "c2", remaining: 6 });
  });

  it("blames the only commit there is without a measurement", () => {
    expect(nextBisectStep(["c0"], new Map())).toEqual({ kind: "found", suspects: ["c0"] });
  });

  it("names all that skipped commits leave possible, oldest first", () => {
    const outcomes = new Map<string, CommitOutcome>([
      ["c2", "good"],
      ["c3", "skip"],
      ["c4", "skip"],
      ["c5", "bad"],
    ]);
    expect(nextBisectStep(commits, outcomes)).toEqual({ kind: "found", suspects: ["c3", "c4", "c5"] });
  });

  it("fails when a later commit was good again", () => {
    const outcomes = new Map<string, CommitOutcome>([
      ["c2", "bad"],
      ["c5", "good"],
    ]);
    expect(() => nextBisectStep(commits, outcomes)).toThrow("c2 measured bad and the later c5 good: more than one change is at work");
  });

  it("finds any culprit in any history within the steps that it announces", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 600 }), fc.nat(), (length, seed) => {
        const list = Array.from({ length }, (_, index) => `c${index}`);
        const culprit = seed % length;
        const { suspects, tests } = search(list, culprit, new Set());
        expect(suspects).toEqual([`c${culprit}`]);
        expect(tests).toBeLessThanOrEqual(stepsLeft(length - 1));
      }),
    );
  });

  it("keeps the culprit among its suspects whatever can't be measured, and blames no commit that was measured good", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.nat(), fc.array(fc.nat({ max: 58 })), (length, seed, skips) => {
        const list = Array.from({ length }, (_, index) => `c${index}`);
        const culprit = seed % length;
        const skipped = new Set(skips.filter((index) => index < length - 1));
        const { suspects } = search(list, culprit, skipped);
        expect(suspects).toContain(`c${culprit}`);
        const others = suspects.filter((commit) => commit !== `c${culprit}`).map((commit) => list.indexOf(commit));
        expect(others.every((index) => skipped.has(index) || index > culprit)).toBe(true);
      }),
    );
  });
});
