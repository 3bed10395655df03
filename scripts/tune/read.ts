import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { deriveProfile, type ProfileChange } from "../../plan/bench/variants.ts";
import { capabilitiesPath, knownVariables, parseCapabilities } from "../../plan/config/capabilities.ts";
import { ConfigError } from "../../plan/config/errors.ts";
import { parseImages } from "../../plan/config/images.ts";
import { parseProfile, type Profile } from "../../plan/config/profile.ts";
import { parseSampling, samplingFlags } from "../../plan/config/sampling.ts";
import { parseHeaderDigest } from "../../plan/gguf/digest.ts";
import { findComputeTable } from "../../plan/memory/compute-table.ts";
import { imageBuild } from "../../plan/memory/image-build.ts";
import { planBare, type MemoryInput } from "../../plan/memory/plan.ts";
import { headerDigestPath } from "../../plan/memory/stack.ts";
import { readStackFiles, required, type ReadText } from "../../plan/stack-files.ts";
import { changeForImage } from "../../plan/tune/base.ts";
import { changed, type TuneStart } from "../../plan/tune/space.ts";
import { readTextIn } from "../bench/read-text.ts";
import { readComputeTable } from "../gguf/calibrate.ts";

/** What a search starts from. */
export interface TuneInput {
  readonly base: Profile;
  /** Text of the base profile's file. */
  readonly baseText: string;
  readonly start: TuneStart;
  readonly memory: MemoryInput;
  /** Build that is planned for. */
  readonly build: string;
  /** What a stack would refuse a profile's text for: its own rules and its build's flags; undefined where it would take it. */
  readonly problemOf: (text: string) => string | undefined;
}

/** What is tuned, as the command line says it. */
export interface TuneAsk {
  readonly folder: string;
  readonly model: string;
  readonly vramMiB: number;
  readonly hostMiB?: number;
  /** `@default` - the profile of the model that is planned to be the fastest */
  readonly profile?: string;
  /** Image of configs/images.yaml. `@default` - the profile's */
  readonly image?: string;
}

/**
 * The base profile with its model's header and its build's compute table.
 * @throws {RangeError} naming the models, profiles or images that there are, or what no base profile can be on the image
 * @throws {Error} naming the file that is missing
 */
export async function readTuneInput(ask: TuneAsk): Promise<TuneInput> {
  const { folder, model } = ask;
  const names = (await readdir(join(folder, "configs"))).flatMap((name) => /^llama-cpp-(.+)\.env$/.exec(name)?.[1] ?? []).sort();
  const profiles = await Promise.all(names.map((id) => readProfile(folder, id)));
  const ofModel = profiles.filter(({ profile }) => profile.model === model);
  const wanted = ask.profile === undefined ? ofModel : ofModel.filter(({ profile }) => profile.id === ask.profile);
  if (wanted.length === 0) {
    const models = [...new Set(profiles.map(({ profile }) => profile.model))].sort().join(", ");
    const own = ofModel.map(({ profile }) => profile.id).join(", ");
    throw new RangeError(
      ofModel.length === 0
        ? `tune: got model ${model}, allowed are those that a profile serves: ${models}`
        : `tune: got profile ${ask.profile ?? ""}, allowed are those of ${model}: ${own}`,
    );
  }
  const all = await Promise.all(wanted.map((one) => withMemory(one, ask)));
  const judged = all.map((input) => ({ input, problem: input.problemOf(deriveProfile(input.baseText, input.start.change)) }));
  const inputs = judged.flatMap(({ input, problem }) => (problem === undefined ? [input] : []));
  const [first, ...others] = inputs;
  if (first === undefined)
    throw new RangeError(`tune: no profile to start from:\n${judged.map(({ problem }) => problem ?? "").join("\n")}`);
  const speedOf = ({ memory, start }: TuneInput): number => {
    const plan = planBare({ ...memory, flags: changed(memory.flags, start.change) });
    return plan.kind === "planned" && plan.verdict === "fits" ? plan.speed.tokensPerSec : 0;
  };
  return others.reduce((most, one) => (speedOf(one) > speedOf(most) ? one : most), first);
}

async function readProfile(folder: string, id: string): Promise<{ profile: Profile; text: string }> {
  const file = `configs/llama-cpp-${id}.env`;
  const text = await readFile(join(folder, file), "utf8");
  return { profile: parseProfile(text, { id, file }), text };
}

async function withMemory({ profile, text }: { profile: Profile; text: string }, ask: TuneAsk): Promise<TuneInput> {
  const { folder, model, vramMiB, hostMiB } = ask;
  const read = readTextIn(folder);
  const images = parseImages(required(read, "configs/images.yaml"));
  const name = ask.image ?? profile.image;
  const image = images[name];
  if (image === undefined) throw new RangeError(`tune: got image ${name}, allowed are ${Object.keys(images).join(", ")}`);
  const list = capabilitiesPath(image.capabilities);
  const options = read(list); // an image whose build nobody read them of is refused with the base profile
  const known = options === undefined ? new Set<string>() : knownVariables(parseCapabilities(options, list));
  const preset = profile.sampling === undefined ? undefined : parseSampling(required(read, "configs/sampling.yaml"))[profile.sampling];
  const other = { name, isCpu: image.backend === "cpu", known, presetFlags: preset === undefined ? {} : samplingFlags(preset) };
  const change: ProfileChange = name === profile.image ? { set: {}, drop: [] } : changeForImage(profile, other);
  const file = headerDigestPath(model);
  const digest = await readFile(join(folder, file), "utf8").catch(() => {
    throw new Error(`tune: no ${file}; write it with npm run header -- ${model} <file or URL>`);
  });
  const tables = await Promise.all(
    (await readdir(join(folder, "configs/compute-tables"))).map((table) => readComputeTable(join(folder, "configs/compute-tables", table))),
  );
  const build = imageBuild(image);
  const gpus = image.backend === "cpu" ? [] : [{ totalMiB: vramMiB }];
  return {
    base: profile,
    baseText: text,
    start: { change, knowsFit: known.has("LLAMA_ARG_FIT") },
    problemOf: (changedText) => problemOf(changedText, profile.id, read),
    build,
    memory: {
      header: parseHeaderDigest(JSON.parse(digest)),
      flags: profile.flags,
      budget: { gpus, ...(hostMiB === undefined ? {} : { hostMiB }) },
      table: findComputeTable(tables, build, image.backend) ?? null,
    },
  };
}

/** What the project says of a profile's text, under the file of the profile that it is made from. */
function problemOf(text: string, id: string, read: ReadText): string | undefined {
  try {
    readStackFiles("tune", id, (path) => (path === `configs/llama-cpp-${id}.env` ? text : read(path)));
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}
