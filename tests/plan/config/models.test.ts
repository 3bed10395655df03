import { describe, expect, it } from "vitest";
import { modelFiles, parseModels, parseModelSource } from "../../../plan/config/models.ts";
import { configErrorLines, readProjectFile } from "./support.ts";

// Proves what the file may say; that a source still has the file only a download shows.

describe("parseModelSource", () => {
  it.each([
    ["hf:a/b-GGUF/c.gguf", { kind: "hf", repo: "a/b-GGUF", path: "c.gguf" }],
    ["hf:a/b/sub/c.gguf@main", { kind: "hf", repo: "a/b", path: "sub/c.gguf", rev: "main" }],
    ["https://example.org/x.gguf?download=true", { kind: "https", url: "https://example.org/x.gguf?download=true" }],
    ["file:/srv/models/x.gguf", { kind: "file", path: "/srv/models/x.gguf" }],
    ["pypi:some-pkg==1.0.0#*/data/*.part*", { kind: "pypi", package: "some-pkg", version: "1.0.0", members: "*/data/*.part*" }],
  ])("reads %s", (text, source) => {
    expect(parseModelSource(text)).toEqual({ ...source, text });
  });

  it.each([
    "",
    "hf:a/b",
    "hf:a/../b/c.gguf/..",
    "hf:a/b/../../c.gguf",
    "http://example.org/x.gguf",
    "https://user@example.org/x.gguf",
    "https://",
    "file:relative.gguf",
    "file:/a\nb",
    "pypi:pkg#*",
    "pypi:pkg==1.0",
    "s3:bucket/x",
  ])("refuses %j", (text) => {
    expect(parseModelSource(text)).toBeUndefined();
  });
});

const good = "family: f\n  file: a.gguf\n  sources: [file:/a.gguf]\n  license: l";
const model = (text: string): string => `m:\n  ${text}\n`;

describe("parseModels", () => {
  it("reads the committed file: the dev model, the four files of session 005, the two left over", () => {
    const models = parseModels(readProjectFile("configs/models.yaml"));
    expect(
      Object.entries(models).map(([id, { role, file, leftover, prunable }]) => [id, role, file ?? leftover, prunable !== undefined]),
    ).toEqual([
      ["gemma-3-270m-q4_k_m", "model", "gemma-3-270m-q4_k_m.gguf", false],
      ["qwen3.5-35b-a3b-q8_0", "model", "Qwen3.5-35B-A3B-Q8_0.gguf", false],
      ["qwen3.5-35b-a3b-q4_k_m", "model", "Qwen3.5-35B-A3B-Q4_K_M.gguf", false],
      ["qwen3.5-35b-a3b-ud-q4_k_xl", "model", "Qwen3.5-35B-A3B-UD-Q4_K_XL.gguf", true],
      ["qwen3.5-35b-a3b-mmproj-bf16", "mmproj", "mmproj-BF16.gguf", false],
      ["qwen3-next-80b-a3b-q8_0", "model", "Qwen3-Next-80B-A3B*.gguf", true],
      ["session-003-ud-q8_k_xl", "model", "UD-Q8_K_XL/*.gguf", true],
    ]);
    expect(models["gemma-3-270m-q4_k_m"]).toMatchObject({
      bytes: 253_113_024,
      sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
      sources: [{ kind: "hf" }, { kind: "pypi" }],
    });
  });

  it.each([
    [
      model(good.replace("  file: a.gguf\n", "")),
      "m: got none of them, expected one of file, parts or leftover; give one: parts for a split GGUF, leftover for files that are only to be pruned",
    ],
    [
      model(`${good}\n  leftover: x*.gguf\n  prunable: y`),
      "m: got file and leftover, expected one of file, parts or leftover; give one: parts for a split GGUF, leftover for files that are only to be pruned",
    ],
    [
      model("family: f\n  leftover: x\n  license: l"),
      "m: got a leftover without a reason, expected prunable beside leftover; say why it may be deleted",
    ],
    [
      model(good.replace("  sources: [file:/a.gguf]\n", "")),
      "m: got a file without sources, expected sources beside file; say where to fetch it",
    ],
    [
      model(good.replace("a.gguf", "../a.gguf")),
      'm.file: got "../a.gguf", expected a file name that ends in .gguf, without folders; write an allowed value',
    ],
    [model(`${good}\n  bytes: 0`), "m.bytes: got 0, expected a number > 0; write an allowed value"],
    [model(`${good}\n  sha256: ABC`), 'm.sha256: got "ABC", expected 64 hex digits in lower case; write an allowed value'],
    [
      model(good.replace("file:/a.gguf", "ftp://x")),
      'm.sources.0: got "ftp://x", expected hf:<owner>/<repo>/<path>[@<revision>], https://…, file:/<path> or pypi:<package>==<version>#<member glob>; write an allowed value',
    ],
    [
      model(`${good}\n  sah256: x`),
      "m.sah256: got an unknown key, expected keys family, role, file, sources, bytes, sha256, parts, leftover, license, note, prunable; did you mean sha256? else remove it",
    ],
    [`M M:\n  ${good}\n`, "M M: got that key, expected an id in lower case (a-z, 0-9, dot, dash, underscore); rename the key"],
  ])("fails on %j", (text, line) => {
    expect(configErrorLines(() => parseModels(text))).toContain(`configs/models.yaml: ${line}`);
  });

  it.each([
    ["a: 1\na: 2", "configs/models.yaml: line 2: got Map keys must be unique, expected YAML; mend the syntax"],
    ["", "configs/models.yaml: got null, expected a mapping; write an allowed value"],
    ["- a", "configs/models.yaml: got a list of 1, expected a mapping; write an allowed value"],
    [
      "a: !!js/function x",
      "configs/models.yaml: line 1: got Unresolved tag: tag:yaml.org,2002:js/function, expected YAML; mend the syntax",
    ],
    ["x".repeat((1 << 20) + 1), `configs/models.yaml: got ${(1 << 20) + 1} characters, expected at most ${1 << 20}; split it`],
  ])("fails on YAML that is none or more", (text, line) => {
    expect(configErrorLines(() => parseModels(text))).toEqual([line]);
  });

  it("ends hostile nesting and alias bombs in a few lines", () => {
    expect(configErrorLines(() => parseModels("[".repeat(5000)))).toHaveLength(20);
    const bomb = `a: &a [${"x,".repeat(100)}]\nb: &b [${"*a,".repeat(100)}]\nc: [${"*b,".repeat(100)}]\n`;
    expect(configErrorLines(() => parseModels(bomb))).toEqual([
      "configs/models.yaml: got Excessive alias count indicates a resource exhaustion attack, expected YAML; mend the syntax",
    ]);
  });
});

describe("modelFiles", () => {
  it("lists one file, the parts of a split model in order, or nothing of a leftover", () => {
    const models = parseModels(
      `${model(good)}split:\n  family: f\n  license: l\n  parts:\n    - { file: a-1.gguf, sources: [file:/1] }\n    - { file: a-2.gguf, sources: [file:/2], bytes: 5 }\nold:\n  family: f\n  license: l\n  leftover: x*\n  prunable: y\n`,
    );
    expect(modelFiles(models["m"]!).map(({ file }) => file)).toEqual(["a.gguf"]);
    expect(modelFiles(models["split"]!).map(({ file, bytes }) => [file, bytes])).toEqual([
      ["a-1.gguf", undefined],
      ["a-2.gguf", 5],
    ]);
    expect(modelFiles(models["old"]!)).toEqual([]);
  });
});
