import { volumeName } from "../../plan/names.ts";
import type { BenchmarkResult } from "../../plan/benchmark/result.ts";
import { connectDocker } from "../../scripts/docker/host.ts";
import { acceptBaseline, readBenchmarkEvidence } from "../../scripts/gates/baselines.ts";
import { foldersBelow } from "../../scripts/gates/evidence.ts";
import { VolumeStore } from "../../scripts/gates/volume-store.ts";
import { testImage } from "../support/test-image.ts";
import type { FaultStack } from "./fault-stack.ts";

/**
 * Makes what was measured of the release that serves, each time changed in another way, what releases are compared with from now on; gives the measurement and how many baselines
 * there are. Nothing else makes one: the benchmark of these stacks is a dry run.
 */
export async function plantBaselines(
  { project, release }: FaultStack,
  ...changes: readonly ((measured: BenchmarkResult) => BenchmarkResult)[]
): Promise<{ readonly measured: BenchmarkResult; readonly count: number }> {
  // its container is not the stack's, which is asked for leftovers
  await using store = await VolumeStore.open(connectDocker(null), volumeName(project.stack, "evidence"), testImage, "test/baselines");
  const evidence = await store.latest(`evidence/${release}/benchmark`);
  const measured = await readBenchmarkEvidence(store, evidence?.path ?? "none");
  for (const change of changes) await acceptBaseline(store, change(measured), new Date().toISOString(), true);
  return { measured, count: (await foldersBelow(store, "baselines")).length };
}
