import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Verdict } from "../../../plan/gates/verdict.ts";
import { bisectCommits } from "../../../scripts/images/bisect.ts";
import type { BisectJudge } from "../../../scripts/images/bisect.ts";
import { ImageBuildError } from "../../../scripts/images/docker-build.ts";
import { History } from "../../../scripts/images/git.ts";
import { StandInRepo } from "../../support/stand-in-repo.ts";

/*
 * The search over a real git history; a commit's speed is read from its source instead of being built and measured. tests/images builds the
 * commits; that a gate's verdict is right is proved with the gates.
 */

let repo: StandInRepo;
const commits: string[] = [];
const speeds = [100, 101, 99, 100, 80, 81, 80];
const culprit = 4;

beforeAll(async () => {
  repo = await StandInRepo.create();
  for (const speed of speeds) commits.push(await repo.commit({ "speed.c": `int speed(void) { return ${speed}; }\n` }, `speed ${speed}`));
});

afterAll(() => {
  repo[Symbol.dispose]();
});

/** Judges by the number in the source; `broken` commits fail as given. */
class SourceJudge implements BisectJudge {
  readonly judged: string[] = [];
  readonly #broken: ReadonlyMap<string, Error>;
  #reference = Number.NaN;

  constructor(broken: ReadonlyMap<string, Error> = new Map()) {
    this.#broken = broken;
  }

  async reference(commit: string): Promise<void> {
    this.#reference = await this.#speed(commit);
  }

  async judge(commit: string): Promise<Verdict> {
    this.judged.push(commit);
    const error = this.#broken.get(commit);
    if (error !== undefined) throw error;
    return (await this.#speed(commit)) < 0.95 * this.#reference ? "failed" : "passed";
  }

  async #speed(commit: string): Promise<number> {
    return Number(/return (\d+)/.exec(await repo.git("show", `${commit}:speed.c`))?.[1]);
  }
}

const failure = (kind: "compile" | "host") => new ImageBuildError({ kind, message: `${kind} trouble`, lastLines: ["last line"] });
const at = (index: number) => commits[index] ?? "";
const listed = async (good: number, bad: number) => {
  await using history = await History.open(`file://${repo.path}`);
  return await history.between(at(good), at(bad));
};

describe("bisectCommits", () => {
  it("finds the commit that made it slower, measuring both ends first", async () => {
    const judge = new SourceJudge();
    const { suspects, outcomes } = await bisectCommits(at(0), await listed(0, 6), judge, () => undefined);
    expect(suspects).toEqual([at(culprit)]);
    expect(judge.judged[0]).toBe(at(6));
    expect(judge.judged.length).toBeLessThanOrEqual(4);
    expect(outcomes.get(at(culprit))).toBe("bad");
  });

  it("skips a commit that doesn't build and names what that leaves open", async () => {
    const judge = new SourceJudge(new Map([[at(culprit - 1), failure("compile")]]));
    const lines: string[] = [];
    const { suspects } = await bisectCommits(at(0), await listed(0, 6), judge, (line) => lines.push(line));
    expect(suspects).toEqual([at(culprit - 1), at(culprit)]);
    expect(lines).toContain(`${at(culprit - 1).slice(0, 9)}: skipped, compile trouble`);
  });

  it("fails at once when the host can't build, and does not blame a commit", async () => {
    const judge = new SourceJudge(new Map([[at(3), failure("host")]]));
    await expect(bisectCommits(at(0), await listed(0, 6), judge, () => undefined)).rejects.toThrow("host trouble\n  | last line");
  });

  it("fails when the bad end is as good as the good one", async () => {
    await expect(bisectCommits(at(0), await listed(0, 3), new SourceJudge(), () => undefined)).rejects.toThrow(
      `the bad end ${at(3).slice(0, 9)} is within the gate's margins of the good one: nothing to search for`,
    );
  });

  it("fails when both ends are one commit", async () => {
    await expect(bisectCommits(at(0), await listed(0, 0), new SourceJudge(), () => undefined)).rejects.toThrow("nothing between them");
  });
});

describe("History", () => {
  it("lists the commits after the good one up to the bad one, oldest first", async () => {
    expect(await listed(1, 4)).toEqual(commits.slice(2, 5));
  });

  it("fails when the good commit is no ancestor of the bad one", async () => {
    await expect(listed(4, 1)).rejects.toThrow(`--good ${at(4)} is not an ancestor of --bad ${at(1)}; swap them`);
  });

  it("reads a commit's subject", async () => {
    await using history = await History.open(`file://${repo.path}`);
    await history.between(at(0), at(1));
    expect(await history.subject(at(1))).toBe("speed 101");
  });
});
