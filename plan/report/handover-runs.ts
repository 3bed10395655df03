import { isStated, measuredVram, type Expectations, type Measurement, type Stated } from "../config/expectations.ts";
import { takenAt, type HandOver } from "./handover.ts";
import type { Run, Speed } from "./runs.ts";
import { foreignSign, handOverSource, isForeign, type Statement, type StatedNumber } from "./statement.ts";

/** The results that a hand-over names, with the numbers that its expectations state: means without samples, so without intervals. */
export function runsOfHandOver({ session, expectations: file, results }: HandOver, expectations: Expectations): Run[] {
  const statementOf = ({ source, note }: Measurement): Statement => ({
    source,
    described: expectations.sources[source] ?? source,
    note: note ?? null,
  });
  return results.map(({ profile, file: named }) => {
    const speeds: Record<string, Speed> = {};
    for (const entry of expectations.measurements.filter(isStated)) {
      if (entry.profile !== profile || entry.metric !== "decodeSpeed" || entry.scenario === undefined) continue;
      speeds[entry.scenario] ??= { value: entry.value, low: null, high: null, starts: 0, stated: statementOf(entry) };
    }
    const inUse = measuredVram(expectations, profile);
    const vram = inUse === undefined ? null : { value: inUse.value, stated: statementOf(inUse) };
    return {
      profile,
      origin: "handed over",
      file,
      at: takenAt(named),
      build: null,
      device: expectations.host,
      modelSha256: null,
      key: `handed over/${session}`,
      hostKey: `handed over/${session}`,
      hostName: `Hand-over of session ${session}: ${expectations.host}`,
      scenarioSet: "hand-over",
      speeds,
      vram,
      containerMiB: null,
      note: noteOf({ ...speeds, VRAM: vram }, expectations.measurements.filter(isStated), profile),
    };
  });
}

/** What a reader has to know about a row of stated numbers: whose they are, what the hand-over says instead, and the source's own remarks. */
function noteOf(numbers: Readonly<Record<string, StatedNumber | null>>, measurements: readonly Stated[], profile: string): string | null {
  const known = Object.entries(numbers).flatMap(([name, number]) => (number?.stated === undefined ? [] : [{ name, ...number.stated }]));
  const own = ownWords(measurements, profile);
  if (known.length === 0) return own ?? "the hand-over names the result and states no number";
  const foreign = [...new Set(known.filter(({ source }) => source !== handOverSource).map(({ source }) => source))];
  const remarks = [...new Set(known.flatMap(({ note }) => note ?? []))].map((note) => {
    const names = known.filter((one) => one.note === note).map(({ name }) => name);
    return `${names.join(", ")}: ${note}`;
  });
  const parts = [
    ...(foreign.length === 0 ? [] : [`${foreignSign} ${foreign.join(", ")}`, own ?? "the hand-over states no speed"]),
    ...remarks,
  ];
  return parts.length === 0 ? null : parts.map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join(". ");
}

/** What the hand-over itself says of a profile's speed over all workloads, and how much faster another is; null where it says nothing. */
function ownWords(measurements: readonly Stated[], profile: string): string | null {
  const own = measurements.filter(({ source }) => source === handOverSource);
  const about = own.find((one) => one.profile === profile && one.metric === "decodeSpeed" && one.scenario === undefined);
  if (about === undefined) return null;
  const faster = own.flatMap((one) =>
    one.metric === "decodeSpeedChange" && one.against === profile && one.profile !== undefined
      ? [`${one.profile} ${approximately(one)} % faster`]
      : [],
  );
  return [`the hand-over states ${approximately(about)} tok/s`, ...faster].join(", ");
}

const approximately = ({ value, approximate }: Stated): string => `${approximate === true ? "about " : ""}${value}`;

/** The other sources of runs' numbers in words, each once, behind the sign; empty where there are none. */
export function describeForeign(runs: readonly Run[]): string {
  const numbers = runs.flatMap(({ speeds, vram }) => [...Object.values(speeds), vram]).filter(isForeign);
  const sources = [...new Set(numbers.flatMap((number) => (number?.stated === undefined ? [] : [describeSource(number.stated)])))];
  return sources.length === 0 ? "" : `${foreignSign} ${sources.join("; ")}`;
}

const describeSource = ({ source, described }: Statement): string => `from the ${source}: ${described}`;
