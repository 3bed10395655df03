import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type Docker from "dockerode";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { parse } from "yaml";
import type { JournalEntry } from "../../plan/bench/journal.ts";
import { benchStack } from "../../plan/bench/settings.ts";
import { labels } from "../../plan/names.ts";
import { JournalFile, requestKey } from "../../scripts/bench/journal-file.ts";
import { endOrphans } from "../../scripts/bench/orphans.ts";
import { readRecords } from "../../scripts/bench/records.ts";
import { gatesOf, resultOf } from "../../scripts/bench/traces.ts";
import { prepareWorkDir, workDirOf, writeStackFile } from "../../scripts/bench/work-dir.ts";
import { refuseOccupied } from "../../scripts/commands/bench.ts";
import { projectDir } from "../../scripts/paths.ts";
import { madeRecord, madeResult, minuteOf, writeMade } from "../support/results.ts";

// Proves what a bench keeps on disk and reads of an update; Pulumi and Docker are in tests/integration/bench.test.ts.

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "llm-server-bench-files-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const run: JournalEntry = { kind: "run", request: "r", profiles: ["a"], at: minuteOf(0) };
const begin: JournalEntry = { kind: "begin", profile: "a", stack: "bench-a", at: minuteOf(1) };

describe("the journal's file", () => {
  const file = (): string => join(dir, "deep", "journal.jsonl");

  it("is there for the next run, and goes on after a torn line", async () => {
    {
      await using journal = await JournalFile.open(file());
      await journal.append(run);
    }
    await writeFile(file(), '{"kind":"beg', { flag: "a" });
    {
      await using journal = await JournalFile.open(file());
      expect(journal.state).toMatchObject({ request: "r", isFinished: false, interrupted: null });
      await journal.append(begin);
    }
    await using journal = await JournalFile.open(file());
    expect(journal.state.interrupted).toEqual({ profile: "a", stack: "bench-a" });
  });

  it("fails for a second bench while the first is alive, and takes over from a dead one", async () => {
    {
      await using first = await JournalFile.open(file());
      expect(first.state.isFinished).toBe(true);
      await expect(JournalFile.open(file())).rejects.toThrow(`a bench runs already (process ${process.pid}); wait for it, or stop it`);
    }
    await writeFile(join(dir, "deep", "lock"), String(spawnSync("true").pid));
    await using second = await JournalFile.open(file());
    expect(second.state.request).toBeNull();
  });

  it("begins anew on reset", async () => {
    await using journal = await JournalFile.open(file());
    await journal.append(run);
    await journal.reset();
    await journal.append({ ...run, request: "other" });
    expect((await readFile(file(), "utf8")).trim().split("\n")).toHaveLength(1);
  });
});

describe("a request's key", () => {
  it("differs with profiles and settings, and with nothing else", () => {
    expect(requestKey([{ a: 1 }])).toBe(requestKey([{ a: 1 }]));
    expect(requestKey([{ a: 1 }])).not.toBe(requestKey([{ a: 2 }]));
  });
});

describe("the work dir", () => {
  it("has made-up profiles that the project does not, and links results to the project", async () => {
    const project = join(dir, "project");
    for (const folder of ["components", "plan", "scripts", "configs", "docker", "toolchain", ".tools"])
      await mkdir(join(project, folder), { recursive: true });
    for (const file of ["Pulumi.yaml", "package.json", "index.ts", "toolchain/versions.env"]) await writeFile(join(project, file), "");
    await writeFile(join(project, "configs/llama-cpp-a.env"), "IMAGE=x\nLLAMA_ARG_UBATCH=4096\n");
    const work = join(dir, "work");
    const variants = [{ id: "a-ubatch-512", basedOn: "a", set: { LLAMA_ARG_UBATCH: "512" }, drop: [] }];
    await prepareWorkDir(project, work, variants);
    await prepareWorkDir(project, work, variants); // twice does no harm
    expect(await readFile(join(work, "configs/llama-cpp-a-ubatch-512.env"), "utf8")).toBe("IMAGE=x\nLLAMA_ARG_UBATCH=512\n");
    expect(await readlink(join(work, "benchmarks"))).toBe(join(project, "benchmarks"));
    await expect(readFile(join(project, "configs/llama-cpp-a-ubatch-512.env"))).rejects.toThrow("ENOENT");
  });

  it("keeps the salt of a stack whose file is written again", async () => {
    const file = join(dir, "Pulumi.bench-a.yaml");
    await writeFile(file, "encryptionsalt: v1:abc\nconfig:\n  llm-server:profile: old\n");
    await writeStackFile(dir, "bench-a", { "llm-server:profile": "a" });
    expect(parse(await readFile(file, "utf8"))).toEqual({ encryptionsalt: "v1:abc", config: { "llm-server:profile": "a" } });
  });
});

describe("records of earlier benches", () => {
  it("are read but for those that don't read, which are named", async () => {
    const said = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    await writeMade(dir, [], [madeRecord("dev", minuteOf(5), 20)]);
    await writeFile(join(dir, "benchmarks", "bench-torn-20260601-000000.json"), '{"version":1,');
    await writeFile(join(dir, "benchmarks", "bench-other-20260601-000000.json"), '{"version":9}');
    expect((await readRecords(join(dir, "benchmarks"))).map(({ profile }) => profile)).toEqual(["dev"]);
    const lines = said.mock.calls.map(([line]) => String(line)).sort();
    vi.restoreAllMocks();
    expect(lines).toEqual([
      expect.stringMatching(/^bench-other-20260601-000000\.json does not read and is left out: /),
      expect.stringMatching(/^bench-torn-20260601-000000\.json does not read and is left out: .*JSON/),
    ]);
  });
});

describe("a stack that serves on the GPU that is to be measured", () => {
  const server = (stack: string) => ({ Id: stack, Labels: { [labels.stack]: stack, [labels.role]: "server" } });
  const dockerWith = (stack: string): Docker =>
    ({
      listContainers: () => Promise.resolve([server(stack)]),
      getContainer: () => ({ inspect: () => Promise.resolve({ HostConfig: { DeviceRequests: [{ DeviceIDs: ["0"] }] } }) }),
    }) as unknown as Docker;
  const refuse = (stack: string): Promise<void> =>
    refuseOccupied({ docker: dockerWith(stack), settings: { "llm-server:device": { gpus: ["0"] } }, projectDir: dir }, [], undefined);

  it("is to be paused, unless it is a bench that was kept: that is to be taken away", async () => {
    const work = workDirOf(dir);
    await mkdir(work, { recursive: true });
    await writeStackFile(work, benchStack("a"), { "llm-server:profile": "a" });
    await expect(refuse("prod")).rejects.toThrow(/^stack prod serves on GPU 0, .*; stop it for the time with --pause prod$/);
    await expect(refuse("bench-a")).rejects.toThrow(/it is the bench of a, kept up; take it away: npm run bench -- a --remove$/);
  });
});

describe("a stack's traces", () => {
  it("are the gates' own lines, and the result file that a benchmark named", async () => {
    const benchmark = { ...madeRecord("dev", minuteOf(5), 20).gates[0], gate: "benchmark" };
    const gates = gatesOf([{ stdout: JSON.stringify(benchmark) }, { stdout: "not a gate" }, { stdout: 1 }, {}]);
    expect(gates.map(({ gate }) => gate)).toEqual(["benchmark"]);
    await writeMade(dir, [madeResult({ profile: "dev", startedAt: minuteOf(5), tokensPerSec: 70 })]);
    expect(resultOf(join(dir, "benchmarks"), "dev", gates)).toBe("llama-cpp-dev-20260601-000500.json");
    expect(resultOf(join(dir, "benchmarks"), "other", gates)).toBeNull();
  });
});

describe("orphans of a killed run", () => {
  it("are ended by the folder that they run in", async () => {
    const child = spawn("sleep", ["60"], { cwd: dir });
    const ended = once(child, "exit");
    await once(child, "spawn");
    expect(await endOrphans(dir)).toBe(1);
    expect(await ended).toEqual([null, "SIGINT"]);
  });
});

describe("npm run bench", () => {
  it("fails for settings of no stack, naming the stacks that have some", async () => {
    const args = ["scripts/cli.ts", "bench", "dev", "--settings", "no-such"];
    const { exitCode, stderr } = await execa(process.execPath, args, { cwd: projectDir, reject: false });
    expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/--settings: got no-such, expected .*: bench, dev, prod$/)]);
  });

  it.each([
    [["no-such"], "got profile no-such, allowed are dev, s005-c1-fulloffload"],
    [[], "got no profile, allowed are dev,"],
    [["dev", "--matrix", "ubach=512"], "--matrix: LLAMA_ARG_UBACH: got an unknown key"],
    [["dev", "s005-c8-q4km-fit", "--keep"], "--keep: got 2 profiles, expected one: a stack that stays up holds the gateway's port"],
    [["dev", "--keep", "--remove"], "got --keep and --remove, expected one of them"],
    [["dev", "--matrix", "ubatch=7"], '--matrix: LLAMA_ARG_UBATCH: got "7", expected an integer from 32'],
  ])("fails with 3 for %j, naming what is allowed", async (args, message) => {
    const { exitCode, stderr } = await execa(process.execPath, ["scripts/cli.ts", "bench", ...args], { cwd: projectDir, reject: false });
    expect([exitCode, stderr]).toEqual([3, expect.stringContaining(message)]);
  });
});
