/** `node tests/bench/drift/run.ts [runs]`: does a drift check find anything on a healthy stack under load, and how long does it take? See README.md. */
import { quantile } from "simple-statistics";
import { DriftProject } from "../../support/drift-project.ts";
import { underLoad } from "../../support/load.ts";
import { prepareModels } from "../../support/models.ts";
import { providerSets } from "../../support/provider-sets.ts";
import { buildTestImage, testImage } from "../../support/test-image.ts";

const runs = Number(process.argv[2] ?? 100);
const idleRuns = 10;

/** One check: seconds of the check itself and of the whole command, and what it found. */
interface Sample {
  readonly checkSec: number;
  readonly commandSec: number;
  readonly found: readonly string[];
}

async function sample(drift: DriftProject, count: number): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let index = 0; index < count; index++) {
    const startMs = performance.now();
    const run = await drift.drift();
    const found =
      run.exitCode === 0 ? [] : [`exit code ${run.exitCode}`, ...run.report.findings.map(({ kind, found: what }) => `${kind}: ${what}`)];
    samples.push({ checkSec: run.report.wallMs / 1000, commandSec: (performance.now() - startMs) / 1000, found });
  }
  return samples;
}

function describe(name: string, samples: readonly Sample[]): string {
  const times = (of: (sample: Sample) => number): string => [0.5, 0.95, 1].map((q) => quantile(samples.map(of), q).toFixed(2)).join(" / ");
  const false_ = samples.filter(({ found }) => found.length > 0);
  const said = false_.map(({ found }) => `\n  ${found.join("; ")}`).join("");
  return `${name}: ${samples.length} runs, ${false_.length} with a finding; check ${times(({ checkSec }) => checkSec)} s, command ${times(({ commandSec }) => commandSec)} s (median / 95 % / longest)${said}`;
}

const [set] = await providerSets();
if (set === undefined)
  throw new Error("no provider set: install Go for toolchain/, or name a folder of archives in PULUMI_PLUGIN_ARCHIVES");
await buildTestImage();
await prepareModels(testImage);
const drift = await DriftProject.create(set);
try {
  const { exitCode, output } = await drift.project.up();
  if (exitCode !== 0) throw new Error(output);
  process.stdout.write(`${describe("idle", await sample(drift, idleRuns))}\n`);
  const { endpoint } = drift.project;
  // four clients on two slots: some request always waits
  const clients = (left: number): Promise<{ samples: Sample[]; answered: number; failures: string[] }> =>
    left === 0
      ? sample(drift, runs).then((samples) => ({ samples, answered: 0, failures: [] }))
      : underLoad(endpoint, () => clients(left - 1)).then(({ result, load }) => ({
          samples: result.samples,
          answered: result.answered + load.answered,
          failures: [...result.failures, ...load.failures],
        }));
  const { samples, answered, failures } = await clients(4);
  process.stdout.write(
    `${describe("loaded", samples)}\n  meanwhile ${answered} requests of 4 clients were answered, ${failures.length} failed\n`,
  );
} finally {
  await drift.remove();
}
