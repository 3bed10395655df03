import { cell, none, signedPercent, tokS, type Cell, type Figure, type Section, type Table } from "./document.ts";
import type { ReportInput } from "./input.ts";
import { qualitiesOf, type Quality } from "./quality.ts";
import { compare, newestRuns, overallSpeed, type Run } from "./runs.ts";
import { day, groupBy, shortHost } from "./speed-section.ts";
import type { Slot } from "./chart.ts";

/** A profile's speed on a host with the perplexity of what it serves. */
export interface Standing {
  readonly run: Run;
  readonly speed: number;
  readonly quality: Quality;
  /** Perplexity over the best of the same family and setup, per cent. */
  readonly lossPercent: number;
}

const groupKey = ({ family, setup }: Quality): string => `${family}\n${setup}`;

/**
 * Speed and perplexity of the same profile. A perplexity that was measured with the profile counts; else the one that the hand-over of the run states
 * for the model. Without either a profile has no standing: nothing is carried over from another model or corpus.
 */
export function standingsOf(runs: readonly Run[], qualities: readonly Quality[], modelOf: ReportInput["modelOf"]): Standing[] {
  const best = new Map(
    groupBy(qualities, groupKey).map((group) => [groupKey(group[0]), Math.min(...group.map(({ perplexity }) => perplexity))]),
  );
  return newestRuns(runs).flatMap((run) => {
    const speed = overallSpeed(run);
    const own = qualities.filter(({ profile }) => profile === run.profile).sort((a, b) => compare(b.at ?? "", a.at ?? ""));
    const stated = qualities.filter(({ origin, model }) => origin === "handed over" && model === modelOf(run.profile));
    const quality = run.origin === "handed over" ? stated[0] : own[0];
    if (speed === null || quality === undefined) return [];
    return [{ run, speed, quality, lossPercent: 100 * (quality.perplexity / (best.get(groupKey(quality)) ?? quality.perplexity) - 1) }];
  });
}

/** Perplexities by model and corpus, and speed against them. */
export function qualitySection(input: ReportInput, runs: readonly Run[]): Section {
  const qualities = qualitiesOf(input);
  const standings = groupBy(standingsOf(runs, qualities, input.modelOf), ({ run, quality }) => `${run.hostKey}\n${groupKey(quality)}`);
  return {
    id: "quality",
    title: "Quality",
    paragraphs: [
      "Perplexity: lower is better. Values compare only within one model family, corpus and number of chunks; each table holds one such group.",
    ],
    figures: standings.flatMap((group, index) => scatterFigure(group, index)),
    tables: groupBy(qualities, groupKey).map(qualityTable),
  };
}

function scatterFigure(group: readonly [Standing, ...Standing[]], index: number): Figure[] {
  if (group.length < 2) return [];
  const models = [...new Set(group.map(({ quality }) => quality.model))];
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
          slot: Math.min(3, models.indexOf(quality.model)) as Slot,
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
