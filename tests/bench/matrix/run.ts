import { readdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { describeSeconds } from "../../../plan/bench/outcome.ts";
import { readRecords } from "../../../scripts/bench/records.ts";
import { runBench } from "../../../scripts/bench/run.ts";
import { projectDir } from "../../../scripts/paths.ts";
import { BenchProject } from "../../support/bench-project.ts";
import { prepareModels } from "../../support/models.ts";
import { buildTestImage, testImage } from "../../support/test-image.ts";

/** The seed's profiles, or those named, scaled down to the dev model, through a whole matrix with the dev stack's own gates; then its overhead. */
const all = (await readdir(join(projectDir, "configs"))).flatMap((name) => /^llama-cpp-(s005-.+)\.env$/.exec(name)?.[1] ?? []).sort();
const profiles = process.argv.length > 2 ? process.argv.slice(2) : all;
/** What each profile has to come to on a CPU: C4 asks a build for a flag that it does not know. */
const expected = (profile: string): string => (profile === "s005-c4-autofit" ? "refused" : "measured");

await buildTestImage();
await prepareModels(testImage);
await using project = await BenchProject.create(profiles, false);
const { done, wallSec, measuredSec } = await runBench(project.request(profiles), new AbortController().signal);
for (const { profile, outcome, wallSec: sec, measuredSec: measured } of done)
  process.stdout.write(`${profile}: ${outcome}, ${describeSeconds(sec)}, of it measured ${describeSeconds(measured)}\n`);
const overheadPercent = (100 * (wallSec - measuredSec)) / measuredSec;
process.stdout.write(
  `${describeSeconds(wallSec)} in all, ${describeSeconds(measuredSec)} measured: overhead ${overheadPercent.toFixed(1)} %\n`,
);
const records = await readRecords(join(project.dir, "benchmarks"));
const gatesSec = records.flatMap(({ gates }) => gates).reduce((sum, gate) => sum + gate.wallSec, 0);
process.stdout.write(`${describeSeconds(gatesSec)} by the gates' own clocks, without images, models and waiting for other rollouts\n`);
const left = await project.onHost(profiles);
const wrong = done.filter(({ profile, outcome }) => outcome !== expected(profile));
if (left.length > 0) process.stdout.write(`left on the Docker host: ${left.join(", ")}\n`);
if (wrong.length > 0 || left.length > 0 || overheadPercent >= 10) process.exitCode = 1;
