import { describe, expect, it } from "vitest";
import { flagSpecs } from "../../../plan/config/flags.ts";
import { parseProfile } from "../../../plan/config/profile.ts";
import { refusalOf } from "../../../plan/config/refused-flags.ts";
import { profileErrorLines, profileText, testProfile } from "./support.ts";

// Proves which flags and which pairs of flags are refused, and how; that llama-server would stop on them is the sources' word.

describe("flags that a profile may not set", () => {
  it.each([
    ["LLAMA_ARG_MODEL", "a profile that leaves it to the server component"],
    ["LLAMA_ARG_HOST", "a profile that leaves it to the server component"],
    ["LLAMA_ARG_PORT", "a profile that leaves it to the server component"],
    ["LLAMA_ARG_ALIAS", "a profile that leaves it to the server component"],
    ["LLAMA_ARG_MMPROJ", "a profile that leaves it to the server component"],
    ["LLAMA_ARG_SPEC_DRAFT_MODEL", "a profile that leaves it to the server component"],
    ["LLAMA_API_KEY", "no key in a profile"],
    ["LLAMA_ARG_API_KEY_FILE", "no key in a profile"],
    ["LLAMA_ARG_SSL_KEY_FILE", "no TLS in the server"],
    ["LLAMA_ARG_MODEL_URL", "no downloads by the server"],
    ["LLAMA_ARG_HF_REPO", "no downloads by the server"],
    ["HF_TOKEN", "no downloads by the server"],
    ["LLAMA_ARG_ENDPOINT_PROPS", "no --props"],
    ["LLAMA_ARG_ENDPOINT_METRICS", "a profile that leaves endpoints"],
    ["LLAMA_ARG_SLOT_SAVE_PATH", "no paths that callers can read or write"],
    ["LLAMA_ARG_TOOLS", "no tools in the server"],
    ["LLAMA_ARG_AGENT", "no tools in the server"],
    ["LLAMA_ARG_MCP_SERVERS_JSON", "no tools in the server"],
    ["LLAMA_ARG_UI_MCP_PROXY", "no tools in the server"],
    ["LLAMA_ARG_MODELS_DIR", "no router mode"],
    ["LLAMA_ARG_MODELS_PRESET", "no router mode"],
    ["LLAMA_ARG_CONTEXT_SHIFT", "no --context-shift: CVE-2026-21869"],
    ["LLAMA_ARG_NO_CONTEXT_SHIFT", "no --context-shift: CVE-2026-21869"],
    ["LLAMA_ARG_SLEEP_IDLE_SECONDS", "no sleeping when idle: CVE-2026-43631"],
    ["LLAMA_ARG_RPC", "no RPC servers: CVE-2026-34159"],
    ["LLAMA_ARG_EMBEDDINGS", "a chat server"],
    ["LLAMA_ARG_TOP_K", "sampling by name"],
    ["LLAMA_ARG_SPEC_SYNTH_LEN", "no made-up acceptance"],
    ["LLAMA_ARG_NO_MMAP", "flags by their positive name"],
  ])("fails on %s: %s", (key, reason) => {
    const lines = profileErrorLines({ [key]: "canary1" });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`x.env: ${key}: got `);
    expect(lines[0]).toContain(`expected ${reason}`);
  });

  it("says nothing of a key's value", () => {
    expect(profileErrorLines({ LLAMA_API_KEY: "canary", HF_TOKEN: "canary" }).join("\n")).not.toContain("canary");
  });

  it("refuses no flag that the table allows", () => {
    expect([...flagSpecs.keys()].filter((env) => refusalOf(env) !== undefined)).toEqual([]);
  });
});

describe("rules between flags", () => {
  it.each<[string, Record<string, string>, string[]]>([
    [
      "a quantised V cache without flash attention",
      { LLAMA_ARG_CACHE_TYPE_V: "q8_0", LLAMA_ARG_FLASH_ATTN: "auto" },
      [
        "LLAMA_ARG_CACHE_TYPE_V: got q8_0 with LLAMA_ARG_FLASH_ATTN=auto, expected a quantised V cache with flash attention on; set LLAMA_ARG_FLASH_ATTN=on",
      ],
    ],
    [
      "--fit with a placement by hand",
      { LLAMA_ARG_FIT: "on", LLAMA_ARG_N_CPU_MOE: "24", LLAMA_ARG_N_GPU_LAYERS: "999", LLAMA_ARG_TENSOR_SPLIT: "3,1" },
      [
        "LLAMA_ARG_N_CPU_MOE: got 24 with LLAMA_ARG_FIT=on, expected either --fit or a placement by hand; remove it, or set LLAMA_ARG_FIT=off",
        "LLAMA_ARG_TENSOR_SPLIT: got 3,1 with LLAMA_ARG_FIT=on, expected either --fit or a placement by hand; remove it, or set LLAMA_ARG_FIT=off",
        "LLAMA_ARG_N_GPU_LAYERS: got 999 with LLAMA_ARG_FIT=on, expected auto: --fit gives up on a number; set LLAMA_ARG_N_GPU_LAYERS=auto, or LLAMA_ARG_FIT=off",
      ],
    ],
    [
      "a margin for --fit without --fit",
      { LLAMA_ARG_FIT: "off", LLAMA_ARG_FIT_TARGET: "256" },
      ["LLAMA_ARG_FIT_TARGET: got 256 without --fit, expected it with LLAMA_ARG_FIT=on only; remove it, or set LLAMA_ARG_FIT=on"],
    ],
    [
      "draft options without a draft model",
      { LLAMA_ARG_SPEC_DRAFT_N_MAX: "8", LLAMA_ARG_N_GPU_LAYERS_DRAFT: "99", LLAMA_ARG_DRAFT_MIN: "1" },
      [
        "LLAMA_ARG_SPEC_DRAFT_N_MAX: got 8 without a draft model, expected draft options with a draft model only; set DRAFT_MODEL, or remove it",
        "LLAMA_ARG_N_GPU_LAYERS_DRAFT: got 99 without a draft model, expected draft options with a draft model only; set DRAFT_MODEL, or remove it",
        "LLAMA_ARG_DRAFT_MIN: got 1 without a draft model, expected draft options with a draft model only; set DRAFT_MODEL, or remove it",
      ],
    ],
    [
      "vision options without an encoder",
      { LLAMA_ARG_MMPROJ_OFFLOAD: "off" },
      ["LLAMA_ARG_MMPROJ_OFFLOAD: got off without MMPROJ, expected vision options with a vision encoder only; set MMPROJ, or remove it"],
    ],
    [
      "both ways to keep experts on the CPU",
      { LLAMA_ARG_CPU_MOE: "on", LLAMA_ARG_N_CPU_MOE: "4" },
      ["LLAMA_ARG_N_CPU_MOE: got 4 with LLAMA_ARG_CPU_MOE=on, expected one of the two: --cpu-moe means all layers; remove one"],
    ],
    [
      "a ubatch above the batch",
      { LLAMA_ARG_UBATCH: "1024" },
      ["LLAMA_ARG_UBATCH: got 1024, expected at most LLAMA_ARG_BATCH, which is 512 (tokens); lower it, or raise LLAMA_ARG_BATCH"],
    ],
    [
      "more slots than the context has blocks for",
      { LLAMA_ARG_CTX_SIZE: "512", LLAMA_ARG_N_PARALLEL: "3", LLAMA_ARG_KV_UNIFIED: "off" },
      [
        "LLAMA_ARG_CTX_SIZE: got 512, expected at least 256 tokens for each of 3 slots; raise it, lower LLAMA_ARG_N_PARALLEL, or set LLAMA_ARG_KV_UNIFIED=on",
      ],
    ],
    [
      "a template's name where Jinja wants the template",
      { LLAMA_ARG_CHAT_TEMPLATE: "gemma" },
      [
        'LLAMA_ARG_CHAT_TEMPLATE: got "gemma" with LLAMA_ARG_JINJA=on, expected a Jinja template: that word itself would be sent to the model; write the template out, or set LLAMA_ARG_JINJA=off',
      ],
    ],
    [
      "a Jinja template without Jinja",
      { LLAMA_ARG_CHAT_TEMPLATE: "{{ x }}", LLAMA_ARG_JINJA: "off" },
      [
        "LLAMA_ARG_CHAT_TEMPLATE: got a Jinja template with LLAMA_ARG_JINJA=off, expected the name of a built-in template; set LLAMA_ARG_JINJA=on",
      ],
    ],
    [
      "reuse of a cache that is off",
      { LLAMA_ARG_CACHE_REUSE: "256", LLAMA_ARG_CACHE_PROMPT: "off" },
      ["LLAMA_ARG_CACHE_REUSE: got 256 with LLAMA_ARG_CACHE_PROMPT=off, expected 0 without the prompt cache; remove one"],
    ],
  ])("fails on %s", (_name, changes, lines) => {
    expect(profileErrorLines(changes)).toEqual(lines.map((line) => `x.env: ${line}`));
  });

  it.each<[string, Record<string, string>]>([
    ["a quantised V cache with flash attention", { LLAMA_ARG_CACHE_TYPE_V: "q4_0" }],
    ["a quantised K cache without", { LLAMA_ARG_CACHE_TYPE_K: "q8_0", LLAMA_ARG_FLASH_ATTN: "off" }],
    [
      "--fit that places alone",
      { LLAMA_ARG_FIT: "on", LLAMA_ARG_N_GPU_LAYERS: "auto", LLAMA_ARG_FIT_TARGET: "1024", LLAMA_ARG_CPU_MOE: "off" },
    ],
    ["draft options with a draft model", { DRAFT_MODEL: "small", LLAMA_ARG_SPEC_DRAFT_N_MAX: "8" }],
    ["draft options with the model's own MTP layer", { LLAMA_ARG_SPEC_TYPE: "draft-mtp", LLAMA_ARG_SPEC_DRAFT_N_MAX: "3" }],
    ["a built-in template without Jinja", { LLAMA_ARG_CHAT_TEMPLATE: "gemma", LLAMA_ARG_JINJA: "off" }],
    ["slots that share the context", { LLAMA_ARG_CTX_SIZE: "512", LLAMA_ARG_N_PARALLEL: "64", LLAMA_ARG_KV_UNIFIED: "on" }],
  ])("accept %s", (_name, changes) => {
    expect(parseProfile(profileText(changes), testProfile).flags).toMatchObject(
      Object.fromEntries(Object.entries(changes).filter(([key]) => key.startsWith("LLAMA_ARG_"))),
    );
  });
});
