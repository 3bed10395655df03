import { mean } from "simple-statistics";

import { variationPercent } from "../gates/statistics.ts";
import type { BenchmarkThresholds, GatedMetric, SpeedMetricName, StartLevel } from "../gates/thresholds.ts";
import type { RequestSample, StartSample } from "./result.ts";

/** Unit and direction of a speed metric. */
export const speedMetrics: Record<SpeedMetricName, { readonly unit: string; readonly better: "higher" | "lower"; readonly label: string }> =
  {
    decode: { unit: "tok/s", better: "higher", label: "decode" },
    prompt: { unit: "tok/s", better: "higher", label: "prompt" },
    firstToken: { unit: "ms", better: "lower", label: "first token" },
  };

/**
 * The value of one request. Decode speed is the slower of what client and server saw: a client that its host keeps waiting reads the
 * first tokens late and together, and would call that fast.
 */
function valueOf(sample: RequestSample, metric: SpeedMetricName): number {
  if (metric === "decode") return Math.min(sample.decodeTokensPerSec, sample.serverDecodeTokensPerSec);
  return metric === "prompt" ? sample.promptTokensPerSec : sample.firstTokenMs;
}

/**
 * One value per start for a gated metric, over that start's requests of the scenario: the mean of ln, or where `level` is `best` the mean over the turns of
 * ln of each turn's best request (a later turn costs more where nothing is reused, which the best of all turns would hide). Starts are the sampling unit,
 * because requests of one start share that start's luck. First turns of a conversation are left out: they reuse nothing.
 * @throws {RangeError} if a start has no request of the scenario, or a value that is not a positive finite number.
 */
export function startLevels(
  starts: readonly StartSample[],
  { scenario, metric }: Pick<GatedMetric, "scenario" | "metric">,
  level: StartLevel,
): number[] {
  return starts.map((start, index) => {
    const all = start.requests.filter((request) => request.scenario === scenario);
    const later = all.filter((request) => request.turn > 0);
    const chosen = later.length > 0 ? later : all;
    if (chosen.length === 0) throw new RangeError(`starts.${index}: no request of scenario ${JSON.stringify(scenario)}`);
    const logs = chosen.map((request) => ({ turn: request.turn, value: Math.log(valueOf(request, metric)) }));
    if (!logs.every(({ value }) => Number.isFinite(value)))
      throw new RangeError(`starts.${index}: ${scenario} ${metric} is not a positive finite number`);
    if (level === "mean") return mean(logs.map(({ value }) => value));
    const best = speedMetrics[metric].better === "higher" ? Math.max : Math.min;
    const turns = Map.groupBy(logs, ({ turn }) => turn).values();
    return mean([...turns].map((requests) => best(...requests.map(({ value }) => value))));
  });
}

type SteadinessThresholds = Pick<BenchmarkThresholds, "metrics" | "startLevel" | "maxVariationPercent" | "maxLoadPerCpu">;

/** What says whether a measurement is steady: its starts, and how many CPUs the host's load is shared by. */
interface Measured {
  readonly starts: readonly StartSample[];
  readonly host: { readonly cpus: number };
}

/** Whether a start was taken beside so much other work that its speed says little; not where the load is not known. */
export const isBusy = (
  { loadAverage }: StartSample,
  cpus: number,
  { maxLoadPerCpu }: Pick<BenchmarkThresholds, "maxLoadPerCpu">,
): boolean => loadAverage !== null && loadAverage > maxLoadPerCpu * cpus;

/**
 * Why a measurement is too unsteady to compare with, a reason each: a gated metric on which starts spread by more than `maxVariationPercent`, a host that was
 * busy during half of them; empty where it is steady. One taken on a busy host would make the gate blind, because everything is faster than it. A single
 * start shows no spread, so it is not.
 */
export function findUnsteady({ starts, host }: Measured, thresholds: SteadinessThresholds): string[] {
  const { metrics, startLevel, maxVariationPercent, maxLoadPerCpu } = thresholds;
  if (starts.length < 2) return [`${starts.length} starts, expected at least 2`];
  const busy = starts.filter((start) => isBusy(start, host.cpus, thresholds)).length;
  const load = `${busy} of ${starts.length} starts at a load average above ${maxLoadPerCpu * host.cpus}, on ${host.cpus} CPUs`;
  const spread = metrics.flatMap((gated) => {
    const variation = variationPercent(startLevels(starts, gated, startLevel));
    const name = `${gated.scenario} ${speedMetrics[gated.metric].label}`;
    return variation <= maxVariationPercent
      ? []
      : [`${name} spread ${variation.toFixed(1)} % over ${starts.length} starts, allowed ${maxVariationPercent} %`];
  });
  return 2 * busy >= starts.length ? [...spread, load] : spread;
}

/** Measurements that are steady enough to compare with. */
export function steadySessions<S extends Measured>(sessions: readonly S[], thresholds: SteadinessThresholds): S[] {
  return sessions.filter((session) => findUnsteady(session, thresholds).length === 0);
}
