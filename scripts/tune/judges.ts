import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { benchRecordSchema } from "../../plan/bench/record.ts";
import { slug, type Variant } from "../../plan/bench/variants.ts";
import { overallSpeed, runOfResult } from "../../plan/report/runs.ts";
import type { Judgement } from "../../plan/tune/search.ts";
import type { Candidate } from "../../plan/tune/space.ts";
import { requestKey } from "../bench/journal-file.ts";
import type { BenchRequest } from "../bench/request.ts";
import { runBench } from "../bench/run.ts";
import { readResult } from "../report/results.ts";

/** Says how fast a candidate is. */
export interface Judge {
  readonly isSimulated: boolean;
  judge(candidate: Candidate, signal: AbortSignal): Promise<Judgement>;
}

/** Believes the planner: no run, no time. What it says ranks candidates and is no measurement. */
export const roofline: Judge = {
  isSimulated: true,
  judge: ({ plannedTokensPerSec }) => Promise.resolve({ kind: "measured", tokensPerSec: plannedTokensPerSec, sec: 0, source: "roofline" }),
};

/** Benches each candidate in a stack of its own, as `npm run bench` does; its speed is the geometric mean over the scenarios. */
export function benchJudge(base: string, request: Omit<BenchRequest, "variants" | "key">): Judge {
  return {
    isSimulated: false,
    async judge({ set, label }, signal) {
      const variant: Variant = { id: `${base}-tune-${slug(label)}`, basedOn: base, set };
      const { done } = await runBench({ ...request, variants: [variant], key: requestKey([variant, request.settings]) }, signal);
      const [end] = done;
      if (end === undefined) throw new Error(`tune: the bench of ${label} left no record`);
      const folder = join(request.projectDir, "benchmarks");
      const record = benchRecordSchema.parse(JSON.parse(await readFile(join(folder, end.record), "utf8")));
      if (record.result === null) return { kind: "failed", reason: `${record.outcome}: ${record.reason}`, sec: record.wallSec };
      const { result } = await readResult(join(folder, record.result));
      const speed = overallSpeed(runOfResult(record.result, result, "mean"));
      if (speed === null)
        return { kind: "failed", reason: `benchmarks/${record.result} has no scenario that every start ran`, sec: record.wallSec };
      return { kind: "measured", tokensPerSec: speed, sec: record.wallSec, source: `benchmarks/${record.result}` };
    },
  };
}
