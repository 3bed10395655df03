import { describe, expect, it } from "vitest";
import { flagSpecs, writtenOutFlags } from "../../../plan/config/flags.ts";
import { parseProfile } from "../../../plan/config/profile.ts";
import { configErrorLines, profileErrorLines, profileText, readSurroundings, testProfile } from "./support.ts";

// Proves what single entries of a file are refused for; profile-rules.test.ts has relations between flags, resolve-profile.test.ts other files.
// Not that llama-server agrees with a range.

describe("parseProfile", () => {
  it("returns names, canonical flags and the comment above the first entry", () => {
    const text = `# What it is for.\n#\n# What was learned.\n${profileText({ MMPROJ: "eye", DRAFT_MODEL: "small", SAMPLING: "thinking", LLAMA_ARG_KV_UNIFIED: "1", LLAMA_ARG_CTX_SIZE: "08192" })}# not this\n`;
    expect(parseProfile(text, testProfile)).toEqual({
      id: "x",
      image: "latest",
      model: "some-model",
      mmproj: "eye",
      draft: "small",
      sampling: "thinking",
      description: "What it is for.  What was learned.",
      flags: {
        LLAMA_ARG_CTX_SIZE: "8192",
        LLAMA_ARG_N_PARALLEL: "2",
        LLAMA_ARG_BATCH: "512",
        LLAMA_ARG_UBATCH: "512",
        LLAMA_ARG_N_GPU_LAYERS: "99",
        LLAMA_ARG_CACHE_TYPE_K: "f16",
        LLAMA_ARG_CACHE_TYPE_V: "f16",
        LLAMA_ARG_FLASH_ATTN: "on",
        LLAMA_ARG_JINJA: "on",
        LLAMA_ARG_KV_UNIFIED: "on",
      },
    });
  });

  it("fails on an empty file with everything that a profile must say", () => {
    expect(configErrorLines(() => parseProfile("", testProfile))).toMatchInlineSnapshot(`
      [
        "x.env: IMAGE: got nothing, expected a name; name an entry of configs/images.yaml",
        "x.env: MODEL: got nothing, expected a name; name an entry of configs/models.yaml",
        "x.env: LLAMA_ARG_CTX_SIZE: got nothing, expected an integer from 256 to 16777216 (tokens); write it out: its default decides about memory or speed, or changed between builds",
        "x.env: LLAMA_ARG_N_PARALLEL: got nothing, expected an integer from 1 to 256 (slots); write it out: its default decides about memory or speed, or changed between builds",
        "x.env: LLAMA_ARG_BATCH: got nothing, expected an integer from 32 to 1048576 (tokens); write it out: its default decides about memory or speed, or changed between builds",
        "x.env: LLAMA_ARG_UBATCH: got nothing, expected an integer from 32 to 1048576 (tokens); write it out: its default decides about memory or speed, or changed between builds",
        "x.env: LLAMA_ARG_N_GPU_LAYERS: got nothing, expected an integer from 0 to 999 (layers) or auto or all; write it out: its default decides about memory or speed, or changed between builds",
        "x.env: LLAMA_ARG_CACHE_TYPE_K: got nothing, expected f32, f16, bf16, q8_0, q4_0, q4_1, iq4_nl, q5_0, q5_1; write it out: its default decides about memory or speed, or changed between builds",
        "x.env: LLAMA_ARG_CACHE_TYPE_V: got nothing, expected f32, f16, bf16, q8_0, q4_0, q4_1, iq4_nl, q5_0, q5_1; write it out: its default decides about memory or speed, or changed between builds",
        "x.env: LLAMA_ARG_FLASH_ATTN: got nothing, expected on, off or auto; write it out: its default decides about memory or speed, or changed between builds",
        "x.env: LLAMA_ARG_JINJA: got nothing, expected on or off; write it out: its default decides about memory or speed, or changed between builds",
      ]
    `);
  });

  it.each([
    ["LLAMA_ARG_CTX_SIZE", "12", 'got "12", expected an integer from 256 to 16777216 (tokens); set --ctx-size to an allowed value'],
    ["LLAMA_ARG_CTX_SIZE", "0", 'got "0", expected an integer from 256 to 16777216 (tokens); set --ctx-size to an allowed value'],
    ["LLAMA_ARG_CTX_SIZE", "4k", 'got "4k", expected an integer from 256 to 16777216 (tokens); set --ctx-size to an allowed value'],
    ["LLAMA_ARG_N_PARALLEL", "-1", 'got "-1", expected an integer from 1 to 256 (slots); set --parallel to an allowed value'],
    [
      "LLAMA_ARG_N_GPU_LAYERS",
      "most",
      'got "most", expected an integer from 0 to 999 (layers) or auto or all; set --n-gpu-layers to an allowed value',
    ],
    [
      "LLAMA_ARG_CACHE_TYPE_K",
      "q8",
      'got "q8", expected f32, f16, bf16, q8_0, q4_0, q4_1, iq4_nl, q5_0, q5_1; set --cache-type-k to an allowed value',
    ],
    ["LLAMA_ARG_FLASH_ATTN", "yes", 'got "yes", expected on, off or auto; set --flash-attn to an allowed value'],
    ["LLAMA_ARG_JINJA", "auto", 'got "auto", expected on or off; set --jinja to an allowed value'],
    [
      "LLAMA_ARG_TENSOR_SPLIT",
      "3;1",
      'got "3;1", expected numbers >= 0 (share) split by commas, one per device; set --tensor-split to an allowed value',
    ],
    [
      "LLAMA_ARG_CACHE_RAM",
      "-2",
      'got "-2", expected an integer >= -1 (MiB; -1 means no limit, 0 none); set --cache-ram to an allowed value',
    ],
    [
      "LLAMA_ARG_DEVICE",
      "CUDA 0",
      'got "CUDA 0", expected none, or device names split by commas, e.g. CUDA0,CUDA1; set --device to an allowed value',
    ],
    [
      "MODEL",
      "Some Model",
      'got "Some Model", expected a name in lower case (a-z, 0-9, dot, dash, underscore); name an entry of configs/models.yaml',
    ],
    ["IMAGE", "../x", 'got "../x", expected a name in lower case (a-z, 0-9, dot, dash, underscore); name an entry of configs/images.yaml'],
    ["SAMPLING", "A", 'got "A", expected a name in lower case (a-z, 0-9, dot, dash, underscore); name an entry of configs/sampling.yaml'],
  ])("fails on %s=%s", (key, value, rest) => {
    expect(profileErrorLines({ [key]: value })).toEqual([`x.env: ${key}: ${rest}`]);
  });

  it.each([
    ["LLAMA_ARG_CTXSIZE", "LLAMA_ARG_CTX_SIZE"],
    ["DRAFT", undefined],
    ["MODLE", "MODEL"],
    ["LLAMA_ARG_NCPU_MOE", "LLAMA_ARG_N_CPU_MOE"],
  ])("fails on the unknown key %s, suggesting %s", (key, near) => {
    const fix = near === undefined ? "remove it" : `did you mean ${near}? else remove it`;
    expect(profileErrorLines({ [key]: "1" })).toEqual([
      `x.env: ${key}: got an unknown key, expected IMAGE, MODEL, MMPROJ, DRAFT_MODEL, SAMPLING or a flag of plan/config/flags.ts; ${fix}`,
    ]);
  });

  it.each([...writtenOutFlags, "IMAGE", "MODEL"])("fails without %s", (key) => {
    const lines = profileErrorLines({ [key]: undefined });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(new RegExp(`^x\\.env: ${key}: got nothing, expected .+; (write it out|name an entry)`));
  });
});

describe("the table of flags", () => {
  it("names flags as some build on record does: no entry is a misspelling", () => {
    const { capabilities } = readSurroundings();
    const known = new Map(Object.values(capabilities).flatMap(({ options: list }) => list.map(({ env, names }) => [env, names] as const)));
    const wrong = [...flagSpecs.values()].filter(({ env, name, formerly }) => {
      const names = known.get(env);
      return !(names?.includes(name) ?? false) && !formerly.some((other) => known.has(other));
    });
    expect(wrong).toEqual([]);
  });

  it("gives canonical values that are canonical again", () => {
    const samples = ["0", "1", "007", "-1", "on", "true", "off", "auto", "all", "f16", "3,1", "0.50", "none", "{{ x }}", "draft-mtp"];
    for (const { value } of flagSpecs.values()) {
      for (const sample of samples) {
        const once = value.canonical(sample);
        if (once !== undefined) expect(value.canonical(once)).toBe(once);
      }
    }
  });
});
