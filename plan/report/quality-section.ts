import { cell, none, signedPercent, tokS, type Cell, type Figure, type Section, type Table } from "./document.ts";
import type { ReportInput } from "./input.ts";
import { qualitiesOf, type Quality } from "./quality.ts";
import { compare, newestRuns, overallSpeed, type Run } from "./runs.ts";
import { day, groupBy, shortHost } from "./speed-section.ts";
import type { Slot } from "./chart.ts";
import { isForeign } from "./statement.ts";

/** A profile's speed on a host with the perplexity of what it serves. */
export interface Standing {
  readonly run: Run;
  readonly speed: number;
  readonly quality: Quality;
  /** Perplexity over the best of the same family and setup, per cent. */
  readonly lossPercent: number;
}

/** What may be compared: standings of one host and scenario set, whose perplexities are of one family and setup. */
export interface StandingGroup {
  readonly standings: readonly [Standing, ...Standing[]];
  /** Whether the perplexities are of two models at least, or one is the family's reference: a model that is alone is its own best, and that says nothing. */
  readonly isComparison: boolean;
}

const setupKey = ({ family, setup }: Quality): string => `${family}\n${setup}`;

/**
 * Speed and perplexity of the same profile, by what may be compared. The newest perplexity of each setup that was measured with the profile counts; of a
 * hand-over's run the one that the hand-over states for the model. Nothing is carried over from another model or corpus.
 */
export function standingGroups(runs: readonly Run[], qualities: readonly Quality[], modelOf: ReportInput["modelOf"]): StandingGroup[] {
  const standings = groupBy(qualities, setupKey).flatMap((comparable) => {
    const best = Math.min(...comparable.map(({ perplexity }) => perplexity));
    return newestRuns(runs).flatMap((run): (Standing & Pick<StandingGroup, "isComparison">)[] => {
      const speed = overallSpeed(run);
      const [quality] = comparable.filter((one) => isOfRun(one, run, modelOf)).sort((a, b) => compare(b.at ?? "", a.at ?? ""));
      if (speed === null || quality === undefined) return [];
      const lossPercent = 100 * (quality.perplexity / best - 1);
      return [{ run, speed, quality, lossPercent, isComparison: isComparison(comparable) }];
    });
  });
  return groupBy(standings, ({ run, quality }) => [run.hostKey, run.scenarioSet, setupKey(quality)].join("\n")).map((group) => ({
    standings: group,
    isComparison: group[0].isComparison,
  }));
}

const isOfRun = ({ origin, profile, model, file }: Quality, run: Run, modelOf: ReportInput["modelOf"]): boolean =>
  run.origin === "handed over" ? origin === "handed over" && file === run.file && model === modelOf(run.profile) : profile === run.profile;

const isComparison = (qualities: readonly Quality[]): boolean =>
  qualities.some(({ origin }) => origin === "reference") || new Set(qualities.map(({ model }) => model)).size > 1;

/** Perplexities by model and corpus, and speed against them. */
export function qualitySection(input: ReportInput, runs: readonly Run[]): Section {
  const qualities = qualitiesOf(input);
  return {
    id: "quality",
    title: "Quality",
    paragraphs: [
      "Perplexity: lower is better. Values compare only within one model family, corpus and number of chunks; each table holds one such group.",
    ],
    figures: standingGroups(runs, qualities, input.modelOf).flatMap(({ standings }, index) => scatterFigure(standings, index)),
    tables: groupBy(qualities, setupKey).map(qualityTable),
  };
}

/** Slot of the models that have no slot of their own. */
const lastSlot = 3;

function scatterFigure(group: readonly [Standing, ...Standing[]], index: number): Figure[] {
  if (group.length < 2) return [];
  const models = [...new Set(group.map(({ quality }) => quality.model))];
  const slotOf = (model: string): Slot => Math.min(lastSlot, models.indexOf(model)) as Slot;
  const fastest = group.reduce((most, one) => (one.speed > most.speed ? one : most));
  return [
    {
      id: `tradeoff-${index}`,
      title: `Speed against quality – ${shortHost(group[0].run)}`,
      summary: `Up is faster, left is better. ${fastest.run.profile} is fastest (${tokS(fastest.speed)} tok/s) at a perplexity of ${fastest.quality.perplexity.toFixed(4)}, ${signedPercent(fastest.lossPercent)} over the best.`,
      chart: {
        kind: "scatter",
        xAxis: "perplexity",
        yAxis: "generated tok/s",
        points: group.map(({ run, speed, quality }) => ({
          name: run.profile,
          x: quality.perplexity,
          y: speed,
          slot: slotOf(quality.model),
          isMarked: Object.values(run.speeds).some(isForeign),
        })),
        series: models.slice(0, lastSlot + 1).map((model) => ({
          name: slotOf(model) === lastSlot && models.length > lastSlot + 1 ? `${model} and other models` : model,
          slot: slotOf(model),
        })),
      },
    },
  ];
}

const origins = { measured: "measured", "handed over": "hand-over", reference: "committed reference" } as const;

function qualityTable(group: readonly [Quality, ...Quality[]]): Table {
  const [best] = group;
  return {
    caption: `Perplexity of ${best.family}: ${best.setup}`,
    columns: [
      { label: "model" },
      { label: "profile" },
      { label: "perplexity", isNumber: true },
      { label: "over the best", isNumber: true },
      { label: "from" },
      { label: "verdict" },
    ],
    rows: group.map((one) => qualityRow(one, best.perplexity)),
  };
}

function qualityRow({ model, profile, perplexity, origin, file, at, verdict }: Quality, best: number): Cell[] {
  const loss = 100 * (perplexity / best - 1);
  return [
    cell(model),
    profile === null ? none() : cell(profile),
    cell(perplexity.toFixed(4), { href: file, ...(loss === 0 ? { tone: "best" as const } : {}) }),
    loss === 0 ? cell("best", { tone: "best" }) : cell(signedPercent(loss), { href: file }),
    cell(at === null ? origins[origin] : `${origins[origin]}, ${day(at)}`, { href: file }),
    verdict === null ? none() : cell(verdict, { tone: verdict === "passed" ? "good" : "warn" }),
  ];
}
