import type { BenchRecord } from "../bench/record.ts";
import { compare } from "./runs.ts";
import type { ReportInput } from "./input.ts";

/** One perplexity and what it was measured on; only values of one family with equal `setup` may be compared. */
export interface Quality {
  readonly model: string;
  readonly family: string;
  /** Profile that was measured; null where the source names the model alone. */
  readonly profile: string | null;
  readonly perplexity: number;
  readonly setup: string;
  readonly origin: "measured" | "handed over" | "reference";
  readonly file: string;
  readonly at: string | null;
  /** What a gate said of it, in words. */
  readonly verdict: string | null;
}

/** Every perplexity that is known, those of one setup together and the best first. */
export function qualitiesOf({ handOvers, records, references, modelOf, familyOf }: ReportInput): Quality[] {
  const all = [
    ...handOvers.flatMap(({ content, expectations }) =>
      expectations.measurements.flatMap(({ model, metric, value, note }): Quality[] =>
        metric !== "perplexity" || model === undefined || typeof value !== "number"
          ? []
          : [
              {
                model,
                family: familyOf(model) ?? model,
                profile: null,
                perplexity: value,
                setup: `${note ?? "corpus not stated"}, session ${content.session}`,
                origin: "handed over",
                file: content.expectations,
                at: null,
                verdict: null,
              },
            ],
      ),
    ),
    ...records.flatMap(({ file, content }): Quality[] => {
      const model = content.model ?? modelOf(content.basedOn ?? content.profile) ?? content.profile;
      const common = {
        model,
        family: familyOf(model) ?? model,
        profile: content.profile,
        setup: setupOf(content.corpus),
        origin: "measured" as const,
        file,
      };
      return content.gates
        .filter(({ gate }) => gate === "perplexity")
        .flatMap(({ metrics, verdict, reason, startedAt }) =>
          metrics.flatMap(({ measured }) =>
            measured === null
              ? []
              : [{ ...common, perplexity: measured, at: startedAt, verdict: verdict === "passed" ? "passed" : `${verdict}: ${reason}` }],
          ),
        );
    }),
    ...references.map(({ file, content }): Quality => ({
      model: content.family,
      family: content.family,
      profile: null,
      perplexity: content.finalPerplexity,
      setup: setupOf({ name: content.corpus.name, contextTokens: content.ctxSize, chunks: content.chunks.length }),
      origin: "reference",
      file,
      at: content.recordedAt,
      verdict: null,
    })),
  ];
  return all.sort(
    (a, b) =>
      compare(a.family, b.family) || compare(a.setup, b.setup) || a.perplexity - b.perplexity || compare(a.profile ?? "", b.profile ?? ""),
  );
}

const setupOf = ({ name, contextTokens, chunks }: BenchRecord["corpus"]): string =>
  `corpus ${name}, ${chunks} chunks of ${contextTokens} tokens`;
