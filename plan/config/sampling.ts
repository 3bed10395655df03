import { z } from "zod";
import { parseYamlWith } from "./yaml.ts";

const preset = z.strictObject({
  description: z.string().min(1).describe("What the preset is for"),
  source: z.string().min(1).describe("Where the values are recommended"),
  temperature: z.number().min(0).max(2),
  topP: z.number().gt(0).max(1).describe("Share of probability that tokens are drawn from"),
  topK: z.int().nonnegative().describe("Tokens that are drawn from; 0 means all"),
  minP: z.number().min(0).max(1).describe("Probability, relative to the likeliest token, below which a token is never drawn; 0 is off"),
  presencePenalty: z.number().min(-2).max(2).describe("Taken off the score of tokens that are there already; 0 is off"),
  repeatPenalty: z.number().gt(0).max(2).describe("Divides the score of tokens that are there already; 1 is off"),
});

const presetName = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, "a name in lower case (a-z, 0-9, dash)");

/** Schema of `configs/sampling.yaml`: presets by name. */
export const samplingSchema = z.record(presetName, preset).describe("Sampling presets by name: profiles refer to the names");

/** All presets by name. */
export type SamplingPresets = z.output<typeof samplingSchema>;
/** One entry of `configs/sampling.yaml`. */
export type SamplingPreset = z.output<typeof preset>;

/** Presets from the text of `configs/sampling.yaml`. @throws {ConfigError} with every issue of the file. */
export const parseSampling = (text: string, file = "configs/sampling.yaml"): SamplingPresets =>
  parseYamlWith(samplingSchema, text, { file });

/**
 * The preset as the server's defaults for requests that don't say. Builds before 2026 read fewer of these variables; `resolveProfile` refuses
 * a preset for them.
 */
export function samplingFlags(values: SamplingPreset): Record<string, string> {
  return {
    LLAMA_ARG_TEMPERATURE: String(values.temperature),
    LLAMA_ARG_TOP_P: String(values.topP),
    LLAMA_ARG_TOP_K: String(values.topK),
    LLAMA_ARG_MIN_P: String(values.minP),
    LLAMA_ARG_PRESENCE_PENALTY: String(values.presencePenalty),
    LLAMA_ARG_REPEAT_PENALTY: String(values.repeatPenalty),
  };
}

/** The preset as fields of an OpenAI-compatible request, with llama-server's own names where OpenAI has none. */
export function samplingFields(values: SamplingPreset): Record<string, number> {
  return {
    temperature: values.temperature,
    top_p: values.topP,
    top_k: values.topK,
    min_p: values.minP,
    presence_penalty: values.presencePenalty,
    repeat_penalty: values.repeatPenalty,
  };
}
