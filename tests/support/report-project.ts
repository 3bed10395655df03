import { cp, mkdir, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectDir } from "../../scripts/paths.ts";
import { madeRecord, madeResult, minuteOf, writeMade } from "./results.ts";

/** A folder with the project's configuration and hand-over, and no result yet; the caller removes it. */
export async function createReportFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "llm-server-report-"));
  await mkdir(join(folder, "benchmarks"));
  for (const part of ["configs", "Pulumi.dev.yaml", "Pulumi.prod.yaml", "Pulumi.bench.yaml", "benchmarks/handover-s005.json"])
    await cp(join(projectDir, part), join(folder, part), { recursive: true });
  return folder;
}

/** Results of a few profiles over builds, one of which is slower by half and one of which could not be run. */
export async function addHistory(folder: string): Promise<void> {
  const speeds = { dev: 72, "dev-fast": 90, "dev-slow": 41 };
  const builds = ["b11600", "b11640", "b11669", "b11700"];
  const results = Object.entries(speeds).flatMap(([profile, tokensPerSec], row) =>
    builds.map((build, step) =>
      madeResult({
        profile,
        build,
        startedAt: minuteOf(step * 1440 + row),
        tokensPerSec: build === "b11700" && profile === "dev-slow" ? tokensPerSec / 2 : tokensPerSec + step,
        spreadPercent: 3,
      }),
    ),
  );
  const records = [
    madeRecord("dev", minuteOf(0), 22.657),
    madeRecord("dev-fast", minuteOf(1), 23.3),
    madeRecord("dev-slow", minuteOf(2), 22.7),
    madeRecord("dev-huge", minuteOf(3), null),
  ];
  await writeMade(folder, results, records);
}
