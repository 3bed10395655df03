import { decisionSection, chooseProfile } from "./decision-section.ts";
import { mib, signedPercent, tokS, type ReportDocument } from "./document.ts";
import { historySection } from "./history-section.ts";
import type { ReportInput } from "./input.ts";
import { memorySection } from "./memory-section.ts";
import { qualitiesOf } from "./quality.ts";
import { qualitySection, standingsOf } from "./quality-section.ts";
import { compare, newestRuns, overallSpeed, runOfResult, runsOfHandOver, type Run } from "./runs.ts";
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
  return {
    title: "llm-server: measurements",
    lead: `${input.results.length} result file${input.results.length === 1 ? "" : "s"} and ${input.handOvers.reduce((sum, { content }) => sum + content.results.length, 0)} results taken from a hand-over. Every number links to the file that it is from.`,
    facts: factsOf(input, runs),
    sections: [
      speedSection(runs),
      memorySection(input.memory, input.vramMiB),
      qualitySection(input, runs),
      decisionSection(input, runs),
      historySection(input, runs),
    ],
  };
}

/** Hosts whose fastest profile the page opens with: the one measured last, and the hand-over. */
const mostHosts = 2;

function factsOf(input: ReportInput, runs: readonly Run[]): ReportDocument["facts"] {
  const standings = standingsOf(runs, qualitiesOf(input), input.modelOf);
  const hosts = groupBy(
    [...runs].sort((a, b) => compare(b.at, a.at)),
    ({ hostKey }) => hostKey,
  );
  const planned = input.memory.filter(({ plan }) => plan.kind === "planned");
  const fits = planned.filter(({ plan }) => plan.kind === "planned" && plan.verdict === "fits");
  return [
    ...hosts.slice(0, mostHosts).flatMap(([first, ...others]) => {
      const chosen = chooseProfile(standings.filter(({ run }) => run.hostKey === first.hostKey));
      const host = shortHost(first);
      if (chosen !== null) {
        const { run, speed, lossPercent } = chosen;
        return [
          {
            label: `Chosen: ${host}`,
            value: run.profile,
            detail: `${tokS(speed)} tok/s, perplexity ${signedPercent(lossPercent)} over the best`,
            href: run.file,
          },
        ];
      }
      const fastest = newestRuns([first, ...others]).reduce((most, run) =>
        (overallSpeed(run) ?? 0) > (overallSpeed(most) ?? 0) ? run : most,
      );
      return [
        {
          label: `Fastest: ${host}`,
          value: fastest.profile,
          detail: `${tokS(overallSpeed(fastest) ?? 0)} tok/s over all workloads`,
          href: fastest.file,
        },
      ];
    }),
    {
      label: "Planned to fit",
      value: `${fits.length} of ${planned.length} profiles`,
      detail: `on ${mib(input.vramMiB)} MiB of VRAM, or on the CPU`,
    },
    {
      label: "Measured",
      value: `${new Set(runs.map(({ profile }) => profile)).size} profiles`,
      detail: `on ${hosts.length} host${hosts.length === 1 ? "" : "s"}`,
    },
  ];
}
