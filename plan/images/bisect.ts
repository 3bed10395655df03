import type { Verdict } from "../gates/verdict.ts";

/** What measuring one commit showed; `skip` is neither: it did not build, or its measurement could not tell. */
export type CommitOutcome = "good" | "bad" | "skip";

/** What to do next. `suspects` are oldest first; more than one where skipped commits hide which of them it is. */
export type BisectStep =
  | { readonly kind: "test"; readonly commit: string; readonly remaining: number }
  | { readonly kind: "found"; readonly suspects: readonly string[] };

/**
 * The next commit to measure, or the answer. `commits` run from the first after the good end to the bad end, oldest first; `outcomes` holds
 * what was measured so far, the bad end excepted. The middle of what is open comes next; where that was skipped, its nearest neighbour.
 * @throws {Error} if a commit after a bad one was good: then not one commit did it, and no search can find it
 */
export function nextBisectStep(commits: readonly string[], outcomes: ReadonlyMap<string, CommitOutcome>): BisectStep {
  const indexes = commits.map((_, index) => index);
  const has = (outcome: CommitOutcome) => (index: number) => outcomes.get(commits[index] ?? "") === outcome;
  const lastGood = indexes.findLast(has("good")) ?? -1;
  const firstBad = indexes.find(has("bad")) ?? commits.length - 1;
  if (lastGood > firstBad) {
    throw new Error(
      `${shortCommit(commits[firstBad])} measured bad and the later ${shortCommit(commits[lastGood])} good: more than one change is at work; bisect a narrower range`,
    );
  }
  const open = indexes.filter((index) => index > lastGood && index < firstBad && !outcomes.has(commits[index] ?? ""));
  const middle = (lastGood + firstBad) / 2;
  const [next] = open.toSorted((a, b) => Math.abs(a - middle) - Math.abs(b - middle) || a - b);
  const commit = next === undefined ? undefined : commits[next];
  if (commit !== undefined) return { kind: "test", commit, remaining: open.length };
  return { kind: "found", suspects: commits.slice(lastGood + 1, firstBad + 1) };
}

/** Measurements still needed at most when `open` commits are open and none is skipped. */
export const stepsLeft = (open: number): number => Math.ceil(Math.log2(open + 1));

const shortCommit = (commit: string | undefined): string => (commit ?? "").slice(0, 9);

/** What a gate's verdict says of a commit. Neither noise nor a broken measurement blames anybody. */
export function outcomeOf(verdict: Verdict): CommitOutcome {
  if (verdict === "passed") return "good";
  return verdict === "failed" ? "bad" : "skip";
}
