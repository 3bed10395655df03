import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { benchRecordSchema, recordPrefix, type BenchRecord } from "../../plan/bench/record.ts";
import { compare } from "../../plan/report/runs.ts";
import { describeError, log } from "../program.ts";

/** Every bench record of a folder that reads, oldest first; none where there is no such folder. One that doesn't read is named and left out: what it says is how long a profile took. */
export async function readRecords(folder: string): Promise<BenchRecord[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.startsWith(recordPrefix) && name.endsWith(".json"));
  const records = await Promise.all(names.map((name) => readRecord(folder, name)));
  return records.flatMap((record) => record ?? []).sort((a, b) => compare(a.startedAt, b.startedAt));
}

async function readRecord(folder: string, name: string): Promise<BenchRecord | null> {
  try {
    return benchRecordSchema.parse(JSON.parse(await readFile(join(folder, name), "utf8")));
  } catch (error) {
    log(`${name} does not read and is left out: ${describeError(error)}`);
    return null;
  }
}
