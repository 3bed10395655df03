import { execa } from "execa";
import { afterEach, describe, expect, it, vi } from "vitest";
import { parseProfile } from "../../plan/config/profile.ts";
import { parseStackConfig } from "../../plan/config/stack-config.ts";
import { planStack } from "../../plan/stack.ts";
import type { Judgement } from "../../plan/tune/search.ts";
import type { Candidate } from "../../plan/tune/space.ts";
import { projectDir } from "../../scripts/paths.ts";
import { roofline } from "../../scripts/tune/judges.ts";
import { readTuneInput } from "../../scripts/tune/read.ts";
import { tune, type TuneResult } from "../../scripts/tune/run.ts";
import { pulumiConfig, readProjectFile } from "../support/project.ts";

// Proves the command with the simulated judge; the bench that judges in earnest is proved by tests/integration/bench.test.ts.

const model = "qwen3.5-35b-a3b-q4_k_m";
const c7 = "s005-c7-q4km-partial24";
const command = (...args: readonly string[]) =>
  execa(process.execPath, ["scripts/cli.ts", "tune", ...args], { cwd: projectDir, reject: false });

describe("npm run tune", () => {
  it("proposes a profile that a stack takes, with its evidence, for the build of C7's time", async () => {
    const { stdout, stderr, exitCode } = await command(
      "--model",
      model,
      "--vram",
      "16384",
      "--image",
      "latest-fit",
      "--profile",
      "s005-c7-q4km-partial24",
      "--simulate",
      "--json",
    );
    expect(exitCode).toBe(0);
    const { profile, findings, build } = JSON.parse(stdout) as { profile: string; findings: string[]; build: string };
    expect(build).toBe("b8149");
    expect(findings.some((line) => line.startsWith("ubatch 512 instead of 4096 frees room on the GPU for the experts of"))).toBe(true);
    expect(profile).toContain("planned by the roofline, not measured");
    expect(findings[0]).toMatch(/^\d+\.\d % faster than the base profile, which comes to 68\.2 tok\/s$/);
    expect(profile).not.toContain("The first 24 of 40 layers"); // the base's comment on a value that changed
    expect(stderr).toContain("IMAGE=latest-fit, LLAMA_ARG_MMAP=off, without LLAMA_ARG_LOAD_MODE, SAMPLING");
    const config = parseStackConfig("bench", { ...pulumiConfig("bench"), "llm-server:profile": "tuned" });
    const planned = planStack("bench", config, (path) => (path === "configs/llama-cpp-tuned.env" ? profile : readProjectFile(path)));
    expect([planned.image.tag, planned.memory.verdict]).toEqual(["llm-server/llama-cpp:latest-fit", "fits"]);
    const { flags, image } = parseProfile(profile, { id: "tuned", file: "tuned" });
    expect([image, flags["LLAMA_ARG_UBATCH"], flags["LLAMA_ARG_N_CPU_MOE"], flags["LLAMA_ARG_CTX_SIZE"]]).toEqual([
      "latest-fit",
      "512",
      "14",
      "65536",
    ]);
  });

  it.each([
    [
      "a model that no profile serves",
      "--model",
      "no-such",
      "tune: got model no-such, allowed are those that a profile serves: gemma-3-270m-q4_k_m",
    ],
    ["a type of cache that there is not", "--cache-types", "q8_0,q9", 'got "q9", expected f32'],
    ["a ubatch that no build takes", "--ubatch", "7", 'got "7", expected an integer from 32'],
    ["a profile that is there already", "--write", "dev", "configs/llama-cpp-dev.env is there already; choose another id"],
  ])("fails with 3 and what there is for %s", async (_what, option, value, message) => {
    const { stderr, exitCode } = await command("--model", model, "--vram", "16384", "--simulate", option, value);
    expect([exitCode, stderr]).toEqual([3, expect.stringContaining(message)]);
  });

  it.each([
    ["has flags that the image's build lacks", c7, "before-fit", "LLAMA_ARG_KV_UNIFIED"],
    ["asks its own build for what it lacks", "s005-c4-autofit", "before-fit", "LLAMA_ARG_FIT"],
  ])("fails with 3 for a base profile that %s, saying which", async (_what, profile, image, flag) => {
    const of = profile === c7 ? model : "qwen3.5-35b-a3b-q8_0";
    const { stderr, stdout, exitCode } = await command(
      "--model",
      of,
      "--vram",
      "16384",
      "--simulate",
      "--profile",
      profile,
      "--image",
      image,
    );
    expect([exitCode, stdout]).toEqual([3, ""]);
    expect(stderr).toMatch(new RegExp(`^tune: no profile to start from:\\n.*${flag}: got "on"`));
  });

  it("places nothing where the image has no GPU backend, and says so", async () => {
    const { stdout, stderr, exitCode } = await command("--model", "gemma-3-270m-q4_k_m", "--vram", "4096", "--simulate");
    expect(exitCode).toBe(0);
    expect(stderr).toContain("has no GPU backend: everything is on the CPU, and --vram does not count");
    expect(stdout).toMatch(/best: on the CPU, ubatch 4096/);
    expect(stdout).toContain("LLAMA_ARG_N_GPU_LAYERS=0");
    expect(stderr + stdout).not.toMatch(/GPU (planned )?0 to|MiB of VRAM/);
  });

  it("fails with 3 without a model", async () => {
    const { exitCode } = await command("--vram", "16384");
    expect(exitCode).toBe(3);
  });
});

describe("a search", () => {
  afterEach(() => vi.restoreAllMocks());
  const axes = { ubatch: [512, 4096], slots: [4], cacheTypes: ["q8_0"], fit: true };

  async function searchFrom(profile: string, image: string | undefined, judge: (one: Candidate) => Judgement): Promise<TuneResult> {
    vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const input = await readTuneInput({ folder: projectDir, model, vramMiB: 16_384, profile, ...(image === undefined ? {} : { image }) });
    const limits = { budgetSec: 3600, planErrorPercent: 50 };
    const judging = { ...roofline, isSimulated: false, judge: (one: Candidate) => Promise.resolve(judge(one)) };
    return tune(input, axes, limits, judging, { vramMiB: 16_384, date: "2026-01-01" }, new AbortController().signal);
  }
  const measured = (tokensPerSec: number): Judgement => ({
    kind: "measured",
    tokensPerSec,
    perplexity: 6.67,
    sec: 60,
    source: "benchmarks/x.json",
  });
  const isFit = ({ set }: Candidate): boolean => set["LLAMA_ARG_FIT"] === "on";

  it("proposes what its judge measured, not what was planned", async () => {
    const { best, profile } = await searchFrom(c7, "latest-fit", (one) => measured(isFit(one) ? 90 : one.ubatch === 512 ? 40 : 60));
    expect(best?.candidate.label).toMatch(/^--fit/);
    expect(profile).toContain("90.0 tok/s measured (benchmarks/x.json)");
    expect(profile).toContain("90.0 tok/s, perplexity 6.67");
    expect(parseProfile(profile ?? "", { id: "t", file: "t" }).flags["LLAMA_ARG_N_CPU_MOE"]).toBeUndefined();
  });

  it("measures the image that it proposes, and the base profile on it first", async () => {
    const { trials } = await searchFrom(c7, "latest-fit", (one) => measured(one.plannedTokensPerSec));
    expect(trials[0]?.candidate.label).toMatch(/^the base profile/);
    expect(new Set(trials.map(({ candidate }) => candidate.set["IMAGE"]))).toEqual(new Set(["latest-fit"]));
  });

  it.each(["s005-c8-q4km-fit", c7])("tries placements by hand and by --fit, whichever %s has", async (profile) => {
    const { trials } = await searchFrom(profile, undefined, (one) => measured(one.plannedTokensPerSec));
    expect(new Set(trials.slice(1).map(({ candidate }) => isFit(candidate)))).toEqual(new Set([true, false]));
  });

  it("goes on with one more layer's experts on the host after running out of memory, as often as it takes", async () => {
    const { trials, best } = await searchFrom(c7, "latest-fit", (one) =>
      (one.placed ?? 99) < 16
        ? { kind: "failed", reason: "out of memory", isOutOfMemory: true, sec: 9 }
        : measured(one.placed === 16 ? 99 : 50),
    );
    const placed = trials.flatMap(({ candidate }) => (candidate.ubatch === 512 && candidate.placed !== null ? [candidate.placed] : []));
    expect(placed.slice(0, 3)).toEqual([14, 15, 16]);
    expect(best?.candidate.placed).toBe(16);
  });
});
