import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { benchRecordSchema } from "../../plan/bench/record.ts";
import { asPulumiConfig, benchStack, stackSettings } from "../../plan/bench/settings.ts";
import { slug, type Variant } from "../../plan/bench/variants.ts";
import { parseStackConfig } from "../../plan/config/stack-config.ts";
import { judgeRecord } from "../../plan/tune/judgement.ts";
import type { Judgement } from "../../plan/tune/search.ts";
import type { Candidate } from "../../plan/tune/space.ts";
import type { BenchRequest } from "../bench/request.ts";
import { finishRun, runBench } from "../bench/run.ts";
import { readResult } from "../report/results.ts";

/** Says how fast a candidate is. */
export interface Judge {
  readonly isSimulated: boolean;
  judge(candidate: Candidate, signal: AbortSignal): Promise<Judgement>;
  /** Called once the search is over: nothing of it is to be gone on with. */
  finish(): Promise<void>;
}

/** Believes the planner: no run, no time. What it says ranks candidates and is no measurement. */
export const roofline: Judge = {
  isSimulated: true,
  judge: ({ plannedTokensPerSec }) =>
    Promise.resolve({ kind: "measured", tokensPerSec: plannedTokensPerSec, perplexity: null, sec: 0, source: "roofline" }),
  finish: () => Promise.resolve(),
};

/** Benches each candidate in a stack of its own, as `npm run bench` does. What a search with the same key had finished when it was stopped is not repeated. */
export function benchJudge(base: string, request: Omit<BenchRequest, "variants" | "goesOn" | "journal" | "isKept">): Judge {
  const config = asPulumiConfig(stackSettings(request.settings, base, request.modelsPath));
  const { startLevel } = parseStackConfig(benchStack(base), config).gates.benchmark.thresholds;
  const common = { ...request, journal: "tune" as const, isKept: false, goesOn: true };
  const folder = join(request.projectDir, "benchmarks");
  let isFirst = true;
  return {
    isSimulated: false,
    async judge({ set, drop, label }, signal) {
      const variant: Variant = { id: `${base}-tune-${slug(label)}`, basedOn: base, set, drop };
      const { done } = await runBench({ ...common, variants: [variant], isFresh: isFirst && request.isFresh }, signal);
      isFirst = false;
      const [end] = done;
      if (end === undefined) throw new Error(`tune: the bench of ${label} left no record`);
      const record = benchRecordSchema.parse(JSON.parse(await readFile(join(folder, end.record), "utf8")));
      const result = record.result === null ? null : (await readResult(join(folder, record.result))).result;
      return judgeRecord(record, result, startLevel);
    },
    finish: () => finishRun(common),
  };
}
