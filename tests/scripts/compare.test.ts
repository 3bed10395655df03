import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectDir } from "../../scripts/paths.ts";
import { pairsOfBuilds, readResults } from "../../scripts/report/results.ts";
import { madeResult, minuteOf, writeMade } from "../support/results.ts";

// Proves the command's exit codes and what it takes as a result or a build. The results are made up.

let folder: string;
const file = (name: string): string => join(folder, "benchmarks", name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "llm-server-compare-"));
  const speeds: [string, number, string][] = [
    ["b1", 70, "dev"],
    ["b2", 69.5, "dev"],
    ["b3", 30, "dev"],
    ["b1", 50, "other"],
  ];
  await writeMade(
    folder,
    speeds.map(([build, tokensPerSec, profile], step) =>
      madeResult({ profile, build, startedAt: minuteOf(step), tokensPerSec, starts: 4 }),
    ),
  );
  await writeFile(file("llama-cpp-torn-20260601-000000.json"), "{");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const compare = (...args: readonly string[]) =>
  execa(process.execPath, ["scripts/cli.ts", "compare", "--folder", join(folder, "benchmarks"), ...args], {
    cwd: projectDir,
    reject: false,
  });

describe("npm run compare", () => {
  it.each([
    ["as fast", ["b1", "b2"], 0, "PASSED"],
    ["slower", ["b1", "b3"], 1, "FAILED"],
  ])("exits by the verdict of two builds: %s", async (_what, builds, exitCode, word) => {
    const run = await compare(...builds);
    expect(run.stderr).toBe("");
    expect(run.stdout).toContain(word);
    expect(run.exitCode).toBe(exitCode);
  });

  it("takes two files, and prints numbers with --json", async () => {
    const [a, b] = ["llama-cpp-dev-20260601-000000.json", "llama-cpp-dev-20260601-000200.json"].map(file) as [string, string];
    const { stdout, exitCode } = await compare(a, b, "--json");
    const { verdict, comparisons } = JSON.parse(stdout) as {
      verdict: string;
      comparisons: { baseline: string; metrics: { differencePercent: number }[] }[];
    };
    expect([verdict, exitCode]).toEqual(["failed", 1]);
    expect(comparisons[0]?.baseline).toBe(a);
    expect(comparisons[0]?.metrics[0]?.differencePercent).toBeLessThan(-50);
  });

  it("fails with 3 for a build that no result has, naming those that there are", async () => {
    const { stderr, exitCode } = await compare("b1", "b9");
    expect(exitCode).toBe(3);
    expect(stderr).toContain("got build b9, allowed are those of the results in");
    expect(stderr).toContain("b1, b2, b3");
  });

  it("fails with 3 for a file that is not there", async () => {
    const { stderr, exitCode } = await compare("no.json", "b1");
    expect([exitCode, stderr]).toEqual([3, "compare: got no.json, expected a result file that is there"]);
  });
});

describe("arguments that are no results", () => {
  it("are refused with 3 and a few words", async () => {
    const good = file("llama-cpp-dev-20260601-000000.json");
    const cases: [string[], RegExp][] = [
      [[good, "package.json"], /^compare: package\.json: not a result file: .{1,300} and \d+ more$/],
      [[good, file("llama-cpp-torn-20260601-000000.json")], /^compare: .*llama-cpp-torn-.*: not a result file: .*JSON/],
      [["b1", "b1"], /^compare: A and B are the same/],
      [["b1", "b2", "--folder", join(folder, "no-such")], /^compare: --folder: got .*no-such, expected a folder with results$/],
      [["b1", "b2", "--profile", "no-such"], /^compare: got profile no-such, .*: dev, other$/],
    ];
    const runs = await Promise.all(cases.map(([args]) => compare(...args)));
    expect(runs.map(({ exitCode, stderr }) => [exitCode, stderr])).toEqual(
      cases.map(([, message]) => [3, expect.stringMatching(message) as unknown]),
    );
  });
});

describe("the newest results of two builds", () => {
  it("are paired by profile, host, model and questions; torn files are no results", async () => {
    const results = await readResults(join(folder, "benchmarks"));
    expect(results).toHaveLength(4);
    expect(pairsOfBuilds(results, "b1", "b2").map(([a, b]) => [a.result.subject.profile, b.result.build])).toEqual([["dev", "b2"]]);
  });
});
