import { describe, expect, it } from "vitest";
import { parseProfile } from "../../plan/config/profile.ts";
import { parseHeaderDigest } from "../../plan/gguf/digest.ts";
import { parseComputeTable } from "../../plan/memory/compute-table.ts";
import { planBare, type MemoryInput } from "../../plan/memory/plan.ts";
import { bestOf, nextStep, type Judgement, type Trial } from "../../plan/tune/search.ts";
import { describeUbatch } from "../../plan/tune/findings.ts";
import { planSpace, withSet, type Candidate, type TuneAxes } from "../../plan/tune/space.ts";
import { readProjectFile } from "../support/project.ts";

// Proves the search on the planner's own figures for the seed's host (the roofline and the compute table of its build). No card was asked: what a real run
// finds, it finds by benches.

const c7 = "s005-c7-q4km-partial24";
const file = `configs/llama-cpp-${c7}.env`;
const flags = parseProfile(readProjectFile(file) ?? "", { id: c7, file }).flags;
const json = (path: string): unknown => JSON.parse(readProjectFile(path) ?? "null");
const seed: MemoryInput = {
  header: parseHeaderDigest(json("configs/headers/qwen3.5-35b-a3b-q4_k_m.json")),
  flags,
  budget: { gpus: [{ totalMiB: 16_384 }] },
  table: parseComputeTable(json("configs/compute-tables/b8149-cuda.json")),
};
const axes: TuneAxes = { ubatch: [512, 4096], slots: [4], cacheTypes: ["q8_0", "f16"], fit: true };
const limits = { budgetSec: 3600, planErrorPercent: 3 };
const simulate = (candidates: readonly Candidate[], judge: (candidate: Candidate) => Judgement): { trials: Trial[]; why: string } => {
  const trials: Trial[] = [];
  for (;;) {
    const step = nextStep(candidates, trials, limits);
    if (step.kind === "stop") return { trials, why: step.why };
    trials.push({ candidate: step.candidate, judgement: judge(step.candidate) });
  }
};
const byPlan = ({ plannedTokensPerSec }: Candidate): Judgement => ({
  kind: "measured",
  tokensPerSec: plannedTokensPerSec,
  sec: 60,
  source: "roofline",
});

describe("the search on the seed's host", () => {
  const space = planSpace(seed, axes);

  it("finds at least the speed of C7, with what fits", () => {
    const plan = planBare(seed);
    const speed = plan.kind === "planned" ? plan.speed.tokensPerSec : 0;
    const best = bestOf(simulate(space.candidates, byPlan).trials);
    expect(speed).toBeGreaterThan(60);
    expect(best?.judgement.kind === "measured" ? best.judgement.tokensPerSec : 0).toBeGreaterThanOrEqual(speed);
    expect(best?.candidate).toMatchObject({ verdict: "fits", ubatch: 512, cacheType: "q8_0", placed: 14 });
  });

  it("says that ubatch 512 frees room for more expert layers", () => {
    const like = space.candidates.find(({ cacheType, placed }) => cacheType === "q8_0" && placed !== null);
    expect(like === undefined ? [] : describeUbatch(space, like, true)).toEqual([
      "ubatch 512 instead of 4096 frees room on the GPU for the experts of 9 more layers (n-cpu-moe 14 instead of 23): planned 82.6 instead of 69.3 tok/s; prompts are read in smaller pieces",
    ]);
  });

  it("lets nothing through that the planner does not, and places as much on the GPU as fits", () => {
    for (const candidate of space.candidates) {
      const replanned = planBare({ ...seed, flags: withSet(flags, candidate.set) });
      expect(replanned.kind === "planned" ? replanned.verdict : "unknown").toBe(candidate.verdict);
      expect(candidate.verdict).not.toBe("refused");
      if (candidate.placed === null || candidate.placed === 0) continue;
      const bolder = planBare({ ...seed, flags: withSet(flags, { ...candidate.set, LLAMA_ARG_N_CPU_MOE: String(candidate.placed - 1) }) });
      expect(bolder.kind === "planned" ? bolder.verdict : "").not.toBe("fits");
    }
  });

  it("says what no placement makes fit", () => {
    const small = planSpace({ ...seed, budget: { gpus: [{ totalMiB: 2048 }] } }, { ...axes, fit: false });
    expect(small.candidates).toEqual([]);
    expect(small.refused).toContain("ubatch 4096, 4 slots, cache q8_0");
  });

  it("plans no less than the least of --fit on a card that is smaller than its target", () => {
    const tiny = planSpace({ ...seed, budget: { gpus: [{ totalMiB: 100 }] } }, axes);
    expect(tiny.candidates).toEqual([]);
    expect(tiny.refused).toHaveLength(4);
  });
});

const candidate = (name: string, plannedTokensPerSec: number, changes: Partial<Candidate> = {}): Candidate => ({
  set: {},
  label: name,
  ubatch: 512,
  slots: 4,
  cacheType: "q8_0",
  placed: 1,
  verdict: "fits",
  gpuMiB: { low: 1, expected: 2, high: 3 },
  plannedTokensPerSec,
  ...changes,
});

describe("the search", () => {
  const three = [candidate("a", 100), candidate("b", 98), candidate("c", 50)];

  it("goes on after a failure and stops where no plan can beat the best", () => {
    const { trials, why } = simulate(three, (one) =>
      one.label === "a" ? { kind: "failed", reason: "out of memory", sec: 10 } : byPlan(one),
    );
    expect(trials.map((trial) => trial.candidate.label)).toEqual(["a", "b"]);
    expect(why).toBe("none of the 1 left is planned to be faster than the best");
  });

  it("takes the host's own level from what it measured: a slower host does not try everything", () => {
    const { trials } = simulate(three, (one) => ({
      kind: "measured",
      tokensPerSec: one.plannedTokensPerSec / 2,
      sec: 10,
      source: "bench",
    }));
    expect(trials.map((trial) => trial.candidate.label)).toEqual(["a", "b"]);
  });

  it("stops before a run that the time budget can't hold", () => {
    const slow = (one: Candidate): Judgement => ({ ...byPlan(one), sec: 2000 });
    expect(simulate(three, slow)).toMatchObject({ why: "the time budget: 2 candidates were not tried", trials: { length: 1 } });
  });

  it("takes more slots and a larger ubatch among those that are as fast", () => {
    const equals = [candidate("few", 100, { slots: 1 }), candidate("many", 99.5), candidate("large", 99.4, { ubatch: 2048 })];
    const trials = equals.map((one) => ({ candidate: one, judgement: byPlan(one) }));
    expect(bestOf(trials)?.candidate.label).toBe("large");
    expect(bestOf([])).toBeNull();
  });
});
