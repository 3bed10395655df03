import { readFileSync, readdirSync } from "node:fs";
import { parseCapabilities } from "../../../plan/config/capabilities.ts";
import { ConfigError } from "../../../plan/config/errors.ts";
import { parseImages } from "../../../plan/config/images.ts";
import { parseModels } from "../../../plan/config/models.ts";
import { parseProfile } from "../../../plan/config/profile.ts";
import type { ProfileSurroundings } from "../../../plan/config/resolve-profile.ts";
import { parseSampling } from "../../../plan/config/sampling.ts";

const projectDir = new URL("../../../", import.meta.url);

/** Text of a file of the project. */
export const readProjectFile = (path: string): string => readFileSync(new URL(path, projectDir), "utf8");

/** Ids of the committed profiles. */
export const profileIds: readonly string[] = readdirSync(new URL("configs/", projectDir)).flatMap(
  (name) => /^llama-cpp-(.+)\.env$/.exec(name)?.[1] ?? [],
);

/** Text of a committed profile. */
export const readProfileText = (id: string): string => readProjectFile(`configs/llama-cpp-${id}.env`);

/** The committed files that profiles refer to. */
export function readSurroundings(): ProfileSurroundings {
  const lists = readdirSync(new URL("configs/capabilities/", projectDir)).map((name) => name.replace(/\.json$/, ""));
  return {
    images: parseImages(readProjectFile("configs/images.yaml")),
    models: parseModels(readProjectFile("configs/models.yaml")),
    sampling: parseSampling(readProjectFile("configs/sampling.yaml")),
    capabilities: Object.fromEntries(
      lists.map((name) => {
        const file = `configs/capabilities/${name}.json`;
        return [name, parseCapabilities(readProjectFile(file), file)];
      }),
    ),
  };
}

/** Lines of the ConfigError that `run` throws; fails if it throws something else or nothing. */
export function configErrorLines(run: () => unknown): string[] {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split("\n");
    throw error;
  }
  throw new Error("no error was thrown");
}

/** The least that a profile may say. */
const base = {
  IMAGE: "latest",
  MODEL: "some-model",
  LLAMA_ARG_CTX_SIZE: "4096",
  LLAMA_ARG_N_PARALLEL: "2",
  LLAMA_ARG_BATCH: "512",
  LLAMA_ARG_UBATCH: "512",
  LLAMA_ARG_N_GPU_LAYERS: "99",
  LLAMA_ARG_CACHE_TYPE_K: "f16",
  LLAMA_ARG_CACHE_TYPE_V: "f16",
  LLAMA_ARG_FLASH_ATTN: "on",
  LLAMA_ARG_JINJA: "on",
};

/** A profile's text with some entries of the base changed, added or, where undefined, left out. */
export function profileText(changes: Readonly<Record<string, string | undefined>> = {}): string {
  const entries: [string, string | undefined][] = Object.entries({ ...base, ...changes });
  return entries.map(([key, value]) => (value === undefined ? "" : `${key}=${value}\n`)).join("");
}

/** How the profiles of these tests are called. */
export const testProfile = { id: "x", file: "x.env" } as const;

/** Lines of the error that a profile with these changes ends in. */
export const profileErrorLines = (changes: Readonly<Record<string, string | undefined>>): string[] =>
  configErrorLines(() => parseProfile(profileText(changes), testProfile));
