import { decisionSection, chooseProfile } from "./decision-section.ts";
import { mib, signedPercent, tokS, type Fact, type ReportDocument } from "./document.ts";
import { runsOfHandOver } from "./handover-runs.ts";
import { historySection } from "./history-section.ts";
import type { ReportInput } from "./input.ts";
import { memorySection } from "./memory-section.ts";
import { qualitiesOf } from "./quality.ts";
import { qualitySection, standingGroups, type Standing, type StandingGroup } from "./quality-section.ts";
import { compare, newestRuns, overallSpeed, runOfResult, type Run } from "./runs.ts";
import { groupBy, shortHost, speedSection } from "./speed-section.ts";

/** Every run that a report knows, handed over or measured. */
export function runsOf({ results, handOvers, thresholdsOf }: ReportInput): Run[] {
  return [
    ...handOvers.flatMap(({ content, expectations }) => runsOfHandOver(content, expectations)),
    ...results.map(({ file, content }) => runOfResult(file, content, thresholdsOf(content.scenarioSet)?.startLevel ?? "mean")),
  ];
}

/** The report as values: what was measured, planned and decided, and where each number is from. */
export function planReport(input: ReportInput): ReportDocument {
  const runs = runsOf(input);
  const handedOver = runs.filter(({ origin }) => origin === "handed over");
  const empty = handedOver.filter((run) => !hasSpeeds(run)).length;
  return {
    title: "llm-server: measurements",
    lead: `${input.results.length} result file${input.results.length === 1 ? "" : "s"} and ${handedOver.length} results that a hand-over names, ${empty === 0 ? "none" : empty} of them without numbers. Every number links to the file that it is from.`,
    facts: [...topHosts(runs).flatMap((group) => hostFacts(group, input)), plannedFact(input), measuredFact(runs)],
    sections: [
      speedSection(runs),
      memorySection(input.memory, input.vramMiB),
      qualitySection(input, runs),
      decisionSection(input, runs),
      historySection(input, runs),
    ],
  };
}

/** Hosts, with their scenario sets, that the page opens with: those measured last, the hand-over among them. */
const mostHosts = 2;

const topHosts = (runs: readonly Run[]): [Run, ...Run[]][] =>
  groupBy(
    [...runs].sort((a, b) => compare(b.at, a.at)),
    ({ hostKey, scenarioSet }) => `${hostKey}\n${scenarioSet}`,
  ).slice(0, mostHosts);

/** What the numbers choose of each model family on a host; the fastest profile where they choose nothing. */
function hostFacts(runs: readonly [Run, ...Run[]], input: ReportInput): Fact[] {
  const host = shortHost(runs[0]);
  const groups = standingGroups(runs, qualitiesOf(input), input.modelOf);
  const chosen = groupBy(groups, ({ standings }) => standings[0].quality.family).flatMap((family) => chosenOf(family));
  if (chosen.length > 0)
    return chosen.map(({ run, speed, quality, lossPercent }) => ({
      label: `Chosen: ${host}`,
      value: run.profile,
      detail: `${tokS(speed)} tok/s, perplexity ${signedPercent(lossPercent)} over the best of ${quality.family}`,
      href: run.file,
    }));
  const fastest = newestRuns(runs).reduce((most, run) => ((overallSpeed(run) ?? 0) > (overallSpeed(most) ?? 0) ? run : most));
  const speed = overallSpeed(fastest);
  if (speed === null) return [];
  const detail = `${tokS(speed)} tok/s over all workloads; nothing is chosen without a comparison of perplexities`;
  return [{ label: `Fastest: ${host}`, value: fastest.profile, detail, href: fastest.file }];
}

/** What the numbers choose of a family: by the setup that most of its profiles were measured with, of those that choose. */
function chosenOf(family: readonly StandingGroup[]): Standing[] {
  const [most] = [...family]
    .sort((a, b) => b.standings.length - a.standings.length)
    .flatMap((group) => {
      const choice = chooseProfile(group);
      return "chosen" in choice ? [choice.chosen] : [];
    });
  return most === undefined ? [] : [most];
}

function plannedFact({ memory, vramMiB }: ReportInput): Fact {
  const planned = memory.filter(({ plan }) => plan.kind === "planned");
  const fits = planned.filter(({ plan }) => plan.kind === "planned" && plan.verdict === "fits");
  return {
    label: "Planned to fit",
    value: `${fits.length} of ${planned.length} profiles`,
    detail: `on ${mib(vramMiB)} MiB of VRAM, or on the CPU`,
    section: "memory",
  };
}

const hasSpeeds = (run: Run): boolean => Object.keys(run.speeds).length > 0;

function measuredFact(runs: readonly Run[]): Fact {
  const measured = runs.filter(hasSpeeds);
  const profiles = new Set(measured.map(({ profile }) => profile));
  const hosts = new Set(measured.map(({ hostKey }) => hostKey)).size;
  const empty = new Set(runs.map(({ profile }) => profile).filter((profile) => !profiles.has(profile))).size;
  return {
    label: "Measured",
    value: `${profiles.size} profile${profiles.size === 1 ? "" : "s"}`,
    detail: `on ${hosts} host${hosts === 1 ? "" : "s"}${empty === 0 ? "" : `; of ${empty} more a result is named and no speed is known`}`,
    section: "speed",
  };
}
