import type { Trial } from "./search.ts";
import type { Candidate, TuneSpace } from "./space.ts";

const mib = (value: number): string => `${Math.round(value)} MiB`;

/** The candidate placed by hand with these values, if the planner let one through. */
function placed(space: TuneSpace, ubatch: number, like: Candidate): Candidate | undefined {
  return space.candidates.find(
    (one) => one.ubatch === ubatch && one.slots === like.slots && one.cacheType === like.cacheType && one.placed !== null,
  );
}

/**
 * What a smaller ubatch buys: the compute buffer that it frees, and the expert layers that fit there instead, each with the planned speeds. One line per
 * ubatch below the largest, at the slots and cache type of `like`; empty where no layer moves.
 */
export function describeUbatch(space: TuneSpace, like: Candidate, isMoe: boolean): string[] {
  const sizes = [...new Set(space.candidates.map(({ ubatch }) => ubatch))].sort((a, b) => b - a);
  const byHand = sizes.flatMap((ubatch) => {
    const one = placed(space, ubatch, like);
    return one === undefined || one.placed === null ? [] : [{ ubatch, layers: one.placed, speed: one.plannedTokensPerSec }];
  });
  const [largest, ...smaller] = byHand;
  if (largest === undefined) return [];
  return smaller.flatMap(({ ubatch, layers, speed }) => {
    const moved = isMoe ? largest.layers - layers : layers - largest.layers;
    if (moved <= 0) return [];
    const plural = moved === 1 ? "" : "s";
    const what = isMoe
      ? `the experts of ${moved} more layer${plural} (n-cpu-moe ${layers} instead of ${largest.layers})`
      : `${moved} more layer${plural} (${layers} instead of ${largest.layers})`;
    const planned = `planned ${speed.toFixed(1)} instead of ${largest.speed.toFixed(1)} tok/s`;
    return [
      `ubatch ${ubatch} instead of ${largest.ubatch} frees room on the GPU for ${what}: ${planned}; prompts are read in smaller pieces`,
    ];
  });
}

/** What the best trial gains over the base profile, in one line; none where the base was not judged or failed. */
export function describeGain(best: Trial, trials: readonly Trial[], base: Candidate | null): string[] {
  const before = trials.find(({ candidate }) => candidate === base)?.judgement;
  if (before?.kind !== "measured" || best.judgement.kind !== "measured") return [];
  if (best.candidate === base) return ["nothing that was tried is better than the base profile"];
  const gain = 100 * (best.judgement.tokensPerSec / before.tokensPerSec - 1);
  return [
    `${Math.abs(gain).toFixed(1)} % ${gain < 0 ? "slower" : "faster"} than the base profile, which comes to ${before.tokensPerSec.toFixed(1)} tok/s`,
  ];
}

/** A judgement in words: speed and perplexity, or why there are none. */
export const describeJudgement = (judgement: Trial["judgement"]): string => {
  if (judgement.kind === "failed") return `failed: ${judgement.reason}`;
  const { tokensPerSec, perplexity } = judgement;
  return `${tokensPerSec.toFixed(1)} tok/s${perplexity === null ? "" : `, perplexity ${perplexity.toFixed(2)}`}`;
};

/** A candidate's plan in words. */
export const describePlanned = ({ label, verdict, gpuMiB, plannedTokensPerSec }: Candidate): string =>
  `${label}: ${verdict}, ${describeGpu(gpuMiB)}planned ${plannedTokensPerSec.toFixed(1)} tok/s`;

/** The GPU's planned memory, with a comma after it; nothing where none is used. */
const describeGpu = ({ low, high }: Candidate["gpuMiB"]): string => (high === 0 ? "" : `GPU ${Math.round(low)} to ${mib(high)}, `);
