import { cell, none, signedPercent, tokS, type Cell, type Section, type Table } from "./document.ts";
import type { ReportInput } from "./input.ts";
import { qualitiesOf } from "./quality.ts";
import { standingGroups, type Standing, type StandingGroup } from "./quality-section.ts";
import type { Run } from "./runs.ts";
import { day, shortHost } from "./speed-section.ts";
import { signOf } from "./statement.ts";

/** Perplexity that a choice may cost over the best of its family, per cent: the perplexity gate's default margin for another quant. @see docs/gates.md */
export const choiceMarginPercent = 3;

/** What the numbers choose of a group, or why they choose nothing. */
export type Choice = { readonly chosen: Standing } | { readonly none: string };

/** The fastest profile of a group whose perplexity is within the margin of the best. */
export function chooseProfile({ standings, isComparison }: StandingGroup): Choice {
  if (!isComparison) return { none: "no comparison: neither another model nor the family's reference has a perplexity of this setup" };
  const [first, ...others] = standings.filter(({ lossPercent }) => lossPercent <= choiceMarginPercent);
  if (first === undefined) return { none: `none: each perplexity is more than ${choiceMarginPercent} % over the best` };
  return { chosen: others.reduce((most, one) => (one.speed > most.speed ? one : most), first) };
}

/** What the numbers choose, what was decided, and what could not be measured. */
export function decisionSection(input: ReportInput, runs: readonly Run[]): Section {
  const groups = standingGroups(runs, qualitiesOf(input), input.modelOf);
  return {
    id: "decision",
    title: "Decision",
    paragraphs: [
      `Chosen by number: the fastest profile of a host, scenario set and model family whose perplexity is at most ${choiceMarginPercent} % over the family's best of the same corpus and chunks. Below it, what was decided then, and why.`,
    ],
    figures: [],
    tables: [choiceTable(groups), ...input.handOvers.map(decisionTable), failureTable(input)].filter(({ rows }) => rows.length > 0),
  };
}

function choiceTable(groups: readonly StandingGroup[]): Table {
  return {
    caption: "Chosen by number",
    columns: [
      { label: "host" },
      { label: "by perplexity of" },
      { label: "profile" },
      { label: "tok/s", isNumber: true },
      { label: "perplexity", isNumber: true },
      { label: "over the best", isNumber: true },
    ],
    rows: groups.map(choiceRow),
  };
}

function choiceRow(group: StandingGroup): Cell[] {
  const [{ run: first, quality: one }] = group.standings;
  const judged = [cell(shortHost(first)), cell(`${one.family}: ${one.setup}`)];
  const choice = chooseProfile(group);
  if ("none" in choice) return [...judged, none(choice.none), none(), none(), none()];
  const { run, speed, quality, lossPercent } = choice.chosen;
  return [
    ...judged,
    cell(run.profile, { href: run.file, tone: "best" }),
    cell(`${tokS(speed)}${signOf(...Object.values(run.speeds))}`, { href: run.file }),
    cell(quality.perplexity.toFixed(4), { href: quality.file }),
    cell(signedPercent(lossPercent), { href: quality.file }),
  ];
}

const decisionTable = ({ file, content }: ReportInput["handOvers"][number]): Table => ({
  caption: `Decided in session ${content.session} (taken from the hand-over)`,
  columns: [{ label: "decision" }, { label: "because" }],
  rows: content.decisions.map(({ decision, reason }) => [cell(decision, { href: file }), cell(reason)]),
});

/** Profiles without numbers, files that don't read, and results that are gone. */
function failureTable({ handOvers, records, results, unreadable }: ReportInput): Table {
  const there = new Set([...results, ...unreadable].map(({ file }) => file.slice(file.lastIndexOf("/") + 1)));
  return {
    caption: "What could not be measured, or does not read",
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
      ...records.flatMap(({ file, content: { profile, startedAt, result } }) =>
        result === null || there.has(result)
          ? []
          : [
              [
                cell(profile),
                cell("result gone", { tone: "bad" }),
                cell(`the record names ${result}, which is not there`),
                cell(day(startedAt), { href: file }),
              ],
            ],
      ),
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
