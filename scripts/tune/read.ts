import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseImages } from "../../plan/config/images.ts";
import { parseProfile, type Profile } from "../../plan/config/profile.ts";
import { parseHeaderDigest } from "../../plan/gguf/digest.ts";
import { findComputeTable } from "../../plan/memory/compute-table.ts";
import { imageBuild } from "../../plan/memory/image-build.ts";
import { planBare, type MemoryInput } from "../../plan/memory/plan.ts";
import { headerDigestPath } from "../../plan/memory/stack.ts";
import { readComputeTable } from "../gguf/calibrate.ts";

/** What a search starts from. */
export interface TuneInput {
  readonly base: Profile;
  /** Text of the base profile's file. */
  readonly baseText: string;
  readonly memory: MemoryInput;
  /** Build that is planned for. */
  readonly build: string;
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
 * @throws {RangeError} naming the models, profiles or images that there are
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
  const inputs = await Promise.all(wanted.map((one) => withMemory(one, ask)));
  const speedOf = ({ memory }: TuneInput): number => {
    const plan = planBare(memory);
    return plan.kind === "planned" && plan.verdict === "fits" ? plan.speed.tokensPerSec : 0;
  };
  return inputs.reduce((most, one) => (speedOf(one) > speedOf(most) ? one : most));
}

async function readProfile(folder: string, id: string): Promise<{ profile: Profile; text: string }> {
  const file = `configs/llama-cpp-${id}.env`;
  const text = await readFile(join(folder, file), "utf8");
  return { profile: parseProfile(text, { id, file }), text };
}

async function withMemory({ profile, text }: { profile: Profile; text: string }, ask: TuneAsk): Promise<TuneInput> {
  const { folder, model, vramMiB, hostMiB } = ask;
  const images = parseImages(await readFile(join(folder, "configs/images.yaml"), "utf8"));
  const name = ask.image ?? profile.image;
  const image = images[name];
  if (image === undefined) throw new RangeError(`tune: got image ${name}, allowed are ${Object.keys(images).join(", ")}`);
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
    baseText: ask.image === undefined ? text : text.replace(/^IMAGE=.*$/m, `IMAGE=${name}`),
    build,
    memory: {
      header: parseHeaderDigest(JSON.parse(digest)),
      flags: profile.flags,
      budget: { gpus, ...(hostMiB === undefined ? {} : { hostMiB }) },
      table: findComputeTable(tables, build, image.backend) ?? null,
    },
  };
}
