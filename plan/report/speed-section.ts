import type { Figure, Section, Table } from "./document.ts";
import { cell, mib, none, signedPercent, tokS, type Cell } from "./document.ts";
import { compare, newestRuns, overallSpeed, scenarioOrder, type Run, type Speed } from "./runs.ts";
import { cutInterval, type Slot } from "./chart.ts";

/** Charts show so many profiles of a host, the fastest; the table has all. */
const mostRows = 16;

/** Speed of every profile: per host a chart with intervals and a table with a row per profile, its newest measurement. */
export function speedSection(runs: readonly Run[]): Section {
  const groups = groupBy(newestRuns(runs), ({ hostKey, scenarioSet }) => `${hostKey}\n${scenarioSet}`);
  const paragraphs = [
    "Generated tokens per second of one request at a time, by workload. Each profile is shown with its newest measurement on each host; hosts are never compared with each other. Intervals are 95 % over server starts.",
  ];
  if (groups.length === 0) paragraphs.push("Nothing has been measured yet: npm run bench.");
  return {
    id: "speed",
    title: "Speed",
    paragraphs,
    figures: groups.flatMap((group, index) => speedFigure(group, index)),
    tables: groups.map(speedTable),
  };
}

export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): [T, ...T[]][] {
  const groups = new Map<string, [T, ...T[]]>();
  for (const item of items) {
    const known = groups.get(keyOf(item));
    if (known === undefined) groups.set(keyOf(item), [item]);
    else known.push(item);
  }
  return [...groups.values()];
}

const bySpeed = (a: Run, b: Run): number => (overallSpeed(b) ?? 0) - (overallSpeed(a) ?? 0) || compare(a.profile, b.profile);

/** Scenarios of several runs, the known ones first. */
function scenariosOfRuns(runs: readonly Run[]): string[] {
  const names = [...new Set(runs.flatMap(({ speeds }) => Object.keys(speeds)))];
  return [...scenarioOrder.filter((name) => names.includes(name)), ...names.filter((name) => !scenarioOrder.includes(name)).sort(compare)];
}

function speedFigure(group: readonly [Run, ...Run[]], index: number): Figure[] {
  const shown = group
    .filter((run) => overallSpeed(run) !== null)
    .sort(bySpeed)
    .slice(0, mostRows);
  const [fastest] = shown;
  if (fastest === undefined) return [];
  const scenarios = scenariosOfRuns(shown).slice(0, 4);
  const values = shown.flatMap(({ speeds }) => Object.values(speeds).map(({ value }) => value));
  const cut = (speed: Speed | undefined): Speed | null => (speed === undefined ? null : cutInterval(speed, values));
  const left = group.length > shown.length ? ` ${group.length - shown.length} more are in the table.` : "";
  return [
    {
      id: `speed-${index}`,
      title: `Tokens per second by profile – ${shortHost(fastest)}`,
      summary: `${fastest.profile} is fastest with ${tokS(overallSpeed(fastest) ?? 0)} tok/s over all workloads.${left}`,
      chart: {
        kind: "rows",
        axis: "generated tok/s",
        rows: shown.map(({ profile }) => profile),
        series: scenarios.map((name, slot) => ({ name, slot: slot as Slot, points: shown.map(({ speeds }) => cut(speeds[name])) })),
      },
    },
  ];
}

/** Host of a run in a few words. */
export const shortHost = (run: Run): string =>
  run.origin === "handed over"
    ? (run.hostName.split(":")[0] ?? run.hostName).toLowerCase()
    : `${run.hostName.split(",")[0] ?? run.hostName}, set ${run.scenarioSet}`;

export function speedCell(speed: Speed | undefined, file: string, isBest: boolean): Cell {
  if (speed === undefined) return none();
  return cell(`${tokS(speed.value)}${describeHalf(speed)}`, { href: file, ...(isBest ? { tone: "best" as const } : {}) });
}

/** Half of a speed's interval; only that it is wide where it is wider than the speed itself. */
function describeHalf({ value, low, high }: Speed): string {
  if (high === null || low === null) return "";
  const half = (high - low) / 2;
  return half > value ? " ± over 100 %" : ` ± ${tokS(half)}`;
}

function speedTable(group: readonly [Run, ...Run[]]): Table {
  const [first] = group;
  const runs = [...group].sort(bySpeed);
  const scenarios = scenariosOfRuns(runs);
  const best = new Map(scenarios.map((name) => [name, Math.max(...runs.map(({ speeds }) => speeds[name]?.value ?? 0))]));
  const fastest = overallSpeed(runs[0] ?? first);
  const hasNotes = runs.some(({ note }) => note !== null);
  const isMeasured = first.origin === "measured";
  const memory = isMeasured ? "memory MiB" : "VRAM MiB";
  return {
    caption: `tok/s on ${first.hostName}${isMeasured ? `; scenario set ${first.scenarioSet}` : " (taken from the hand-over; no samples came with it)"}`,
    columns: [
      { label: "profile" },
      ...scenarios.map((label) => ({ label, isNumber: true })),
      { label: "against fastest", isNumber: true },
      { label: memory, isNumber: true },
      ...(isMeasured ? [{ label: "starts", isNumber: true }, { label: "build" }] : []),
      { label: "measured" },
      ...(hasNotes ? [{ label: "note" }] : []),
    ],
    rows: runs.map((run) => {
      const overall = overallSpeed(run);
      return [
        cell(run.profile, { href: run.file }),
        ...scenarios.map((name) => speedCell(run.speeds[name], run.file, run.speeds[name]?.value === best.get(name))),
        overall === null || fastest === null
          ? none()
          : overall === fastest
            ? cell("fastest", { tone: "best" })
            : cell(signedPercent(100 * (overall / fastest - 1)), { href: run.file }),
        run.memoryMiB === null ? none() : cell(mib(run.memoryMiB), { href: run.file }),
        ...(isMeasured ? [startsCell(run), run.build === null ? none() : cell(run.build)] : []),
        cell(day(run.at)),
        ...(hasNotes ? [run.note === null ? none() : cell(run.note)] : []),
      ];
    }),
  };
}

const startsCell = ({ speeds }: Run): Cell => cell(String(Math.max(0, ...Object.values(speeds).map(({ starts }) => starts))));

/** Date and minute of an ISO time. */
export const day = (iso: string): string => iso.slice(0, 16).replace("T", " ");
