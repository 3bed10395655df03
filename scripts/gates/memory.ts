import type Docker from "dockerode";
import { z } from "zod";

const statsSchema = z.object({ memory_stats: z.object({ usage: z.number().optional(), max_usage: z.number().optional() }) });

/** The container's highest memory use so far where the kernel keeps it (cgroup v1), else its present use; null where neither is told. */
export async function memoryPeakMiB(container: Docker.Container): Promise<number | null> {
  const { memory_stats: memory } = statsSchema.parse(await container.stats({ stream: false, "one-shot": true }));
  const bytes = memory.max_usage ?? memory.usage;
  return bytes === undefined ? null : Math.round(bytes / 2 ** 20);
}
