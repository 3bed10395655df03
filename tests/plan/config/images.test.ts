import { describe, expect, it } from "vitest";
import { buildNumber, parseImages } from "../../../plan/config/images.ts";
import { configErrorLines, readProjectFile } from "./support.ts";

// Proves what the file may say; that a ref or a base image still exists only a build shows.

const committed = readProjectFile("configs/images.yaml");
const source = `x:
  kind: source
  description: d
  dockerfile: docker/Dockerfile.llama-cpp
  backend: cpu
  source: { repo: "git://host/x", ref: b100, pinnedAt: 2026-01-01 }
  baseImages: { build: "debian:forky", runtime: "debian:forky" }
  capabilities: c
`;

describe("parseImages", () => {
  it("reads the committed file with its pins", () => {
    const images = parseImages(committed);
    expect(
      Object.entries(images).map(([name, image]) => [name, image.backend, image.kind === "source" ? image.source.ref : image.build]),
    ).toEqual([
      ["debian", "cpu", 11669],
      ["latest", "cuda", "0c1e57098bba43ac29e6e3b677cdceebdd22334f"],
      ["latest-fit", "cuda", "b8149"],
      ["before-fit", "cuda", "4227c9be4268ac844921b90f31595f81236bd317"],
    ]);
  });

  it("pins each base that a registry has by its digest; debian:forky may be one that set-up made of packages, which has none", () => {
    for (const [name, { baseImages }] of Object.entries(parseImages(committed)))
      for (const base of Object.values(baseImages)) expect(base, name).toMatch(/^debian:forky$|@sha256:[0-9a-f]{64}$/);
  });

  it.each([
    [
      "ref: b100",
      'ref: "a branch"',
      'x.source.ref: got "a branch", expected a full commit (40 hex digits) or a tag such as b8149; write an allowed value',
    ],
    [
      'repo: "git://host/x"',
      "repo: host:x",
      'x.source.repo: got "host:x", expected a git URL (https, http, git or file); write an allowed value',
    ],
    [
      "git://host/x",
      "https://user:canary@host/x",
      "x.source.repo: got one with credentials (not shown), expected a git URL without credentials: it is kept in images, labels and the state; remove what stands before @, and make another one, because this was readable",
    ],
    ["2026-01-01", "today", 'x.source.pinnedAt: got "today", expected a date, YYYY-MM-DD; write an allowed value'],
    ["ref: b100,", "", "x.source.ref: got nothing, expected text; add it"],
    [
      "ref: b100",
      `ref: ${"a".repeat(40)}, commit: ${"b".repeat(40)}`,
      `x.source.commit: got "${"b".repeat(40)}", expected ${"a".repeat(40)}, as ref says; remove it: ref is a commit`,
    ],
    [
      "backend: cpu",
      "backend: cuda",
      "x.cudaArchitectures: got nothing, expected CUDA architectures with backend cuda; list the compute capabilities of your GPUs, e.g. 89;120",
    ],
    [
      "backend: cpu",
      'backend: cpu\n  cudaArchitectures: "89"',
      'x.cudaArchitectures: got "89", expected nothing with backend cpu; remove it',
    ],
    ["backend: cpu", "backend: metal", 'x.backend: got "metal", expected cpu, cuda or vulkan; write an allowed value'],
    ["kind: source", "kind: sauce", 'x.kind: got "sauce", expected kind source or debian; write an allowed value'],
    ["  capabilities: c\n", "", "x.capabilities: got nothing, expected text; add it"],
  ])("fails when %s becomes %s", (from, to, line) => {
    expect(configErrorLines(() => parseImages(source.replace(from, to)))).toEqual([`configs/images.yaml: ${line}`]);
  });
});

describe("buildNumber", () => {
  it("is the packages', the pin's or the tag's own, and never guessed", () => {
    const images = parseImages(committed);
    expect(Object.fromEntries(Object.entries(images).map(([name, image]) => [name, buildNumber(image)]))).toEqual({
      debian: 11669,
      latest: 11312,
      "latest-fit": 8149,
      "before-fit": undefined,
    });
  });
});
