import type Docker from "dockerode";
import type { GateResult } from "../../plan/gates/verdict.ts";
import { gatewayName, volumeName } from "../../plan/names.ts";
import { rolloutRecordSchema, type RolloutRecord } from "../../plan/rollout/records.ts";
import { exists } from "../docker/host.ts";
import { readBenchmarkEvidence } from "../gates/baselines.ts";
import { VolumeStore } from "../gates/volume-store.ts";

/** What a stack's evidence volume tells. */
export interface Evidence {
  /** How the last rollout ended; null where none was recorded. */
  readonly lastRollout: RolloutRecord | null;
  /** Most memory that the benchmark saw each server's container use, MiB, by its name; what was not measured is not there. */
  readonly peaksMiB: Readonly<Record<string, number>>;
}

/** Reads the evidence of a stack and of these gates; nothing is there where the volume or the helper's image is gone. */
export async function readEvidence(docker: Docker, stack: string, gates: readonly GateResult[]): Promise<Evidence> {
  const volume = volumeName(stack, "evidence");
  const [gateway] = await docker.listContainers({ all: true, filters: { name: [`^/${gatewayName(stack)}$`] } });
  if (gateway === undefined || !(await exists(docker.getVolume(volume)))) return { lastRollout: null, peaksMiB: {} };
  await using store = await VolumeStore.open(docker, volume, gateway.ImageID, `${stack}/status`);
  const found = await store.latest("rollouts");
  const peaksMiB: Record<string, number> = {};
  for (const { gate, server, evidence } of gates) {
    if (gate !== "benchmark" || server === undefined || evidence === null) continue;
    const peak = await readPeak(store, evidence);
    if (peak !== null) peaksMiB[server] = peak;
  }
  return { lastRollout: found === undefined ? null : rolloutRecordSchema.parse(found.document), peaksMiB };
}

async function readPeak(store: VolumeStore, path: string): Promise<number | null> {
  try {
    const { starts } = await readBenchmarkEvidence(store, path);
    const peaks = starts.flatMap(({ memoryPeakMiB }) => memoryPeakMiB ?? []);
    return peaks.length === 0 ? null : Math.max(...peaks);
  } catch {
    return null; // removed or torn: the verdict stands all the same
  }
}
