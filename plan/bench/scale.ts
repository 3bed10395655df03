import { parseEnvFile } from "../config/env-file.ts";
import { deriveProfile } from "./variants.ts";

/** Context of a scaled profile, tokens: the dev profile's. */
const scaledContext = 4096;
const mostSlots = 2;
/** Keys that name hardware or files which a small host does not have; llama.cpp's or the dev profile's values hold then. */
const hardwareKeys = [
  "LLAMA_ARG_THREADS",
  "LLAMA_ARG_FIT_TARGET",
  "LLAMA_ARG_FIT_CTX",
  "LLAMA_ARG_LOAD_MODE",
  "LLAMA_ARG_MMAP",
  "SAMPLING",
  "MMPROJ",
  "DRAFT_MODEL",
];
const smaller = {
  LLAMA_ARG_BATCH: 512,
  LLAMA_ARG_UBATCH: 512,
  LLAMA_ARG_CACHE_RAM: 256,
  LLAMA_ARG_CTX_CHECKPOINTS: 4,
  LLAMA_ARG_N_PARALLEL: mostSlots,
};

/**
 * A profile of a GPU host scaled down to the dev model on a CPU: cache types, flash attention and `--n-cpu-moe` stay as they are, sizes shrink to what
 * the dev profile has, and nothing is put on a GPU, so `--fit` has nothing to place and is off. A profile whose image is not known to run keeps image and
 * placement, so it is refused as before.
 */
export function scaleToDev(text: string, devText: string, knownImage: (image: string) => boolean): string {
  const entries = new Map(parseEnvFile(text, "profile").entries.map(({ key, value }) => [key, value]));
  const dev = new Map(parseEnvFile(devText, "dev").entries.map(({ key, value }) => [key, value]));
  const shrunk = Object.entries(smaller).flatMap(([key, most]) => {
    const now = entries.get(key);
    return now === undefined ? [] : [[key, String(Math.min(Number(now), most))] as const];
  });
  const image = entries.get("IMAGE") ?? "";
  const set = {
    ...(knownImage(image) ? { IMAGE: dev.get("IMAGE") ?? "", LLAMA_ARG_FIT: "off", LLAMA_ARG_N_GPU_LAYERS: "0" } : {}),
    MODEL: dev.get("MODEL") ?? "",
    LLAMA_ARG_CTX_SIZE: String(scaledContext),
    ...Object.fromEntries(shrunk),
    LLAMA_ARG_JINJA: "on",
    LLAMA_ARG_CHAT_TEMPLATE: dev.get("LLAMA_ARG_CHAT_TEMPLATE") ?? "",
  };
  return deriveProfile(text, { set, drop: hardwareKeys });
}
