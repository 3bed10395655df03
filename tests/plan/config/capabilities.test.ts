import { describe, expect, it } from "vitest";
import { knownVariables, parseCapabilities, parseServerHelp } from "../../../plan/config/capabilities.ts";
import { configErrorLines, readProjectFile, readSurroundings } from "./support.ts";

// Proves the reading of real help text of one build; the lists of the other builds were read with the same function.

const help = readProjectFile("tests/plan/config/fixtures/llama-server-help-b11669.txt");

describe("parseServerHelp", () => {
  it("reads Debian's help into the committed list", () => {
    expect(parseServerHelp(help)).toEqual(readSurroundings().capabilities["b11669-debian"]?.options);
  });

  it.each([
    [["-fa", "--flash-attn"], { env: "LLAMA_ARG_FLASH_ATTN" }],
    [["-kvu", "--kv-unified", "-no-kvu", "--no-kv-unified"], { env: "LLAMA_ARG_KV_UNIFIED" }],
    [["-ot", "--override-tensor"], { env: "LLAMA_ARG_OVERRIDE_TENSOR" }],
    [["-ngl", "--gpu-layers", "--n-gpu-layers"], { env: "LLAMA_ARG_N_GPU_LAYERS" }],
    [["--sleep-idle-seconds"], {}],
    [["--draft", "--draft-n", "--draft-max"], { env: "LLAMA_ARG_DRAFT_MAX", removed: true }],
    [["--spec-draft-hf", "-hfd", "-hfrd", "--hf-repo-draft"], { env: "LLAMA_ARG_SPEC_DRAFT_HF_REPO" }],
    [["--api-key"], { env: "LLAMA_API_KEY" }],
  ])("finds %j with its variable", (names, rest) => {
    expect(parseServerHelp(help)).toContainEqual({ names, ...rest });
  });

  it("takes no line of an explanation for an option", () => {
    const names = parseServerHelp(help).flatMap((option) => option.names);
    expect(names.filter((name) => !/^--?[A-Za-z][A-Za-z0-9.-]*$/.test(name))).toEqual([]);
    expect(new Set(names).size).toBe(names.length);
  });

  it("fails on the help of another program", () => {
    expect(() => parseServerHelp("usage: something\n-h, --help   print help\n")).toThrow(
      "no --model with LLAMA_ARG_MODEL in the text: expected what llama-server --help prints",
    );
  });
});

describe("the committed lists", () => {
  const { capabilities } = readSurroundings();

  it.each([
    ["4227c9be4", false],
    ["b8149", true],
    ["b11312", true],
    ["b11669-debian", true],
  ])("say that %s knows --fit: %s", (name, knows) => {
    expect(knownVariables(capabilities[name]!).has("LLAMA_ARG_FIT")).toBe(knows);
  });

  it("leave removed options out of what a build reads", () => {
    expect(knownVariables(capabilities["b11669-debian"]!).has("LLAMA_ARG_DRAFT_MAX")).toBe(false);
    expect(knownVariables(capabilities["b8149"]!).has("LLAMA_ARG_DRAFT_MAX")).toBe(true);
  });
});

describe("parseCapabilities", () => {
  it("fails on what is no list of options", () => {
    expect(configErrorLines(() => parseCapabilities('{"ref":"r","build":"b1","source":"s","options":[]}', "c.json"))).toEqual([
      "c.json: options: got a list of 0, expected >= 1 entries; write an allowed value",
    ]);
    expect(configErrorLines(() => parseCapabilities("{", "c.json"))[0]).toMatch(/^c\.json: got .+, expected JSON; make it again/);
  });
});
