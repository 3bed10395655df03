import type { BenchRecord } from "../bench/record.ts";
import type { BenchmarkResult } from "../benchmark/result.ts";
import type { Expectations } from "../config/expectations.ts";
import type { PerplexityReference } from "../gates/reference.ts";
import type { BenchmarkThresholds } from "../gates/thresholds.ts";
import type { PlanRow } from "../memory/table.ts";
import type { HandOver } from "./handover.ts";

/** A parsed file with its path in the project. */
export interface Filed<T> {
  readonly file: string;
  readonly content: T;
}

/** Everything that a report is made from. */
export interface ReportInput {
  readonly results: readonly Filed<BenchmarkResult>[];
  readonly records: readonly Filed<BenchRecord>[];
  readonly handOvers: readonly (Filed<HandOver> & { readonly expectations: Expectations })[];
  readonly references: readonly Filed<PerplexityReference>[];
  /** Files of `benchmarks/` that don't read as what their names say. */
  readonly unreadable: readonly { readonly file: string; readonly reason: string }[];
  readonly memory: readonly PlanRow[];
  /** VRAM that the memory rows were planned for, MiB. */
  readonly vramMiB: number;
  /** Model of a profile, as in configs/models.yaml; undefined where the profile is gone. */
  readonly modelOf: (profile: string) => string | undefined;
  /** Family of a model; undefined where the model is gone. */
  readonly familyOf: (model: string) => string | undefined;
  /** What the gate of the stack with this scenario set decides by; undefined where no stack has it. */
  readonly thresholdsOf: (scenarioSet: string) => BenchmarkThresholds | undefined;
}
