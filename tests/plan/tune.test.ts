import { describe, expect, it } from "vitest";
import { deriveProfile } from "../../plan/bench/variants.ts";
import { parseProfile } from "../../plan/config/profile.ts";
import { parseHeaderDigest } from "../../plan/gguf/digest.ts";
import { parseComputeTable } from "../../plan/memory/compute-table.ts";
import { planBare, type MemoryInput } from "../../plan/memory/plan.ts";
import { bestOf, nextStep, type Judgement, type Trial } from "../../plan/tune/search.ts";
import { describeGain, describeUbatch } from "../../plan/tune/findings.ts";
import { judgeRecord } from "../../plan/tune/judgement.ts";
import { proposeProfile } from "../../plan/tune/proposal.ts";
import { changed, inOrder, planSpace, retreatOf, type Candidate, type TuneAxes } from "../../plan/tune/space.ts";
import { changeForImage, type OtherImage } from "../../plan/tune/base.ts";
import { readProjectFile } from "../support/project.ts";
import { madeRecord, madeResult, minuteOf } from "../support/results.ts";

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
const start = { change: { set: {}, drop: [] }, knowsFit: true };
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
  perplexity: null,
  sec: 60,
  source: "roofline",
});

describe("the search on the seed's host", () => {
  const space = planSpace(seed, axes, start);

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
      const replanned = planBare({ ...seed, flags: changed(flags, candidate) });
      expect(replanned.kind === "planned" ? replanned.verdict : "unknown").toBe(candidate.verdict);
      expect(candidate.verdict).not.toBe("refused");
      if (candidate.placed === null || candidate.placed === 0) continue;
      const bolder = planBare({ ...seed, flags: { ...changed(flags, candidate), LLAMA_ARG_N_CPU_MOE: String(candidate.placed - 1) } });
      expect(bolder.kind === "planned" ? bolder.verdict : "").not.toBe("fits");
    }
  });

  it("says what no placement makes fit", () => {
    const small = planSpace({ ...seed, budget: { gpus: [{ totalMiB: 2048 }] } }, { ...axes, fit: false }, start);
    expect(small.candidates).toEqual([]);
    expect(small.refused).toContain("ubatch 4096, 4 slots, cache q8_0");
  });

  it("plans no less than the least of --fit on a card that is smaller than its target", () => {
    const tiny = planSpace({ ...seed, budget: { gpus: [{ totalMiB: 100 }] } }, axes, start);
    expect(tiny.candidates).toEqual([]);
    expect(tiny.refused).toHaveLength(4);
  });
});

const candidate = (name: string, plannedTokensPerSec: number, changes: Partial<Candidate> = {}): Candidate => ({
  set: {},
  drop: [],
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
      one.label === "a" ? { kind: "failed", reason: "out of memory", isOutOfMemory: true, sec: 10 } : byPlan(one),
    );
    expect(trials.map((trial) => trial.candidate.label)).toEqual(["a", "b"]);
    expect(why).toBe("none of the 1 left is planned to be faster than the best");
  });

  it("takes the host's own level from what it measured: a slower host does not try everything", () => {
    const { trials } = simulate(three, (one) => ({
      kind: "measured",
      tokensPerSec: one.plannedTokensPerSec / 2,
      perplexity: null,
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

describe("a space around any of the seed's profiles", () => {
  const ids = [
    "c1-fulloffload",
    "c2-partial",
    "c2a-partial32",
    "c2b-partial36",
    "c3-nokv",
    "c4-autofit",
    "c4r-autofit-refit",
    "c5-q4km-fulloffload",
    "c6-q4km-partial16",
    "c7-q4km-partial24",
    "c8-q4km-fit",
  ].map((name) => `s005-${name}`);

  it.each(ids)("has both placements by hand and by --fit, and all of %s parse, benched, stepped back and proposed", (id) => {
    const path = `configs/llama-cpp-${id}.env`;
    const text = readProjectFile(path) ?? "";
    const profile = parseProfile(text, { id, file: path });
    const header = parseHeaderDigest(json(`configs/headers/${profile.model}.json`));
    const input = { ...seed, header, flags: profile.flags };
    const { base, candidates } = planSpace(input, axes, start);
    const retreats = candidates.flatMap((one) => retreatOf(input, one) ?? []);
    expect(new Set(candidates.map(({ set }) => set["LLAMA_ARG_FIT"]))).toEqual(new Set(["on", "off"]));
    expect(retreats).toHaveLength(candidates.filter(({ placed }) => placed !== null).length);
    const evidence = { base: id, model: profile.model, vramMiB: 1, source: "x", isSimulated: true, date: "x", trials: [], findings: [] };
    for (const one of [...candidates, ...retreats, ...(base === null ? [] : [base])])
      for (const made of [deriveProfile(text, one), proposeProfile(text, one, 1, evidence)])
        expect(parseProfile(made, { id, file: one.label }).flags).toEqual(changed(profile.flags, one));
  });

  it("has no candidate that is the base itself, and keeps --fit away from a build that has none", () => {
    const { base, candidates } = planSpace(seed, axes, start);
    const [first] = candidates;
    const own = changed(flags, first ?? { set: {}, drop: [] });
    const around = planSpace({ ...seed, flags: own }, axes, start);
    expect(base?.set).toEqual({});
    expect(around.candidates).toHaveLength(candidates.length - 1);
    const without = planSpace(seed, axes, { ...start, knowsFit: false }).candidates;
    expect(without.length).toBeGreaterThan(0);
    for (const { set, drop } of without) expect([set["LLAMA_ARG_FIT"], drop.includes("LLAMA_ARG_FIT")]).toEqual([undefined, true]);
  });

  it("prefers the base's type of cache among those that are planned to be as fast", () => {
    const equals = [candidate("cache f16", 100, { cacheType: "f16" }), candidate("cache q8_0", 100)];
    expect(inOrder(equals, "q8_0").map(({ label }) => label)).toEqual(["cache q8_0", "cache f16"]);
    expect(inOrder(equals, "f16").map(({ label }) => label)).toEqual(["cache f16", "cache q8_0"]);
  });
});

describe("a candidate that ran out of memory", () => {
  const [first] = planSpace(seed, { ...axes, fit: false }, start).candidates;

  it("is followed by the same with one more layer's experts on the host, until there is none left", () => {
    const next = first === undefined ? null : retreatOf(seed, first);
    expect([first?.placed, next?.placed, next?.set["LLAMA_ARG_N_CPU_MOE"], next?.label]).toEqual([
      14,
      15,
      "15",
      "n-cpu-moe 15, ubatch 512, 4 slots, cache q8_0",
    ]);
    expect(next?.gpuMiB.high).toBeLessThan(first?.gpuMiB.high ?? 0);
    expect(retreatOf(seed, candidate("all on the host", 1, { placed: 40 }))).toBeNull();
    expect(retreatOf(seed, candidate("--fit", 1, { placed: null }))).toBeNull();
  });
});

describe("what a bench says of a candidate", () => {
  const record = madeRecord("t", minuteOf(0), 6.5);
  const result = madeResult({ profile: "t", startedAt: minuteOf(0), tokensPerSec: 70, starts: 2 });
  const [gate] = record.gates;

  it("is its speed by the stack's level, and its perplexity", () => {
    const mean = judgeRecord(record, result, "mean");
    const slower = {
      ...result,
      starts: result.starts.map((one) => ({ ...one, requests: [...one.requests, ...one.requests.map(halved)] })),
    };
    expect(mean).toMatchObject({ kind: "measured", perplexity: 6.5, sec: 90, source: `benchmarks/${record.result ?? ""}` });
    expect(judgeRecord(record, slower, "best")).toEqual(mean);
    expect(judgeRecord(record, slower, "mean")).not.toEqual(mean);
  });

  it.each([
    [
      "a perplexity gate that failed",
      { gates: gate === undefined ? [] : [{ ...gate, verdict: "failed" as const, reason: "+8 %" }] },
      "perplexity: +8 %",
      false,
    ],
    [
      "a release that took no request",
      { outcome: "incomplete" as const, reason: "measured; then promote: 503" },
      "incomplete: measured; then promote: 503",
      false,
    ],
    [
      "no memory",
      { outcome: "out-of-memory" as const, reason: "cudaMalloc failed", result: null },
      "out-of-memory: cudaMalloc failed",
      true,
    ],
  ])("is that it failed, after %s", (_what, changes, reason, isOutOfMemory) => {
    const judged = judgeRecord({ ...record, ...changes }, "result" in changes ? null : result, "mean");
    expect(judged).toEqual({ kind: "failed", reason, isOutOfMemory, sec: 90 });
  });
});

const halved = <R extends { decodeTokensPerSec: number; serverDecodeTokensPerSec: number }>(request: R): R => ({
  ...request,
  decodeTokensPerSec: request.decodeTokensPerSec / 2,
  serverDecodeTokensPerSec: request.serverDecodeTokensPerSec / 2,
});

describe("what a proposal gains", () => {
  const base = candidate("base", 50);
  const other = candidate("other", 60);
  const trial = (one: Candidate, tokensPerSec: number): Trial => ({
    candidate: one,
    judgement: { ...byPlan(one), tokensPerSec } as Judgement,
  });

  it("is said against the base profile, whichever is better", () => {
    const trials = [trial(base, 50), trial(other, 60)];
    expect(describeGain(trials[1] as Trial, trials, base)).toEqual(["20.0 % faster than the base profile, which comes to 50.0 tok/s"]);
    expect(describeGain(trials[0] as Trial, trials, base)).toEqual(["nothing that was tried is better than the base profile"]);
    expect(describeGain(trials[1] as Trial, trials.slice(1), base)).toEqual([]);
  });
});

describe("a base profile on another image", () => {
  const { flags: c7Flags, ...rest } = parseProfile(readProjectFile(file) ?? "", { id: c7, file });
  const older: OtherImage = {
    name: "older",
    isCpu: false,
    known: new Set([...Object.keys(c7Flags).filter((key) => key !== "LLAMA_ARG_LOAD_MODE"), "LLAMA_ARG_MMAP"]),
    presetFlags: { LLAMA_ARG_TEMPERATURE: "0.6" },
  };

  it("is written in the words of its build, without a preset that it can't read", () => {
    expect(changeForImage({ ...rest, flags: c7Flags }, older)).toEqual({
      set: { IMAGE: "older", LLAMA_ARG_MMAP: "off" },
      drop: ["LLAMA_ARG_LOAD_MODE", "SAMPLING"],
    });
    const back = { ...older, known: new Set(Object.keys(c7Flags)), presetFlags: {} };
    const mapped = { ...rest, flags: { LLAMA_ARG_MMAP: "off", LLAMA_ARG_DRAFT_MAX: "8" } };
    expect(changeForImage(mapped, { ...back, known: new Set([...back.known, "LLAMA_ARG_SPEC_DRAFT_N_MAX"]) })).toEqual({
      set: { IMAGE: "older", LLAMA_ARG_LOAD_MODE: "none", LLAMA_ARG_SPEC_DRAFT_N_MAX: "8" },
      drop: ["LLAMA_ARG_MMAP", "LLAMA_ARG_DRAFT_MAX"],
    });
  });

  it("keeps what has no other name there, for its check to refuse", () => {
    const locked = { ...rest, flags: { LLAMA_ARG_LOAD_MODE: "mlock", LLAMA_ARG_KV_UNIFIED: "on" } };
    expect(changeForImage(locked, { ...older, known: new Set(["LLAMA_ARG_MMAP"]), presetFlags: {} })).toEqual({
      set: { IMAGE: "older" },
      drop: [],
    });
  });

  it("puts nothing on a GPU where the build has no backend for one", () => {
    const fitted = { ...rest, flags: { LLAMA_ARG_FIT: "on", LLAMA_ARG_FIT_TARGET: "1024", LLAMA_ARG_N_GPU_LAYERS: "auto" } };
    const cpu = { ...older, isCpu: true, known: new Set(Object.keys(fitted.flags)), presetFlags: {} };
    expect(changeForImage(fitted, cpu)).toEqual({
      set: { IMAGE: "older", LLAMA_ARG_N_GPU_LAYERS: "0", LLAMA_ARG_FIT: "off" },
      drop: ["LLAMA_ARG_FIT_TARGET"],
    });
  });
});
