import { knownVariables, capabilitiesPath, type Capabilities } from "./capabilities.ts";
import { ConfigError, oneOf, quote, type ConfigIssue } from "./errors.ts";
import { flagSpecs } from "./flags.ts";
import { pinnedRef, type ImageConfig, type Images } from "./images.ts";
import type { Model, Models } from "./models.ts";
import type { Profile } from "./profile.ts";
import { samplingFlags, type SamplingPresets } from "./sampling.ts";

/** The files that a profile refers to; `capabilities` by the name that images give. */
export interface ProfileSurroundings {
  readonly images: Images;
  readonly models: Models;
  readonly sampling: SamplingPresets;
  readonly capabilities: Readonly<Record<string, Capabilities>>;
}

/** A profile with what its names stand for. */
export interface ResolvedProfile {
  readonly profile: Profile;
  readonly image: ImageConfig;
  readonly model: Model;
  readonly mmproj?: Model | undefined;
  readonly draft?: Model | undefined;
  readonly capabilities: Capabilities;
  /** The profile's flags and those of its sampling preset. */
  readonly flags: Readonly<Record<string, string>>;
  /** What an operator should know although nothing stands against the profile; empty as a rule. */
  readonly warnings: readonly string[];
}

/**
 * Flags that a profile writes out where its build knows them: a default that differs between builds, or that decides about gigabytes.
 * `--fit` is on by default in every build on record that has it, and places whatever a profile leaves open.
 */
const writtenOutWhereKnown = ["LLAMA_ARG_FIT", "LLAMA_ARG_KV_UNIFIED", "LLAMA_ARG_CACHE_RAM", "LLAMA_ARG_CTX_CHECKPOINTS"];

type Report = (path: string, got: string, allowed: string, fix: string) => void;

/**
 * The profile with image, models and preset, each flag known to the image's build.
 * @throws {ConfigError} with every issue that shows only beside other files: names that nobody has, flags that the pinned build doesn't know or
 * expects to be written out, GPU layers on an image without GPU backend.
 */
export function resolveProfile(
  profile: Profile,
  surroundings: ProfileSurroundings,
  file = `configs/llama-cpp-${profile.id}.env`,
): ResolvedProfile {
  const issues: ConfigIssue[] = [];
  const report: Report = (path, got, allowed, fix) => issues.push({ file, path, got, allowed, fix });
  const { images, models, sampling } = surroundings;
  const image = lookUp(images, profile.image, "IMAGE", "images", report);
  const model = lookUpModel(models, profile.model, "MODEL", "model", report);
  const mmproj = lookUpModel(models, profile.mmproj, "MMPROJ", "mmproj", report);
  const draft = lookUpModel(models, profile.draft, "DRAFT_MODEL", "model", report);
  const preset = lookUp(sampling, profile.sampling, "SAMPLING", "sampling", report);
  const presetFlags = preset === undefined ? {} : samplingFlags(preset);
  const capabilities = image === undefined ? undefined : capabilitiesOf(image, surroundings, report);
  if (image !== undefined && capabilities !== undefined) {
    reportUnknownFlags(profile, presetFlags, capabilities, surroundings, report);
    reportUnwritten(profile, capabilities, report);
    reportBackend(profile, image, report);
  }
  if (issues.length > 0 || image === undefined || model === undefined || capabilities === undefined) throw new ConfigError(issues);
  const warnings = staleWarnings(profile, image, capabilities);
  return { profile, image, model, mmproj, draft, capabilities, flags: { ...presetFlags, ...profile.flags }, warnings };
}

/** A new pin's flags can only be read once it is built, so an old list warns instead of standing in the way of the build. */
function staleWarnings(profile: Profile, image: ImageConfig, { ref }: Capabilities): string[] {
  const pinned = pinnedRef(image);
  if (ref === pinned) return [];
  const path = capabilitiesPath(image.capabilities);
  return [
    `${path}: flags were checked against the list of ${ref}, and image ${profile.image} is pinned to ${pinned}; ` +
      `once it is built, run node scripts/config/capabilities.ts ${profile.image}`,
  ];
}

function lookUp<T>(
  entries: Readonly<Record<string, T>>,
  name: string | undefined,
  key: string,
  where: string,
  report: Report,
): T | undefined {
  if (name === undefined) return undefined;
  const entry = Object.hasOwn(entries, name) ? entries[name] : undefined;
  if (entry === undefined) {
    const names = Object.keys(entries);
    report(key, quote(name), names.length === 0 ? "an entry" : oneOf(names), `name an entry of configs/${where}.yaml, or add one there`);
  }
  return entry;
}

function lookUpModel(models: Models, name: string | undefined, key: string, role: Model["role"], report: Report): Model | undefined {
  const model = lookUp(models, name, key, "models", report);
  if (model === undefined || name === undefined) return undefined;
  if (model.leftover !== undefined)
    report(key, quote(name), "a model with a file", "name another one: this entry only lists files to prune");
  else if (model.prunable !== undefined)
    report(key, quote(name), "a model that nobody may prune", "take prunable off it in configs/models.yaml, or name another");
  if (model.role !== role)
    report(key, `${quote(name)}, which is a ${model.role}`, `a ${role} of configs/models.yaml`, "name one of that role");
  return model;
}

function capabilitiesOf(image: ImageConfig, { capabilities }: ProfileSurroundings, report: Report): Capabilities | undefined {
  const list = Object.hasOwn(capabilities, image.capabilities) ? capabilities[image.capabilities] : undefined;
  if (list === undefined) {
    const fix = "make it with node scripts/config/capabilities.ts, once the image is built";
    report("IMAGE", `an image without ${capabilitiesPath(image.capabilities)}`, "an image whose build's flags are on record", fix);
  }
  return list;
}

function reportUnknownFlags(
  profile: Profile,
  preset: Readonly<Record<string, string>>,
  list: Capabilities,
  files: ProfileSurroundings,
  report: Report,
): void {
  const known = knownVariables(list);
  const allowed = `a flag that image ${profile.image} knows (${capabilitiesPath(files.images[profile.image]?.capabilities ?? "")}, ${list.build})`;
  for (const [key, value] of Object.entries(profile.flags)) {
    if (known.has(key)) continue;
    const spec = flagSpecs.get(key);
    const other = spec?.formerly.find((name) => known.has(name));
    const images = imagesThatKnow(key, files);
    const elsewhere = images.length === 0 ? "" : `, or use image ${oneOf(images)}`;
    const fix = other === undefined ? `remove it${elsewhere}` : `write ${other}, which is its name there${elsewhere}`;
    report(key, `${quote(value)} (${spec?.name ?? key})`, allowed, fix);
  }
  const unread = Object.keys(preset).filter((key) => !known.has(key));
  if (unread.length > 0) {
    const fix = "remove it and let clients send the values";
    report("SAMPLING", `${quote(profile.sampling)}, which sets ${unread.join(", ")}`, allowed.replace("a flag", "flags"), fix);
  }
}

function imagesThatKnow(key: string, { images, capabilities }: ProfileSurroundings): string[] {
  return Object.entries(images).flatMap(([name, { capabilities: list }]) => {
    const known = Object.hasOwn(capabilities, list) ? capabilities[list] : undefined;
    return known !== undefined && knownVariables(known).has(key) ? [name] : [];
  });
}

function reportUnwritten(profile: Profile, list: Capabilities, report: Report): void {
  const known = knownVariables(list);
  for (const key of writtenOutWhereKnown) {
    if (!known.has(key) || profile.flags[key] !== undefined) continue;
    report(
      key,
      "nothing",
      flagSpecs.get(key)?.value.allowed ?? "a value",
      "write it out: its default decides about memory, and differs between builds",
    );
  }
}

/** llama.cpp ignores GPU layers without a GPU and serves from the CPU, at a tenth of the speed, without an error. */
function reportBackend(profile: Profile, image: ImageConfig, report: Report): void {
  const layers = profile.flags["LLAMA_ARG_N_GPU_LAYERS"];
  if (image.backend !== "cpu" || layers === undefined || layers === "0") return;
  const fix = "set it to 0, or use an image with a GPU backend";
  report("LLAMA_ARG_N_GPU_LAYERS", quote(layers), `0 with image ${profile.image}, whose backend is cpu`, fix);
}
