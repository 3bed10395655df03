import type Docker from "dockerode";
import { containerPeakOf, vramPeakOf } from "../../plan/benchmark/memory.ts";
import type { GateResult } from "../../plan/gates/verdict.ts";
import { gatewayName, volumeName } from "../../plan/names.ts";
import { rolloutRecordSchema, type RolloutRecord } from "../../plan/rollout/records.ts";
import type { MeasuredPeaks } from "../../plan/status.ts";
import { exists } from "../docker/host.ts";
import { readBenchmarkEvidence } from "../gates/baselines.ts";
import { VolumeStore } from "../gates/volume-store.ts";

/** What a stack's evidence volume tells. */
export interface Evidence {
  /** How the last rollout ended; null where none was recorded. */
  readonly lastRollout: RolloutRecord | null;
  /** What each server's benchmark saw it use, by its name; not there where its evidence is gone. */
  readonly peaks: Readonly<Record<string, MeasuredPeaks>>;
}

/** Reads the evidence of a stack and of these gates; nothing is there where the volume or the helper's image is gone. */
export async function readEvidence(docker: Docker, stack: string, gates: readonly GateResult[]): Promise<Evidence> {
  const volume = volumeName(stack, "evidence");
  const [gateway] = await docker.listContainers({ all: true, filters: { name: [`^/${gatewayName(stack)}$`] } });
  if (gateway === undefined || !(await exists(docker.getVolume(volume)))) return { lastRollout: null, peaks: {} };
  await using store = await VolumeStore.open(docker, volume, gateway.ImageID, `${stack}/status`);
  const found = await store.latest("rollouts");
  const peaks: Record<string, MeasuredPeaks> = {};
  for (const { gate, server, evidence } of gates) {
    if (gate !== "benchmark" || server === undefined || evidence === null) continue;
    const peak = await readPeaks(store, evidence);
    if (peak !== null) peaks[server] = peak;
  }
  return { lastRollout: found === undefined ? null : rolloutRecordSchema.parse(found.document), peaks };
}

async function readPeaks(store: VolumeStore, path: string): Promise<MeasuredPeaks | null> {
  try {
    const result = await readBenchmarkEvidence(store, path);
    return { containerMiB: containerPeakOf(result), vramMiB: vramPeakOf(result) };
  } catch {
    return null; // removed or torn: the verdict stands all the same
  }
}
