/**
 * Committed header digests. Cannot prove: that the reconstructed ones equal the headers of the real files, which nobody here has; they say so themselves.
 */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseHeaderDigest, planHeaderDigest } from "../../plan/gguf/digest.ts";
import { parseGgufHeader } from "../../plan/gguf/parse.ts";
import type { GgufHeader } from "../../plan/gguf/types.ts";
import { encodeDigestModel, encodeGguf, type HeaderOnlyModel } from "../../plan/gguf/write.ts";
import { gemma3Swa, llamaGqa, qwen35moe, qwen3Moe } from "../support/model-shapes.ts";

const folder = new URL("../../configs/headers/", import.meta.url);
const committed = readdirSync(folder).map((file) => ({
  file,
  json: JSON.parse(readFileSync(new URL(file, folder), "utf8")) as { source: string },
}));

function headerOf(model: HeaderOnlyModel, source = "model"): GgufHeader {
  const { header, fileBytes } = encodeGguf(model);
  return parseGgufHeader({ prefix: header, fileBytes, source });
}
const byName = (header: GgufHeader): GgufHeader => ({
  ...header,
  tensors: [...header.tensors].sort((a, b) => a.name.localeCompare(b.name)),
});

describe("header digests", () => {
  it.each([
    ["Qwen3.5 Q8_0", qwen35moe("Q8_0")],
    ["Qwen3.5 Q4_K_M with MTP", qwen35moe("Q4_K_M", { mtp: true })],
    ["llama", llamaGqa()],
    ["qwen3moe", qwen3Moe()],
    ["gemma3", gemma3Swa()],
  ])("keep every tensor and number of %s in a few kilobytes", (_, model) => {
    const header = headerOf(model);
    const digest = planHeaderDigest(header);
    expect(JSON.stringify(digest).length).toBeLessThan(6000);
    expect(byName(parseHeaderDigest(JSON.parse(JSON.stringify(digest))))).toEqual(byName(header));
  });

  it.each(committed)("$file parses and says where it is from", ({ json }) => {
    const header = parseHeaderDigest(json);
    expect(header.source).toMatch(/^(reconstructed from |\S+.* sha256 [0-9a-f]{64})/);
    expect(header.requiredFileBytes).toBeLessThanOrEqual(header.fileBytes);
    expect(header.tensors.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(header.fileBytes);
  });

  it.each([
    ["qwen3.5-35b-a3b-q8_0.json", "Q8_0", 36_896_805_024],
    ["qwen3.5-35b-a3b-q4_k_m.json", "Q4_K_M", 21_162_512_544],
  ] as const)("%s is what the published shapes of %s give", (file, quant, fileBytes) => {
    const json = committed.find((entry) => entry.file === file)!.json;
    expect(planHeaderDigest(headerOf(qwen35moe(quant), json.source))).toEqual(json);
    expect(parseHeaderDigest(json).fileBytes).toBe(fileBytes);
  });

  it("make a model file that the engine can plan from, with the same shapes", () => {
    const header = parseHeaderDigest(committed.find(({ file }) => file.startsWith("gemma"))!.json);
    const { header: bytes, fileBytes } = encodeDigestModel(header);
    const again = parseGgufHeader({ prefix: bytes, fileBytes, source: header.source });
    expect(byName(again).tensors).toEqual(byName(header).tensors);
    expect(again.vocabSize).toBe(header.vocabSize);
  });

  it("fail with every issue at once", () => {
    const broken = { ...committed[0]!.json, digestVersion: 2, tensors: [{ role: "x", type: "Q9", shape: [0] }], extra: 1 };
    expect(() => parseHeaderDigest(broken)).toThrow(/digestVersion[\s\S]*unknown ggml type[\s\S]*extra/);
  });
});
