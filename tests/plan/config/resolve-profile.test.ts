import { describe, expect, it } from "vitest";
import { parseProfile } from "../../../plan/config/profile.ts";
import { resolveProfile } from "../../../plan/config/resolve-profile.ts";
import { configErrorLines, profileIds, readProfileText, readSurroundings } from "./support.ts";

// Proves that the committed files agree with each other, and what is said when they don't. Not that a server starts with them.

const surroundings = readSurroundings();
const parse = (id: string, change: (text: string) => string = (text) => text) =>
  parseProfile(change(readProfileText(id)), { id, file: `configs/llama-cpp-${id}.env` });
const resolve = (id: string, change?: (text: string) => string) => resolveProfile(parse(id, change), surroundings);
const without = (key: string) => (text: string) => text.replace(new RegExp(`^${key}=.*\n`, "m"), "");

describe("the committed profiles", () => {
  it("are the dev profile and the eleven of session 005", () => {
    expect([...profileIds].sort()).toEqual([
      "dev",
      "s005-c1-fulloffload",
      "s005-c2-partial",
      "s005-c2a-partial32",
      "s005-c2b-partial36",
      "s005-c3-nokv",
      "s005-c4-autofit",
      "s005-c4r-autofit-refit",
      "s005-c5-q4km-fulloffload",
      "s005-c6-q4km-partial16",
      "s005-c7-q4km-partial24",
      "s005-c8-q4km-fit",
    ]);
  });

  it.each(profileIds.filter((id) => id !== "s005-c4-autofit"))("resolve: %s", (id) => {
    const { profile, flags, warnings } = resolve(id);
    expect(profile.description).not.toBe("");
    expect(warnings).toEqual([]);
    expect(flags).toMatchObject(profile.flags);
  });

  it("fail where session 005 failed: C4 asks a build for --fit that has none", () => {
    expect(configErrorLines(() => resolve("s005-c4-autofit"))).toEqual([
      'configs/llama-cpp-s005-c4-autofit.env: LLAMA_ARG_FIT: got "on" (--fit), expected a flag that image before-fit knows ' +
        "(configs/capabilities/4227c9be4.json, commit 4227c9be4268ac844921b90f31595f81236bd317, 2025-08-14); " +
        "remove it, or use image debian, latest or latest-fit",
    ]);
  });

  it.each([
    ["s005-c1-fulloffload", "latest", "qwen3.5-35b-a3b-q8_0", "40", "q8_0"],
    ["s005-c2-partial", "latest", "qwen3.5-35b-a3b-q8_0", "16", "q8_0"],
    ["s005-c2a-partial32", "latest", "qwen3.5-35b-a3b-q8_0", "32", "q8_0"],
    ["s005-c2b-partial36", "latest", "qwen3.5-35b-a3b-q8_0", "36", "q8_0"],
    ["s005-c3-nokv", "latest", "qwen3.5-35b-a3b-q8_0", "40", "f16"],
    ["s005-c4-autofit", "before-fit", "qwen3.5-35b-a3b-q8_0", undefined, "q8_0"],
    ["s005-c4r-autofit-refit", "latest-fit", "qwen3.5-35b-a3b-q8_0", undefined, "q8_0"],
    ["s005-c5-q4km-fulloffload", "latest", "qwen3.5-35b-a3b-q4_k_m", "40", "q8_0"],
    ["s005-c6-q4km-partial16", "latest", "qwen3.5-35b-a3b-q4_k_m", "16", "q8_0"],
    ["s005-c7-q4km-partial24", "latest", "qwen3.5-35b-a3b-q4_k_m", "24", "q8_0"],
    ["s005-c8-q4km-fit", "latest-fit", "qwen3.5-35b-a3b-q4_k_m", undefined, "q8_0"],
  ])("say what session 005 says: %s", (id, image, model, nCpuMoe, cacheType) => {
    const profile = parse(id);
    expect(profile).toMatchObject({ image, model });
    expect(profile.flags).toMatchObject({
      LLAMA_ARG_CTX_SIZE: "65536",
      LLAMA_ARG_UBATCH: "4096",
      LLAMA_ARG_N_PARALLEL: "4",
      LLAMA_ARG_CACHE_TYPE_K: cacheType,
      LLAMA_ARG_CACHE_TYPE_V: cacheType,
      LLAMA_ARG_FLASH_ATTN: "on",
    });
    expect(profile.flags["LLAMA_ARG_N_CPU_MOE"]).toBe(nCpuMoe);
    expect(profile.flags["LLAMA_ARG_FIT"]).toBe(nCpuMoe === undefined ? "on" : "off");
  });

  it("put the sampling preset under the profile's own flags", () => {
    expect(resolve("s005-c7-q4km-partial24").flags).toMatchObject({
      LLAMA_ARG_TEMPERATURE: "0.6",
      LLAMA_ARG_TOP_P: "0.95",
      LLAMA_ARG_TOP_K: "20",
      LLAMA_ARG_N_CPU_MOE: "24",
    });
  });
});

describe("resolveProfile", () => {
  const file = "configs/llama-cpp-s005-c7-q4km-partial24.env";
  const c7 = "s005-c7-q4km-partial24";
  const ids = Object.keys(surroundings.models).slice(0, -1).join(", ");

  it.each<[string, (text: string) => string, string[]]>([
    [
      "an image that nobody has",
      (text) => text.replace("IMAGE=latest", "IMAGE=newest"),
      ['IMAGE: got "newest", expected debian, latest, latest-fit or before-fit; name an entry of configs/images.yaml, or add one there'],
    ],
    [
      "a model that nobody has",
      (text) => text.replace("MODEL=qwen3.5-35b-a3b-q4_k_m", "MODEL=qwen4"),
      [`MODEL: got "qwen4", expected ${ids} or session-003-ud-q8_k_xl; name an entry of configs/models.yaml, or add one there`],
    ],
    [
      "a leftover as model",
      (text) => text.replace("MODEL=qwen3.5-35b-a3b-q4_k_m", "MODEL=session-003-ud-q8_k_xl"),
      ['MODEL: got "session-003-ud-q8_k_xl", expected a model with a file; name another one: this entry only lists files to prune'],
    ],
    [
      "a model that may be pruned",
      (text) => text.replace("MODEL=qwen3.5-35b-a3b-q4_k_m", "MODEL=qwen3.5-35b-a3b-ud-q4_k_xl"),
      [
        'MODEL: got "qwen3.5-35b-a3b-ud-q4_k_xl", expected a model that nobody may prune; take prunable off it in configs/models.yaml, or name another',
      ],
    ],
    [
      "a model as vision encoder",
      (text) => text.replace("SAMPLING=", "MMPROJ=qwen3.5-35b-a3b-q8_0\nSAMPLING="),
      ['MMPROJ: got "qwen3.5-35b-a3b-q8_0", which is a model, expected a mmproj of configs/models.yaml; name one of that role'],
    ],
    [
      "a preset that nobody has",
      (text) => text.replace("SAMPLING=thinking", "SAMPLING=wild"),
      ['SAMPLING: got "wild", expected thinking or non-thinking; name an entry of configs/sampling.yaml, or add one there'],
    ],
    [
      "a flag by the name that it had in another build",
      (text) => text.replace("LLAMA_ARG_LOAD_MODE=none", "LLAMA_ARG_MMAP=off"),
      [
        'LLAMA_ARG_MMAP: got "off" (--mmap), expected a flag that image latest knows (configs/capabilities/b11312.json, b11312, commit 0c1e57098bba43ac29e6e3b677cdceebdd22334f); ' +
          "write LLAMA_ARG_LOAD_MODE, which is its name there, or use image latest-fit",
      ],
    ],
    [
      "a flag that the server lists as removed",
      (text) => text.replace("SAMPLING=", "DRAFT_MODEL=qwen3.5-35b-a3b-q8_0\nLLAMA_ARG_DRAFT_MAX=8\nSAMPLING="),
      [
        'LLAMA_ARG_DRAFT_MAX: got "8" (--draft-max), expected a flag that image latest knows (configs/capabilities/b11312.json, b11312, commit 0c1e57098bba43ac29e6e3b677cdceebdd22334f); ' +
          "write LLAMA_ARG_SPEC_DRAFT_N_MAX, which is its name there, or use image latest-fit or before-fit",
      ],
    ],
    [
      "defaults that are not written out, all at once",
      (text) => without("LLAMA_ARG_FIT")(without("LLAMA_ARG_KV_UNIFIED")(text)),
      [
        "LLAMA_ARG_FIT: got nothing, expected on or off; write it out: its default decides about memory, and differs between builds",
        "LLAMA_ARG_KV_UNIFIED: got nothing, expected on or off; write it out: its default decides about memory, and differs between builds",
      ],
    ],
  ])("fails on %s", (_name, change, lines) => {
    expect(configErrorLines(() => resolve(c7, change))).toEqual(lines.map((line) => `${file}: ${line}`));
  });

  it("fails on a sampling preset that the build can't be told", () => {
    const [line, ...rest] = configErrorLines(() =>
      resolve("s005-c8-q4km-fit", (text) => text.replace("MODEL=", "SAMPLING=thinking\nMODEL=")),
    );
    expect(rest).toEqual([]);
    expect(line).toMatch(
      /: SAMPLING: got "thinking", which sets LLAMA_ARG_TEMPERATURE, LLAMA_ARG_TOP_P, .+; remove it and let clients send the values$/,
    );
  });

  it("fails on GPU layers for an image without a GPU backend", () => {
    expect(configErrorLines(() => resolve("dev", (text) => text.replace("N_GPU_LAYERS=0", "N_GPU_LAYERS=99")))).toEqual([
      'configs/llama-cpp-dev.env: LLAMA_ARG_N_GPU_LAYERS: got "99", expected 0 with image debian, whose backend is cpu; set it to 0, or use an image with a GPU backend',
    ]);
  });

  it("fails on an image whose flags nobody recorded", () => {
    expect(configErrorLines(() => resolveProfile(parse("dev"), { ...surroundings, capabilities: {} }))).toEqual([
      "configs/llama-cpp-dev.env: IMAGE: got an image without configs/capabilities/b11669-debian.json, expected an image whose build's flags are on record; " +
        "make it with node scripts/config/capabilities.ts, once the image is built",
    ]);
  });

  it("warns, and goes on, where the list of flags is another pin's: the new one can be read only once it is built", () => {
    const { images } = surroundings;
    const latest = images["latest"];
    if (latest?.kind !== "source") throw new Error("latest is not built from source");
    const moved = { ...latest, source: { ...latest.source, ref: "b99999" } };
    expect(resolveProfile(parse(c7), { ...surroundings, images: { ...images, latest: moved } }).warnings).toEqual([
      "configs/capabilities/b11312.json: flags were checked against the list of 0c1e57098bba43ac29e6e3b677cdceebdd22334f, and image latest is pinned to b99999; " +
        "once it is built, run node scripts/config/capabilities.ts latest",
    ]);
  });

  it("looks no name up in the prototype", () => {
    expect(
      configErrorLines(() => resolveProfile({ ...parse("dev"), image: "constructor", model: "__proto__" }, surroundings)),
    ).toHaveLength(2);
  });
});
