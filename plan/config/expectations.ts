import { z } from "zod";
import { parseJsonWith } from "./json.ts";

/** Unit of each metric; there is one, so that numbers can be compared without conversion. */
const units = {
  decodeSpeed: "tok/s",
  decodeSpeedRatio: "ratio",
  decodeSpeedChange: "percent",
  vram: "MiB",
  vramChange: "GB",
  ram: "GB",
  ramChange: "percent",
  context: "tokens",
  contextRatio: "ratio",
  fileSize: "GB",
  perplexity: "unitless",
  perplexityChange: "percent",
  layersOnGpu: "layers",
} as const;

type Metric = keyof typeof units;
const metrics = Object.keys(units) as [Metric, ...Metric[]];

const measurement = z
  .strictObject({
    profile: z.string().optional().describe("Profile that was measured, as in configs/llama-cpp-<id>.env"),
    model: z.string().optional().describe("Model that was measured, as in configs/models.yaml"),
    other: z.string().optional().describe("What was measured where it is neither"),
    metric: z.enum(metrics),
    scenario: z
      .enum(["short", "medium", "long", "multi-turn"])
      .optional()
      .describe("Benchmark scenario; absent where the source gives one number for all"),
    value: z.union([z.number(), z.tuple([z.number(), z.number()])], { error: "a number, or [lowest, highest]" }),
    unit: z.enum([...new Set(Object.values(units))] as [string, ...string[]]),
    approximate: z.literal(true).optional().describe("The source says about"),
    against: z.string().optional().describe("What a change or ratio is relative to"),
    source: z.string().describe("Key of sources"),
    note: z.string().optional(),
  })
  .superRefine((entry, context) => {
    const say = (path: string, message: string, fix: string): void =>
      context.addIssue({ code: "custom", path: [path], message, params: { fix } });
    if (entry.unit !== units[entry.metric]) say("unit", `${units[entry.metric]}, the unit of ${entry.metric}`, "convert the value");
    const subjects = [entry.profile, entry.model, entry.other].filter((subject) => subject !== undefined);
    if (subjects.length !== 1) say("profile", "one of profile, model and other", "say what was measured, once");
    if (entry.scenario !== undefined && entry.metric !== "decodeSpeed") say("scenario", "a scenario with decodeSpeed only", "remove it");
    const isRelative = /Change$|Ratio$/.test(entry.metric);
    if (isRelative !== (entry.against !== undefined))
      say("against", isRelative ? "what it is relative to" : "nothing: the value is absolute", "mend it");
    if (Array.isArray(entry.value) && entry.value[0] > entry.value[1]) say("value", "[lowest, highest] in this order", "swap them");
  });

/** Signs of a host: what its one GPU and its CPU are called, in part, and the GPU's memory. */
export const hostSignSchema = z.strictObject({
  gpu: z.string().min(1).describe("Part of the GPU's name as nvidia-smi gives it"),
  vramMiB: z.tuple([z.number(), z.number()]).describe("Memory of the GPU, [least, most]"),
  cpu: z.string().min(1).describe("Part of the CPU's name as /proc/cpuinfo gives it: experts on the CPU are as fast as it is"),
});
export type HostSign = z.output<typeof hostSignSchema>;

/** Schema of `configs/expectations/<session>.json`: what was measured once, as its source states it. */
export const expectationsSchema = z
  .strictObject({
    $schema: z.string().optional().describe("For editors"),
    session: z.string().min(1),
    sources: z.record(z.string(), z.string().min(1)).describe("Where the numbers are from, by key"),
    host: z.string().min(1).describe("What they were measured on; they expect nothing of another host"),
    recognised: hostSignSchema.optional().describe("How a program recognises that host; without it, nothing is gated by these numbers"),
    measurements: z.array(measurement).min(1),
    failures: z.array(
      z.strictObject({
        profile: z.string(),
        outcome: z.enum(["out-of-memory", "unknown-flag"]),
        source: z.string(),
        note: z.string().optional(),
      }),
    ),
  })
  .superRefine(({ sources, measurements, failures }, context) => {
    for (const [list, entries] of [
      ["measurements", measurements],
      ["failures", failures],
    ] as const) {
      entries.forEach(({ source }, index) => {
        if (Object.hasOwn(sources, source)) return;
        const message = `a key of sources: ${Object.keys(sources).join(", ")}`;
        context.addIssue({ code: "custom", path: [list, index, "source"], message, params: { fix: "name a source, or add it" } });
      });
    }
  });

/** What was measured once, as its source states it: means without samples. The benchmark gate compares a first deploy on that very host with them. */
export type Expectations = z.output<typeof expectationsSchema>;
/** One number of them. */
export type Measurement = z.output<typeof measurement>;

/** Expectations from a file's text. @throws {ConfigError} with every issue. */
export const parseExpectations = (text: string, file: string): Expectations =>
  parseJsonWith(expectationsSchema, text, { file, fix: "mend the syntax" });

/** A measurement with one number, not a range. */
export type Stated = Measurement & { readonly value: number };
export const isStated = (entry: Measurement): entry is Stated => typeof entry.value === "number";

/** VRAM in use that was measured with a profile, MiB; undefined where nobody measured it. The first source that has it counts. */
export const measuredVram = ({ measurements }: Expectations, profile: string): Stated | undefined =>
  measurements.filter(isStated).find((entry) => entry.profile === profile && entry.metric === "vram");

/** Decode speeds that were measured with a profile, tok/s by scenario; empty where the source gives none by scenario. */
export function measuredSpeeds({ measurements }: Expectations, profile: string): Readonly<Record<string, number>> {
  const speeds: Record<string, number> = {};
  for (const { profile: of, metric, scenario, value } of measurements) {
    if (of === profile && metric === "decodeSpeed" && scenario !== undefined && typeof value === "number") speeds[scenario] ??= value;
  }
  return speeds;
}
