import { execFileSync } from "node:child_process";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { projectDir } from "../../../scripts/paths.ts";
import { createReportFolder } from "../../support/report-project.ts";
import { madeRecord, madeResult, minuteOf, writeMade } from "../../support/results.ts";

/** Makes a project folder with as many result files and measures the report's program on it from start to end: time in seconds, size of the page in MB. */
const count = Number(process.argv[2] ?? 1000);
const profiles = 25;
const folder = await createReportFolder();
try {
  const results = Array.from({ length: count }, (_, index) =>
    madeResult({
      profile: `profile-${index % profiles}`,
      build: `b${11_000 + Math.floor(index / profiles)}`,
      startedAt: minuteOf(index),
      tokensPerSec: 40 + (index % profiles),
      starts: 5,
    }),
  );
  const records = Array.from({ length: profiles }, (_, index) => madeRecord(`profile-${index}`, minuteOf(index), 22 + index / 50));
  await writeMade(folder, results, records);
  const script = join(import.meta.dirname, "once.ts");
  const runs = [1, 2, 3].map(() => {
    const start = performance.now();
    execFileSync(process.execPath, [script, folder], { cwd: projectDir, stdio: ["ignore", "ignore", "inherit"] });
    return (performance.now() - start) / 1000;
  });
  const { size } = await stat(join(folder, "benchmarks", "report.html"));
  process.stdout.write(
    `${count} results: ${runs.map((sec) => sec.toFixed(2)).join(", ")} s, process start included; page ${(size / 1e6).toFixed(2)} MB\n`,
  );
  if (count <= 1000 && (Math.min(...runs) >= 3 || size >= 2e6)) process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
