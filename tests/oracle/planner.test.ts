/**
 * The planner against the engine's own memory plan, on random flags: weights, KV cache and recurrent state to 1 MiB on host and device, compute inside the
 * interval. The device is a software Vulkan one whose limits are lifted. Cannot prove: CUDA's compute (its tables come from real cards), the driver's context,
 * and what only appears while tokens flow.
 *
 * `ORACLE_CASES` (default 240) asks more, `ORACLE_SEED` asks others.
 */
import { beforeAll, describe, expect, it } from "vitest";
import Docker from "dockerode";
import { encodeDigestModel } from "../../plan/gguf/write.ts";
import type { GgufHeader } from "../../plan/gguf/types.ts";
import { planMemory } from "../../plan/memory/fix.ts";
import type { ComputeTable } from "../../plan/memory/compute-table.ts";
import type { DevicePlan, MemoryPart } from "../../plan/memory/types.ts";
import {
  askEngine,
  type EngineAnswer,
  type EngineDevice,
  type EngineHost,
  type EngineModel,
  type EngineQuestion,
} from "../../scripts/gguf/engine.ts";
import { calibrateCompute } from "../../scripts/gguf/calibrate.ts";
import { gemma3Swa, llamaGqa, qwen35moe, qwen3Moe } from "../support/model-shapes.ts";
import { committedHeader, committedTable, headerOf, planned } from "../support/planner.ts";
import { randomCases } from "./random-flags.ts";
import { prepareEngine, whyNoEngine } from "./support.ts";

const seed = Number(process.env["ORACLE_SEED"] ?? "20261123");
const count = Number(process.env["ORACLE_CASES"] ?? "240");

const docker = new Docker();
const missing = await whyNoEngine(docker);
if (missing !== null && process.env["REQUIRE_INTEGRATION"] === "1") throw new Error(`oracle: ${missing}`);

const shapes = {
  qwen35q8: qwen35moe("Q8_0"),
  qwen35q4: qwen35moe("Q4_K_M"),
  qwen35mtp: qwen35moe("Q8_0", { mtp: true }),
  llama: llamaGqa(),
  llamatied: llamaGqa(true),
  qwen3moe: qwen3Moe(),
  gemma3: gemma3Swa(),
};
const gemma270 = committedHeader("gemma-3-270m-q4_k_m");
const headers: Record<string, GgufHeader> = {
  gemma270,
  ...Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, headerOf(shape, name)])),
};
// without a vocabulary, which the engine would read anew for each question
const models: EngineModel[] = Object.entries(headers).map(([name, header]) => ({ name, ...encodeDigestModel(header) }));

const vulkan = committedTable("b11669-vulkan");
const vramMiB = 131_072;

/** Largest storage buffer of a Vulkan device, bytes: logits beyond it are computed on the host, which no CUDA device does. */
const largestBuffer = 2 ** 32 - 1;

interface Compared {
  readonly question: EngineQuestion;
  readonly flags: Readonly<Record<string, string>>;
}

/** Every way in which planner and engine differ on one question, in words. */
function differences({ question, flags }: Compared, answer: EngineAnswer | undefined, table: ComputeTable | null): string[] {
  const where = `${question.tool} ${question.model} ${question.args.join(" ")}`;
  if (answer === undefined || "error" in answer) return [`${where}: engine says ${answer?.error ?? "nothing"}`];
  const header = headers[question.model]!;
  const { devices } = planned(planMemory({ header, flags, budget: { gpus: [{ totalMiB: vramMiB }] }, table }));
  return devices.flatMap((device) => {
    const engine = answer.devices.find((entry) => (entry.device === "host") === (device.device === "host"));
    const tooLarge = Number(flags["LLAMA_ARG_UBATCH"]) * header.vocabSize * 4 > largestBuffer;
    return engine === undefined
      ? [`${where}: engine has no ${device.device}`]
      : compare(device, engine, tooLarge).map((text) => `${where}: ${device.device} ${text}`);
  });
}

function compare({ parts }: DevicePlan, engine: EngineDevice, areLogitsElsewhere: boolean): string[] {
  const own = parts.filter(({ label }) => label === "");
  const exact = (...kinds: MemoryPart["kind"][]): number =>
    own.filter(({ kind }) => kinds.includes(kind)).reduce((sum, { lowMiB }) => sum + lowMiB, 0);
  const compute = own.find(({ kind }) => kind === "compute")!;
  const off = (name: string, mine: number, theirs: number): string[] =>
    Math.abs(mine - theirs) <= 1.01 ? [] : [`${name} ${mine.toFixed(2)} MiB, engine ${theirs}`];
  return [
    ...off("weights", exact("weights"), engine.modelMiB),
    ...off("KV cache and state", exact("kv", "recurrentState"), engine.contextMiB),
    ...(compute.highMiB < engine.computeMiB ? [`compute at most ${compute.highMiB.toFixed(1)} MiB, engine ${engine.computeMiB}`] : []),
    ...(compute.lowMiB > engine.computeMiB + 1 && !areLogitsElsewhere
      ? [`compute at least ${compute.lowMiB.toFixed(1)} MiB, engine ${engine.computeMiB}`]
      : []),
  ];
}

describe.skipIf(missing !== null)(`the engine, seed ${seed}`, () => {
  let engine: EngineHost;
  beforeAll(() => {
    engine = prepareEngine(docker, vramMiB);
  });

  it(`agrees on ${count} random flag sets of eight models, host and device`, async () => {
    const cases = randomCases(seed, count).map(({ model, args, flags }): Compared => ({
      question: { tool: "fit-params", model, args },
      flags,
    }));
    const answers = await askEngine(
      engine,
      models,
      cases.map(({ question }) => question),
    );
    // llama-fit-params reserves logits for the whole ubatch, as servers did before they limited them to the slots
    expect(cases.flatMap((entry, index) => differences(entry, answers[index], null))).toEqual([]);
  });

  it("agrees with a server's own plan: unified cache, fewer logits, MTP", async () => {
    const base = { LLAMA_ARG_N_GPU_LAYERS: "99", LLAMA_ARG_FIT: "off" };
    const cases: Compared[] = [
      {
        question: { tool: "server", model: "llama", args: ["-c", "16384", "-ngl", "99", "-ub", "1024"] },
        flags: { ...base, LLAMA_ARG_CTX_SIZE: "16384", LLAMA_ARG_UBATCH: "1024" },
      },
      {
        question: { tool: "server", model: "gemma3", args: ["-c", "16384", "-ngl", "99", "-ub", "1024"] },
        flags: { ...base, LLAMA_ARG_CTX_SIZE: "16384", LLAMA_ARG_UBATCH: "1024" },
      },
      {
        question: {
          tool: "server",
          model: "qwen35q4",
          args: ["-c", "65536", "-ngl", "99", "-ncmoe", "24", "-ub", "4096", "-b", "4096", "-ctk", "q8_0", "-ctv", "q8_0"],
        },
        flags: {
          ...base,
          LLAMA_ARG_CTX_SIZE: "65536",
          LLAMA_ARG_N_CPU_MOE: "24",
          LLAMA_ARG_UBATCH: "4096",
          LLAMA_ARG_BATCH: "4096",
          LLAMA_ARG_CACHE_TYPE_K: "q8_0",
          LLAMA_ARG_CACHE_TYPE_V: "q8_0",
        },
      },
      {
        question: {
          tool: "server",
          model: "qwen35mtp",
          args: ["-c", "8192", "-ngl", "99", "-ncmoe", "41", "-np", "1", "--spec-type", "draft-mtp", "--spec-draft-n-max", "1"],
        },
        flags: {
          ...base,
          LLAMA_ARG_CTX_SIZE: "8192",
          LLAMA_ARG_N_CPU_MOE: "41",
          LLAMA_ARG_N_PARALLEL: "1",
          LLAMA_ARG_SPEC_TYPE: "draft-mtp",
          LLAMA_ARG_SPEC_DRAFT_N_MAX: "1",
        },
      },
    ];
    const answers = await askEngine(
      engine,
      models,
      cases.map(({ question }) => question),
    );
    expect(cases.flatMap((entry, index) => differences(entry, answers[index], vulkan))).toEqual([]);
  });
});

describe.skipIf(missing !== null)("calibrateCompute", () => {
  it("asks the engine and comes to the committed points", async () => {
    const grid = { ubatches: [512, 4096], contexts: [65_536], slots: [4], cacheTypes: ["q8_0"] };
    const { context, fitReserve, peaksFor, peaks, boundKibPerToken } = vulkan;
    const base = { context, fitReserve, peaksFor, peaks, boundKibPerToken };
    const host = prepareEngine(docker, vramMiB);
    const table = await calibrateCompute({
      host,
      build: "b11669",
      backend: "vulkan",
      headers: [committedHeader("qwen3.5-35b-a3b-q4_k_m")],
      base,
      source: "oracle test",
      grid,
    });
    expect(table.points).toHaveLength(4);
    for (const point of table.points) expect(vulkan.points).toContainEqual(point);
  });
});

it.runIf(missing !== null)("is skipped", ({ skip }) => {
  skip(missing ?? "");
});
