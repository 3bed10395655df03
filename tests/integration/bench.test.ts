import { appendFile, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { benchRecordSchema, type BenchRecord } from "../../plan/bench/record.ts";
import { benchStack } from "../../plan/bench/settings.ts";
import { parseAxis, planVariants } from "../../plan/bench/variants.ts";
import { removeKept } from "../../scripts/bench/interrupted.ts";
import { runBench, type BenchSummary } from "../../scripts/bench/run.ts";
import { projectDir } from "../../scripts/paths.ts";
import { BenchProject } from "../support/bench-project.ts";
import { prepareModels } from "../support/models.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";

// Proves on real Pulumi, Docker and llama.cpp that a matrix measures what runs, says of the others why not, cleans up, and goes on after kill -9; that a stack
// with a name too long for its servers serves, and that one which was kept is measured anew. Three of the seed's profiles, scaled to the dev model: all eleven are in tests/bench/matrix. The numbers say nothing about the seed's hardware.

const measured = ["s005-c7-q4km-partial24", "s005-c8-q4km-fit"];
const refused = "s005-c4-autofit";
const profiles = [measured[0] ?? "", refused, measured[1] ?? ""];

describe("a matrix of three profiles", () => {
  let project: BenchProject;
  let summary: BenchSummary;
  let firstRecord: string | undefined;

  beforeAll(async () => {
    await buildTestImage();
    await prepareModels(testImage);
    project = await BenchProject.create(profiles, true);
    firstRecord = await runUntilKilled(project);
    await appendFile(
      join(project.dir, "configs", `llama-cpp-${refused}.env`),
      "# another text: what was said of the old one does not hold\n",
    );
    summary = await runBench(project.request(profiles), new AbortController().signal);
  });
  afterAll(() => project[Symbol.asyncDispose]());

  const records = async (): Promise<Record<string, BenchRecord[]>> => {
    const folder = join(project.dir, "benchmarks");
    const names = (await readdir(folder)).filter((name) => name.startsWith("bench-"));
    const all = await Promise.all(
      names.map(async (name) => benchRecordSchema.parse(JSON.parse(await readFile(join(folder, name), "utf8")))),
    );
    return Object.groupBy(all, ({ profile }) => profile) as Record<string, BenchRecord[]>;
  };

  it("goes on after kill -9: what was done is not repeated, what was interrupted or has changed is", async () => {
    expect(summary.resumed).toBe(1);
    expect(summary.done.map(({ profile, outcome }) => [profile, outcome])).toEqual([
      [measured[0], "measured"],
      [refused, "refused"],
      [measured[1], "measured"],
    ]);
    const byProfile = await records();
    expect(Object.fromEntries(profiles.map((id) => [id, byProfile[id]?.length]))).toEqual(
      Object.fromEntries(profiles.map((id) => [id, id === refused ? 2 : 1])),
    );
    expect(summary.done[0]?.record).toBe(firstRecord);
  });

  it("writes result files with the seed's names, and a record of each profile with gates and phases", async () => {
    const byProfile = await records();
    const record = byProfile[measured[1] ?? ""]?.[0];
    expect(record?.result).toMatch(/^llama-cpp-s005-c8-q4km-fit-\d{8}-\d{6}\.json$/);
    expect(await readdir(join(project.dir, "benchmarks"))).toContain(record?.result);
    expect(record?.gates.map(({ gate, dryRun }) => [gate, dryRun]).sort()).toEqual([
      ["benchmark", true],
      ["perplexity", true],
    ]);
    const seconds = Object.fromEntries(record?.phases.map(({ phase, sec }) => [phase, sec]) ?? []);
    expect(seconds["benchmark"]).toBeGreaterThan(1);
    expect(seconds["perplexity"]).toBeGreaterThan(1);
    expect(Object.values(seconds).reduce((sum, sec) => sum + sec, 0)).toBeCloseTo(record?.wallSec ?? 0, 1);
  });

  it("says of a refused profile what the planner said, and starts nothing for it", async () => {
    const byProfile = await records();
    const record = byProfile[refused]?.[0];
    expect(record?.reason).toMatch(/LLAMA_ARG_FIT/);
    expect(record?.phases.map(({ phase }) => phase)).toEqual(["rest"]);
    expect(record?.result).toBeNull();
  });

  it("leaves nothing on the Docker host and no state", async () => {
    expect(await project.onHost(profiles)).toEqual([]);
    const states = await readdir(join(project.dir, "state", ".pulumi", "stacks", "llm-server"));
    expect(states.filter((name) => name.endsWith(".json"))).toEqual([]);
  });
});

describe("a profile with a long name whose stack was kept", () => {
  const variants = planVariants(["s005-c7-q4km-partial24"], [parseAxis("ubatch=128,256")]).slice(0, 1);
  const [id = ""] = variants.map((variant) => variant.id);
  let project: BenchProject;
  const said: string[] = [];

  const bench = async (isKept: boolean): Promise<BenchRecord> => {
    const request = { ...project.request([]), variants, key: id, isKept };
    const { done } = await runBench(request, new AbortController().signal);
    return benchRecordSchema.parse(JSON.parse(await readFile(join(project.dir, "benchmarks", done[0]?.record ?? ""), "utf8")));
  };

  beforeAll(async () => {
    await buildTestImage();
    await prepareModels(testImage);
    project = await BenchProject.create(["s005-c7-q4km-partial24"], true);
  });
  afterAll(() => project[Symbol.asyncDispose]());

  it("is promoted, though its servers' names with the whole id would be no host names, and measured again, not taken over", async () => {
    const kept = await bench(true);
    expect(benchStack(id)).not.toBe(`bench-${id}`);
    expect([kept.outcome, kept.reason, (await project.onHost([id])).length > 0]).toEqual(["measured", "measured", true]);
    const again = await bench(true);
    expect([again.outcome, again.gates.length]).toEqual(["measured", 2]);
    expect(again.result).not.toBe(kept.result);
    await removeKept(project.request([]), variants, (line) => said.push(line));
    await removeKept(project.request([]), variants, (line) => said.push(line));
    expect(said).toEqual([`${id}: its stack is taken away`, `${id}: it had no stack`]);
    expect(await project.onHost([id])).toEqual([]);
  });
});

/** Starts the matrix in a process of its own and kills it in the middle of its third profile; returns the first one's record. */
async function runUntilKilled(project: BenchProject): Promise<string | undefined> {
  const child = execa(process.execPath, ["tests/support/bench-child.ts"], {
    cwd: projectDir,
    env: { BENCH_REQUEST: JSON.stringify({ ...project.request(profiles), docker: null }) },
    reject: false,
    stderr: ["pipe", "inherit"],
  });
  for await (const line of child.iterable({ from: "stderr" })) if (line.includes("[3/3]") && line.includes("perplexity")) break;
  child.kill("SIGKILL");
  await child;
  const records = (await readdir(join(project.dir, "benchmarks"))).filter((name) => name.startsWith(`bench-${measured[0] ?? ""}`));
  return records[0];
}
