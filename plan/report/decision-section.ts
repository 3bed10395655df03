import { cell, none, signedPercent, tokS, type Section, type Table } from "./document.ts";
import type { ReportInput } from "./input.ts";
import { qualitiesOf } from "./quality.ts";
import { standingsOf, type Standing } from "./quality-section.ts";
import type { Run } from "./runs.ts";
import { day, groupBy, shortHost } from "./speed-section.ts";

/** Perplexity that a choice may cost over the best of its family, per cent: the perplexity gate's default margin for another quant. @see docs/gates.md */
export const choiceMarginPercent = 3;

/** The fastest profile of one host whose perplexity is within the margin of the best; null where no profile has both numbers. */
export function chooseProfile(standings: readonly Standing[]): Standing | null {
  const allowed = standings.filter(({ lossPercent }) => lossPercent <= choiceMarginPercent);
  return allowed.reduce<Standing | null>((most, one) => (most === null || one.speed > most.speed ? one : most), null);
}

/** What the numbers choose, what was decided, and what could not be measured. */
export function decisionSection(input: ReportInput, runs: readonly Run[]): Section {
  const standings = groupBy(
    standingsOf(runs, qualitiesOf(input), input.modelOf),
    ({ run, quality }) => `${run.hostKey}\n${quality.family}`,
  );
  return {
    id: "decision",
    title: "Decision",
    paragraphs: [
      `Chosen by number: the fastest profile of a host and model family whose perplexity is at most ${choiceMarginPercent} % over the family's best. Below it, what was decided then, and why.`,
    ],
    figures: [],
    tables: [choiceTable(standings), ...input.handOvers.map(decisionTable), failureTable(input)].filter(({ rows }) => rows.length > 0),
  };
}

function choiceTable(groups: readonly (readonly [Standing, ...Standing[]])[]): Table {
  return {
    caption: "Chosen by number",
    columns: [
      { label: "host" },
      { label: "profile" },
      { label: "tok/s", isNumber: true },
      { label: "perplexity", isNumber: true },
      { label: "over the best", isNumber: true },
    ],
    rows: groups.flatMap((group) => {
      const chosen = chooseProfile(group);
      if (chosen === null) return [];
      const { run, speed, quality, lossPercent } = chosen;
      return [
        [
          cell(shortHost(run)),
          cell(run.profile, { href: run.file, tone: "best" }),
          cell(tokS(speed), { href: run.file }),
          cell(quality.perplexity.toFixed(4), { href: quality.file }),
          cell(signedPercent(lossPercent), { href: quality.file }),
        ],
      ];
    }),
  };
}

const decisionTable = ({ file, content }: ReportInput["handOvers"][number]): Table => ({
  caption: `Decided in session ${content.session} (taken from the hand-over)`,
  columns: [{ label: "decision" }, { label: "because" }],
  rows: content.decisions.map(({ decision, reason }) => [cell(decision, { href: file }), cell(reason)]),
});

/** Profiles without numbers, and files that don't read. */
function failureTable({ handOvers, records, unreadable }: ReportInput): Table {
  return {
    caption: "What could not be measured",
    columns: [{ label: "profile or file" }, { label: "outcome" }, { label: "reason" }, { label: "from" }],
    rows: [
      ...handOvers.flatMap(({ content, expectations }) =>
        expectations.failures.map(({ profile, outcome, note }) => [
          cell(profile),
          cell(outcome, { tone: "bad" }),
          note === undefined ? none() : cell(note),
          cell(`hand-over of session ${content.session}`, { href: content.expectations }),
        ]),
      ),
      ...records
        .filter(({ content }) => content.outcome !== "measured")
        .map(({ file, content }) => [
          cell(content.profile),
          cell(content.outcome, { tone: "bad" }),
          cell(shorten(content.reason)),
          cell(day(content.startedAt), { href: file }),
        ]),
      ...unreadable.map(({ file, reason }) => [
        cell(file, { href: file }),
        cell("unreadable", { tone: "bad" }),
        cell(shorten(reason)),
        none(),
      ]),
    ],
  };
}

const mostReasonChars = 240;
const shorten = (text: string): string => (text.length <= mostReasonChars ? text : `${text.slice(0, mostReasonChars)}…`);
