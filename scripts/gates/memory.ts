import type Docker from "dockerode";
import { z } from "zod";
import { sumOfGpus, vramCommand } from "../../plan/benchmark/memory.ts";
import { execText } from "../docker/exec.ts";

const statsSchema = z.object({ memory_stats: z.object({ usage: z.number().optional(), max_usage: z.number().optional() }) });

const nowSchema = z.object({
  memory_stats: z.object({
    usage: z.number().optional(),
    stats: z.object({ inactive_file: z.number().optional(), total_inactive_file: z.number().optional() }).optional(),
  }),
});

/** The container's highest memory use so far where the kernel keeps it (cgroup v1), else its present use; null where neither is told. */
export async function memoryPeakMiB(container: Docker.Container): Promise<number | null> {
  const { memory_stats: memory } = statsSchema.parse(await container.stats({ stream: false, "one-shot": true }));
  const bytes = memory.max_usage ?? memory.usage;
  return bytes === undefined ? null : Math.round(bytes / 2 ** 20);
}

/** The container's memory now, MiB, without the page cache that the kernel can take back where it says how much that is. */
export async function memoryNowMiB(container: Docker.Container): Promise<number | null> {
  const { memory_stats: memory } = nowSchema.parse(await container.stats({ stream: false, "one-shot": true }));
  if (memory.usage === undefined) return null;
  const cache = memory.stats?.total_inactive_file ?? memory.stats?.inactive_file ?? 0;
  return Math.round((memory.usage - cache) / 2 ** 20);
}

/** Memory in use on the GPUs that a container sees, MiB together, by whatever uses them; undefined where `nvidia-smi` is not there or doesn't say. */
export async function vramUsedMiB(container: Docker.Container): Promise<number | undefined> {
  return sumOfGpus(await execText(container, vramCommand));
}
