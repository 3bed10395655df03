import process from "node:process";
import { Command, Option } from "commander";
import { describeAge } from "../../plan/benchmark/baseline-report.ts";
import { gateNameSchema, type GateName } from "../../plan/gates/verdict.ts";
import { acceptMeasurement } from "./baseline-accept.ts";
import { readBaselines, readReferences, type ShownBaseline, type ShownReference } from "./baseline-show.ts";
import { openEvidence, foldersBelow } from "../gates/evidence.ts";
import { forget, isForgotten } from "../gates/forgotten.ts";

/** Exit code where a measurement is too unsteady to say anything by. */
const inconclusive = 2;

interface JsonOption {
  readonly json?: boolean;
}

/** `npm run baseline`: what releases are compared with. */
export function baselineCommand(): Command {
  const command = new Command("baseline").description("what a stack's releases are compared with: show it, accept another, forget it");
  const sub = (name: string, description: string): Command =>
    command.command(name).description(description).option("--json", "print it as JSON");
  sub("show", "baselines and references in the evidence volume: levels, spread, age, where they are from")
    .argument("[stack]", "stack name", "dev")
    .action(show);
  sub("accept", "make a measurement what later releases are compared with, whatever its gate said of it")
    .argument("<measurement>", "path in the evidence volume (evidence/<release>/<gate>/…), or a benchmark's result file")
    .argument("[stack]", "stack name", "dev")
    .option("-f, --force", "accept one whose starts spread too much to compare with")
    .action(accept);
  sub("reset", "forget what releases are compared with; nothing is deleted, and accept brings it back")
    .argument("[stack]", "stack name", "dev")
    .addOption(new Option("--of <gate>", "gate whose comparisons are meant").choices(gateNameSchema.options).default("benchmark"))
    .option("--key <key>", "only this one, as shown by show")
    .action(reset);
  return command;
}

const print = (json: boolean | undefined, value: unknown, lines: () => readonly string[]): void =>
  void process.stdout.write(json === true ? `${JSON.stringify(value, null, 2)}\n` : `${lines().join("\n")}\n`);

async function show(stack: string, { json }: JsonOption): Promise<void> {
  await using evidence = await openEvidence(stack, "baseline");
  const { plan, store } = evidence;
  const baselines = await readBaselines(store, plan.benchmark, new Date());
  const references = await readReferences(store, new Date());
  print(json, { stack, volume: plan.evidence.volume, baselines, references }, () => [
    ...(baselines.length === 0 ? [`stack ${stack} has no baseline: the next release is held against floors only`] : []),
    ...baselines.flatMap(formatBaseline),
    ...references.map(formatReference),
    `all in volume ${plan.evidence.volume}`,
  ]);
}

function formatBaseline(shown: ShownBaseline): string[] {
  const { key, releaseId, profile, host, scenarioSet, sessions, report, isForced, ageSec, path } = shown;
  const head = `baseline ${key}: release ${releaseId} (profile ${profile}), recorded ${describeAge(ageSec)} ago`;
  const on = `  on ${host.cpu}, ${host.cpus} CPUs${host.gpus.map(({ name }) => `, ${name}`).join("")}; scenarios ${scenarioSet}`;
  const from = sessions.map(
    ({ startedAt, starts, evidence }) => `  measured ${startedAt}, ${starts} starts: ${evidence ?? "evidence gone"}`,
  );
  if (report === null)
    return [head, on, ...from, "  not compared with: measured by another protocol than this stack's gate has now", `  ${path}`];
  const metrics = report.metrics.map(
    ({ name, unit, level, spreadPercent, sessionLevels }) =>
      `  ${name.padEnd(24)} ${level.toFixed(1)} ${unit}, starts spread ${spreadPercent.toFixed(1)} %` +
      (sessionLevels.length > 1 ? `, sessions ${sessionLevels.map((value) => value.toFixed(1)).join(", ")}` : ""),
  );
  return [
    head,
    on,
    ...metrics,
    ...from,
    ...report.unsteady.map((reason) => `  ${isForced ? "compared with all the same (--force)" : "not compared with"}: ${reason}`),
    `  ${path}`,
  ];
}

const formatReference = ({ kind, family, of, ageSec, path }: ShownReference): string =>
  `${kind} reference: ${family}, ${of}, recorded ${describeAge(ageSec)} ago: ${path}`;

async function accept(measurement: string, stack: string, { json, force }: JsonOption & { force?: boolean }): Promise<void> {
  await using evidence = await openEvidence(stack, "baseline");
  const { plan, store } = evidence;
  const accepted = await acceptMeasurement(store, plan.benchmark.thresholds, measurement, force === true);
  if (accepted.path === null) process.exitCode = inconclusive;
  print(json, { stack, ...accepted }, () =>
    accepted.path === null
      ? [`not accepted: ${accepted.unsteady.join("; ")}`, "measure again on a quieter host, or accept it all the same with --force"]
      : [`${accepted.gate}: ${accepted.path} is what releases are compared with now`],
  );
}

const topFolder: Readonly<Record<GateName, string>> = { benchmark: "baselines", perplexity: "references", answers: "references" };

async function reset(stack: string, { json, of: gate, key }: JsonOption & { of: GateName; key?: string }): Promise<void> {
  await using evidence = await openEvidence(stack, "baseline");
  const { store } = evidence;
  const all = (await foldersBelow(store, topFolder[gate])).filter(
    (folder) => gate === "benchmark" || folder.startsWith("references/answers-") === (gate === "answers"),
  );
  const chosen = key === undefined ? all : all.filter((folder) => folder.endsWith(`/${key}`));
  if (key !== undefined && chosen.length === 0)
    throw new Error(
      `--key: got ${JSON.stringify(key)}, expected one of ${all.map((folder) => folder.split("/")[1]).join(", ") || "none: there is nothing"}`,
    );
  const forgotten: { folder: string; was: string }[] = [];
  for (const folder of chosen) {
    const latest = await store.latest(folder);
    if (latest === undefined || isForgotten(latest.document)) continue;
    await forget(store, folder, new Date().toISOString());
    forgotten.push({ folder, was: latest.path });
  }
  print(json, { stack, forgotten }, () =>
    forgotten.length === 0 ? ["nothing to forget"] : forgotten.map(({ folder, was }) => `forgot ${folder}, which was ${was}`),
  );
}
