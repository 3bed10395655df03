/**
 * What gates compare with, on a real volume, server and `llama-perplexity`: references, baselines, quants. Speeds are made up here, because a test must not
 * depend on the machine's: tests/bench/gates measures real ones. Nothing here shows that Pulumi runs the gates: rollout.test.ts does.
 */
import { randomUUID } from "node:crypto";
import { dirname, join } from "node:path";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { BenchmarkResult } from "../../plan/benchmark/result.ts";
import type { GateResult } from "../../plan/gates/verdict.ts";
import { labels } from "../../plan/names.ts";
import { acceptMeasurement } from "../../scripts/commands/baseline-accept.ts";
import { readBaselines, readReferences } from "../../scripts/commands/baseline-show.ts";
import { baselineKey, protocolHashOf, readBaseline } from "../../scripts/gates/baselines.ts";
import type { StackEvidence } from "../../scripts/gates/evidence.ts";
import { forget } from "../../scripts/gates/forgotten.ts";
import { keepMeasurements } from "../../scripts/gates/keep.ts";
import { findModel, QualityRun } from "../../scripts/gates/quality-run.ts";
import { VolumeStore } from "../../scripts/gates/volume-store.ts";
import { Deployment } from "../support/deployment.ts";
import { badModel, goodModel, prepareModels, testModels } from "../support/models.ts";
import { planDev } from "../support/project.ts";
import { madeResult, minuteOf } from "../support/results.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";

const docker = new Docker();
const stackName = `gates-${randomUUID().slice(0, 8)}`;
const dev = planDev(undefined, stackName);
const plan = { ...dev, image: { ...dev.image, tag: testImage }, volume: { ...dev.volume, source: testModels(), hostPath: testModels() } };
const { thresholds } = plan.benchmark;
let store: VolumeStore;

beforeAll(async () => {
  await buildTestImage();
  await prepareModels(testImage);
  store = await VolumeStore.open(docker, stackName, testImage, stackName);
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
  for (const { Id } of await mine()) await docker.getContainer(Id).remove({ force: true });
  await docker.getVolume(stackName).remove({ force: true });
});

const mine = (): Promise<Docker.ContainerInfo[]> =>
  docker.listContainers({ all: true, filters: { label: [`${labels.stack}=${stackName}`] } });

describe("baselines", () => {
  /** A benchmark gate's line and evidence, made up. */
  async function passed(benchmark: BenchmarkResult): Promise<GateResult> {
    const { startedAt, subject } = benchmark;
    const folder = `evidence/${subject.releaseId}/benchmark`;
    const evidence = await store.append(folder, startedAt, { version: 1, benchmark, input: { thresholds }, result: { startedAt } });
    const result = { version: 1, gate: "benchmark", verdict: "passed", reason: "", dryRun: false, comparedWith: null } as const;
    return { ...result, releaseId: subject.releaseId, metrics: [], samples: 1, startedAt, wallSec: 1, evidence };
  }
  const protocolHash = protocolHashOf(plan.benchmark.protocol);
  const steady = { ...madeResult({ profile: "dev", startedAt: minuteOf(0), tokensPerSec: 60 }), protocolHash };
  const slower = { ...madeResult({ profile: "dev", startedAt: minuteOf(10), tokensPerSec: 50, build: "b2" }), protocolHash };
  const wild = {
    ...madeResult({ profile: "dev", startedAt: minuteOf(20), tokensPerSec: 60, spreadPercent: 90, build: "b3" }),
    protocolHash,
  };
  const key = baselineKey(steady);
  const levels = async (): Promise<string[]> =>
    (await readBaselines(store, plan.benchmark, new Date())).flatMap(
      ({ report }) => report?.metrics.map(({ level }) => level.toFixed(0)) ?? [],
    );

  it("are what took traffic last, unless its starts spread too much: that is said", async () => {
    const [kept] = await keepMeasurements(store, [await passed(steady)], minuteOf(1));
    expect(kept).toMatch(/^benchmark: baseline baselines\//);
    const [refused] = await keepMeasurements(store, [await passed(wild)], minuteOf(21));
    expect(refused).toMatch(
      /^benchmark: the baseline stays as it was, because .* too unsteady to compare with: short decode spread \d+\.\d %/,
    );
    expect((await readBaseline(store, key))?.sessions.map(({ startedAt }) => startedAt)).toEqual([minuteOf(0)]);
  });

  it("are not made of gates that only reported", async () => {
    expect(await keepMeasurements(store, [{ ...(await passed(slower)), dryRun: true }], minuteOf(22))).toEqual([]);
  });

  it("are shown with level, spread, and the evidence they are from", async () => {
    const [shown, ...others] = await readBaselines(store, plan.benchmark, new Date(minuteOf(31)));
    expect(others).toEqual([]);
    expect(shown).toMatchObject({ key, ageSec: 1800, profile: "dev", sessions: [{ starts: 3 }], report: { unsteady: [] } });
    expect(shown?.sessions[0]?.evidence).toMatch(new RegExp(`^evidence/${steady.subject.releaseId}/benchmark/`));
    expect(shown?.report?.metrics[0]).toMatchObject({ name: "short decode", unit: "tok/s", level: expect.closeTo(60, 0) as number });
  });

  it("can be forgotten, and be another measurement by the operator's word, but no unsteady one unless forced", async () => {
    const before = await levels();
    await forget(store, `baselines/${key}`, new Date().toISOString());
    expect(await readBaseline(store, key)).toBeUndefined();
    expect(await levels()).toEqual([]);
    const evidence = (await store.latest(`evidence/${slower.subject.releaseId}/benchmark`))?.path ?? "";
    expect(await acceptMeasurement(store, thresholds, evidence, false)).toMatchObject({ gate: "benchmark", unsteady: [] });
    expect(await levels()).not.toEqual(before);
    expect((await levels())[0]).toBe("50");
    const unsteady = (await store.latest(`evidence/${wild.subject.releaseId}/benchmark`))?.path ?? "";
    expect(await acceptMeasurement(store, thresholds, unsteady, false)).toMatchObject({ path: null });
    expect((await acceptMeasurement(store, thresholds, unsteady, true)).path).toMatch(/^baselines\//);
    expect(await readBaseline(store, key)).toMatchObject({ isForced: true, sessions: [{ startedAt: minuteOf(20) }] });
  });

  it("fail on a measurement that there is not", async () => {
    await expect(acceptMeasurement(store, thresholds, "evidence/none/benchmark/x.json", false)).rejects.toThrow(
      "evidence/none/benchmark/x.json: not in the volume",
    );
  });
});

describe("the answers gate", () => {
  const verdictOf = async (candidate: Parameters<typeof Deployment.create>[0]): Promise<GateResult> => {
    await using deployment = await Deployment.create(candidate, stackName);
    return await deployment.answers();
  };

  it("reports the answers of a first deploy, which become the reference", async () => {
    const first = await verdictOf({});
    expect(first).toMatchObject({
      verdict: "passed",
      comparedWith: { source: "floors" },
      metrics: [{ name: "distinct tokens per answer" }],
    });
    expect(await keepMeasurements(store, [first], new Date().toISOString())).toEqual([
      expect.stringMatching(/^answers: reference references\/answers-/),
    ]);
    expect(await readReferences(store, new Date())).toMatchObject([{ kind: "answers", family: "gemma-3-270m" }]);
  });

  it("passes the same model with another context, and refuses one that was requantised to Q2_K", async () => {
    const wide = await verdictOf({ env: { LLAMA_ARG_CTX_SIZE: "8192" }, releaseId: "wide" });
    expect(wide).toMatchObject({ verdict: "passed", comparedWith: { source: "stored" }, samples: 96 });
    expect(await keepMeasurements(store, [wide], new Date().toISOString())).toEqual([]); // the reference does not move
    expect(await verdictOf({ model: badModel, releaseId: "bad" })).toMatchObject({
      verdict: "failed",
      metrics: [{ verdict: "failed" }, { verdict: "failed" }, { verdict: "failed" }],
    });
  });

  it("asks the release that serves where there is no reference", async () => {
    const [reference] = await readReferences(store, new Date());
    await forget(store, dirname(reference?.path ?? ""), new Date().toISOString());
    await using serving = await Deployment.create({ releaseId: "serving" }, stackName);
    await serving.container.start();
    expect(await verdictOf({ releaseId: "next" })).toMatchObject({
      verdict: "passed",
      comparedWith: { source: "serving", releaseId: "serving" },
      samples: 96,
    });
    expect(await readReferences(store, new Date())).toMatchObject([{ kind: "answers", of: "release serving" }]);
  });
});

describe("comparing quants", () => {
  const evidence = (): StackEvidence => ({ plan, store, [Symbol.asyncDispose]: () => Promise.resolve() });
  const options = { chunks: 2, context: 256 };
  const fileOf = (name: string) => findModel(join(testModels(), name), plan, docker);

  it("measures any file, chunk by chunk", async () => {
    const run = await QualityRun.prepare(evidence(), options, new AbortController().signal);
    const [good, bad] = [await run.measure(await fileOf(goodModel)), await run.measure(await fileOf(badModel))];
    expect([good.chunks.length, bad.chunks.length]).toEqual([2, 2]);
    expect(bad.finalPerplexity).toBeGreaterThan(1.2 * good.finalPerplexity);
  });

  it("leaves no container behind when it is stopped", async () => {
    const stopped = new AbortController();
    const run = await QualityRun.prepare(evidence(), { ...options, chunks: 32 }, stopped.signal);
    const tools = async () => (await mine()).filter(({ Command }) => Command.startsWith("llama-perplexity"));
    const measured = expect(run.measure(await fileOf(goodModel))).rejects.toThrow("stopped by SIGINT");
    await vi.waitFor(async () => expect(await tools()).toMatchObject([{ State: "running" }]), { timeout: 30_000 });
    stopped.abort(new Error("stopped by SIGINT"));
    await measured;
    expect(await tools()).toEqual([]);
  });

  it("fails on a model that is nowhere, saying what there is", async () => {
    await expect(findModel("nope", plan, docker)).rejects.toThrow(
      'model: got "nope", expected an id of configs/models.yaml (gemma-3-270m-q4_k_m,',
    );
    await expect(findModel("/nowhere/x.gguf", plan, docker)).rejects.toThrow("model /nowhere/x.gguf: no x.gguf in /nowhere");
    await expect(fileOf("missing.gguf")).rejects.toThrow("no missing.gguf in");
  });
});
