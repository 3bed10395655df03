import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { planMemory } from "../../../plan/memory/fix.ts";
import type { MemoryPart } from "../../../plan/memory/types.ts";
import { readGgufHeader } from "../../../scripts/gguf/source.ts";
import { writeSparseGguf } from "../../support/gguf-file.ts";
import { gemma3Swa, llamaGqa, qwen35moe, qwen3Moe } from "../../support/model-shapes.ts";
import { committedTable, device } from "../../support/planner.ts";

/** Runs of each side; medians are compared. */
const RUNS = 15;
const CONTEXT = 65_536;
const UBATCH = 512;

const models = {
  "qwen3.5 Q8_0, 36.9 GB": qwen35moe("Q8_0"),
  "qwen3.5 Q4_K_M": qwen35moe("Q4_K_M"),
  llama: llamaGqa(),
  qwen3moe: qwen3Moe(),
  "gemma3 (sliding window)": gemma3Swa(),
};

interface Timing {
  readonly parseMs: number;
  readonly estimateMs: number;
  readonly weightsMiB: number;
  readonly cacheMiB: number;
  readonly computeMiB: number;
}

const median = (samples: number[]): number => samples.sort((a, b) => a - b)[Math.floor(samples.length / 2)] ?? 0;

/** This project's planner on a file: header from disk to plan, and the plan alone. */
async function timeOurs(path: string): Promise<Timing> {
  const table = committedTable("b11669-vulkan");
  const [parses, plans]: [number[], number[]] = [[], []];
  let parts: readonly MemoryPart[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    const start = performance.now();
    const header = await readGgufHeader(path);
    const parsed = performance.now();
    const flags = {
      LLAMA_ARG_CTX_SIZE: String(CONTEXT),
      LLAMA_ARG_UBATCH: String(UBATCH),
      LLAMA_ARG_N_PARALLEL: "1",
      LLAMA_ARG_CACHE_TYPE_K: "q8_0",
      LLAMA_ARG_CACHE_TYPE_V: "q8_0",
      LLAMA_ARG_FIT: "off",
    };
    parts = device(planMemory({ header, flags, budget: { gpus: [{ totalMiB: 98_304 }] }, table }), "gpu0").parts;
    parses.push(parsed - start);
    plans.push(performance.now() - parsed);
  }
  const sum = (...kinds: MemoryPart["kind"][]): number =>
    parts.filter(({ kind }) => kinds.includes(kind)).reduce((total, part) => total + part.expectedMiB, 0);
  return {
    parseMs: median(parses),
    estimateMs: median(plans),
    weightsMiB: sum("weights"),
    cacheMiB: sum("kv", "recurrentState"),
    computeMiB: sum("compute"),
  };
}

const parser = process.argv[2];
if (parser === undefined) throw new Error("usage: node tests/bench/planner/bench.ts <path of the built gguf-parser>; see README.md");
const folder = mkdtempSync(join(tmpdir(), "planner-bench-"));
try {
  process.stdout.write("model: ours / gguf-parser-go, ms to parse and to plan; time ratio; MiB of weights, cache and state, compute\n");
  for (const [name, model] of Object.entries(models)) {
    const path = join(folder, "model.gguf");
    writeSparseGguf(path, model);
    const ours = await timeOurs(path);
    const theirs = JSON.parse(execFileSync(parser, [path, String(CONTEXT), String(UBATCH), String(RUNS)], { encoding: "utf8" })) as Timing;
    const both = (pick: (timing: Timing) => number, digits: number): string =>
      `${pick(ours).toFixed(digits)} / ${pick(theirs).toFixed(digits)}`;
    const ratio = (ours.parseMs + ours.estimateMs) / (theirs.parseMs + theirs.estimateMs);
    const times = `parse ${both((t) => t.parseMs, 1)} ms, plan ${both((t) => t.estimateMs, 2)} ms, ratio ${ratio.toFixed(2)}`;
    const sizes = `weights ${both((t) => t.weightsMiB, 0)}, cache ${both((t) => t.cacheMiB, 1)}, compute ${both((t) => t.computeMiB, 0)}`;
    process.stdout.write(`${name}: ${times}; ${sizes}\n`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
