import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readPlanRows } from "../../scripts/plan-table.ts";
import { readReportInput } from "../../scripts/report/read.ts";
import { writeReport } from "../../scripts/report/write.ts";
import { createReportFolder } from "../support/report-project.ts";
import { madeResult, minuteOf, writeMade } from "../support/results.ts";

// Proves what the report and the plan take from a project's files, and that a bad one stops neither. The engine isn't asked.

const c7 = "s005-c7-q4km-partial24";
let folder: string;

beforeEach(async () => {
  folder = await createReportFolder();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const read = () => readReportInput({ folder, vramMiB: 16_384, docker: null });

describe("files that do not read", () => {
  it.each([
    ["a torn result", `benchmarks/llama-cpp-${c7}-20260601-000000.json`, '{"version": 1, "starts": [', /JSON/],
    ["another's file named like a record", "benchmarks/bench-dev-1.json", "{}", /profile/],
    ["a torn hand-over", "benchmarks/handover-s006.json", "{", /benchmarks\/handover-s006.json: /],
    [
      "a hand-over whose numbers are gone",
      "benchmarks/handover-s006.json",
      '{"version":1,"session":"s006","expectations":"configs/expectations/s006.json","results":[],"decisions":[]}',
      /s006\.json/,
    ],
    ["a profile that isn't one", "configs/llama-cpp-broken.env", "IMAGE=latest\n", /configs\/llama-cpp-broken\.env: /],
    ["a profile of an image that isn't there", "configs/llama-cpp-lost.env", null, /IMAGE=gone/],
    ["a torn reference", "configs/references/torn.json", "[", /JSON/],
    ["a stack's file that is no YAML", "Pulumi.torn.yaml", "config: [", /./],
  ])("%s is named with the reason, and the rest is reported", async (_name, file, text, reason) => {
    const before = await read();
    const dev = await readFile(join(folder, "configs/llama-cpp-dev.env"), "utf8");
    await writeFile(join(folder, file), text ?? dev.replace(/^IMAGE=.*$/m, "IMAGE=gone"));
    const { unreadable, memory, handOvers, references } = await read();
    expect(unreadable.map((one) => one.file)).toEqual([file]);
    expect(unreadable[0]?.reason).toMatch(reason);
    expect([memory.length, handOvers.length, references.length]).toEqual([
      before.memory.length,
      before.handOvers.length,
      before.references.length,
    ]);
  });

  it("are said in the page itself", async () => {
    const file = `benchmarks/llama-cpp-${c7}-20260601-000000.json`;
    await writeFile(join(folder, file), "{");
    const { html } = await writeReport(await read(), folder, join(folder, "benchmarks"));
    expect(await readFile(html, "utf8")).toContain(`>${file}<`);
  });

  it.each([
    ["configs/llama-cpp-broken.env", "IMAGE=latest\n", /^configs\/llama-cpp-broken\.env: /],
    ["configs/headers/qwen3.5-35b-a3b-q8_0.json", "{", /^configs\/headers\/qwen3\.5-35b-a3b-q8_0\.json: not a header digest/],
  ])("fail the plan, which names %s", async (file, text, message) => {
    await writeFile(join(folder, file), text);
    await expect(readPlanRows({ folder, vramMiB: 16_384, set: {}, profiles: [], docker: null })).rejects.toThrow(message);
  });
});

describe("measured memory", () => {
  const measured = async (profile: string) => (await read()).memory.find((row) => row.profile === profile)?.measured;

  it("of a profile with a GPU is its VRAM, of one without the container's memory", async () => {
    await writeMade(folder, [
      madeResult({ profile: c7, startedAt: minuteOf(0), tokensPerSec: 70, starts: 1, vramPeakMiB: 14_900 }),
      madeResult({ profile: "dev", startedAt: minuteOf(0), tokensPerSec: 70, starts: 1 }),
    ]);
    expect(await measured(c7)).toEqual({
      memoryMiB: 14_900,
      of: "vram",
      source: `benchmarks/llama-cpp-${c7}-20260601-000000.json`,
      statedBy: null,
    });
    expect(await measured("dev")).toMatchObject({ memoryMiB: 275, of: "container", statedBy: null });
  });

  it("of a container never takes the place of the VRAM that the hand-over states", async () => {
    await writeMade(folder, [madeResult({ profile: c7, startedAt: minuteOf(0), tokensPerSec: 70 })]);
    expect(await measured(c7)).toMatchObject({ memoryMiB: 14_874, of: "vram", statedBy: "hand-over" });
  });

  it("keeps who states it", async () => {
    expect(await measured("s005-c8-q4km-fit")).toMatchObject({ memoryMiB: 14_595, statedBy: "follow-up" });
    expect(await measured("s005-c3-nokv")).toBeNull();
  });
});
