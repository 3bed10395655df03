import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { benchRecordSchema, recordPrefix, type BenchRecord } from "../../plan/bench/record.ts";
import { compare } from "../../plan/report/runs.ts";

/** Every bench record of a folder that reads, oldest first; none where there is no such folder. */
export async function readRecords(folder: string): Promise<BenchRecord[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.startsWith(recordPrefix) && name.endsWith(".json"));
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
  const records = texts.flatMap((text) => {
    const parsed = benchRecordSchema.safeParse(JSON.parse(text));
    return parsed.success ? [parsed.data] : [];
  });
  return records.sort((a, b) => compare(a.startedAt, b.startedAt));
}
