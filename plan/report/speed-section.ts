import type { Figure, Section, Table } from "./document.ts";
import { cell, mib, none, signedPercent, tokS, type Cell, type Column } from "./document.ts";
import { describeForeign } from "./handover-runs.ts";
import { compare, newestRuns, overallSpeed, scenarioOrder, type Run, type Speed } from "./runs.ts";
import { cutInterval, type Slot } from "./chart.ts";
import { isForeign, signOf } from "./statement.ts";

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
  const cut = (speed: Speed | undefined) => (speed === undefined ? null : { ...cutInterval(speed, values), isMarked: isForeign(speed) });
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
  return cell(`${tokS(speed.value)}${describeHalf(speed)}${signOf(speed)}`, { href: file, ...(isBest ? { tone: "best" as const } : {}) });
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
  const columns: RunColumn[] = [
    { label: "profile", cellOf: (run) => cell(run.profile, { href: run.file }) },
    ...scenarios.map((name) => ({
      label: name,
      isNumber: true,
      cellOf: ({ speeds, file }: Run) => speedCell(speeds[name], file, speeds[name]?.value === best.get(name)),
    })),
    { label: "against fastest", isNumber: true, cellOf: againstFastest(overallSpeed(runs[0] ?? first)) },
    ...(runs.some(({ vram }) => vram !== null) ? [{ label: "VRAM MiB", isNumber: true, cellOf: vramCell }] : []),
    ...(runs.some(({ containerMiB }) => containerMiB !== null) ? [{ label: "RAM MiB", isNumber: true, cellOf: containerCell }] : []),
    ...(first.origin === "measured" ? measuredColumns : []),
    { label: "measured", cellOf: ({ at }) => cell(day(at)) },
    ...(runs.some(({ note }) => note !== null)
      ? [{ label: "note", cellOf: ({ note }: Run) => (note === null ? none() : cell(note)) }]
      : []),
  ];
  return { caption: captionOf(first, runs), columns, rows: runs.map((run) => columns.map(({ cellOf }) => cellOf(run))) };
}

/** A column with what it shows of a run. */
interface RunColumn extends Column {
  readonly cellOf: (run: Run) => Cell;
}

function captionOf(first: Run, runs: readonly Run[]): string {
  if (first.origin === "measured") {
    const ram = runs.some(({ containerMiB }) => containerMiB !== null) ? "; RAM is the container's, page cache included" : "";
    return `tok/s on ${first.hostName}; scenario set ${first.scenarioSet}${ram}`;
  }
  const foreign = describeForeign(runs);
  return `tok/s on ${first.hostName} (taken from the hand-over; no samples came with it${foreign === "" ? "" : `; ${foreign}`})`;
}

const againstFastest =
  (fastest: number | null) =>
  (run: Run): Cell => {
    const overall = overallSpeed(run);
    if (overall === null || fastest === null) return none();
    if (overall === fastest) return cell("fastest", { tone: "best" });
    return cell(`${signedPercent(100 * (overall / fastest - 1))}${signOf(...Object.values(run.speeds))}`, { href: run.file });
  };

export const vramCell = ({ vram, file }: Run): Cell => (vram === null ? none() : cell(`${mib(vram.value)}${signOf(vram)}`, { href: file }));

const containerCell = ({ containerMiB, file }: Run): Cell => (containerMiB === null ? none() : cell(mib(containerMiB), { href: file }));

const measuredColumns: readonly RunColumn[] = [
  {
    label: "starts",
    isNumber: true,
    cellOf: ({ speeds, file }) => cell(String(Math.max(0, ...Object.values(speeds).map(({ starts }) => starts))), { href: file }),
  },
  { label: "build", cellOf: ({ build }) => (build === null ? none() : cell(build)) },
];

/** Date and minute of an ISO time. */
export const day = (iso: string): string => iso.slice(0, 16).replace("T", " ");
