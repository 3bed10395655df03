import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { parseProfile } from "../../plan/config/profile.ts";
import type { Candidate } from "../../plan/tune/space.ts";
import { projectDir } from "../../scripts/paths.ts";
import { readTuneInput } from "../../scripts/tune/read.ts";
import { tune } from "../../scripts/tune/run.ts";
import { roofline } from "../../scripts/tune/judges.ts";
import { vi } from "vitest";

// Proves the command with the simulated judge; the bench that judges in earnest is proved by tests/integration/bench.test.ts.

const model = "qwen3.5-35b-a3b-q4_k_m";
const command = (...args: readonly string[]) =>
  execa(process.execPath, ["scripts/cli.ts", "tune", ...args], { cwd: projectDir, reject: false });

describe("npm run tune", () => {
  it("proposes a profile that parses, with its evidence, for the build of C7's time", async () => {
    const { stdout, exitCode } = await command(
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
    expect(profile).not.toContain("The first 24 of 40 layers"); // the base's comment on a value that changed
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
  it("proposes what its judge measured, not what was planned", async () => {
    vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const input = await readTuneInput({
      folder: projectDir,
      model,
      vramMiB: 16_384,
      image: "latest-fit",
      profile: "s005-c7-q4km-partial24",
    });
    const axes = { ubatch: [512, 4096], slots: [4], cacheTypes: ["q8_0"], fit: true };
    const speeds = (one: Candidate): number => (one.placed === null ? 90 : one.ubatch === 512 ? 40 : 60);
    const judge = {
      ...roofline,
      isSimulated: false,
      judge: (one: Candidate) =>
        Promise.resolve({ kind: "measured" as const, tokensPerSec: speeds(one), sec: 60, source: "benchmarks/x.json" }),
    };
    const result = await tune(
      input,
      axes,
      { budgetSec: 3600, planErrorPercent: 50 },
      judge,
      { vramMiB: 16_384, date: "2026-01-01" },
      new AbortController().signal,
    );
    vi.restoreAllMocks();
    expect(result.best?.candidate.label).toMatch(/^--fit/);
    expect(result.profile).toContain("90.0 tok/s measured (benchmarks/x.json)");
    expect(parseProfile(result.profile ?? "", { id: "t", file: "t" }).flags["LLAMA_ARG_N_CPU_MOE"]).toBeUndefined();
  });
});
