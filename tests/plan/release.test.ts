import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson, releaseId } from "../../plan/release.ts";

const identity = {
  image: "a",
  models: { model: "b" },
  flags: { LLAMA_ARG_CTX_SIZE: "4096", LLAMA_ARG_UBATCH: "512" },
  servers: [{ memoryMiB: 2048 }],
};

describe("releaseId", () => {
  it("is ten hex digits and stays the same between versions of this project", () => {
    expect(releaseId(identity)).toBe("4b5fcdf4b5");
  });

  it("does not depend on the order of keys", () => {
    const flags = { LLAMA_ARG_UBATCH: "512", LLAMA_ARG_CTX_SIZE: "4096" };
    expect(releaseId({ ...identity, flags })).toBe(releaseId(identity));
  });

  it.each([
    ["image", { ...identity, image: "other" }],
    ["model", { ...identity, models: { model: "other" } }],
    ["flag", { ...identity, flags: { ...identity.flags, LLAMA_ARG_UBATCH: "1024" } }],
    ["limit", { ...identity, servers: [{ memoryMiB: 4096 }] }],
  ])("changes with another %s", (_what, other) => {
    expect(releaseId(other)).not.toBe(releaseId(identity));
  });
});

describe("canonicalJson", () => {
  it("reads back as the same value, whatever the order of keys", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => canonicalJson(JSON.parse(canonicalJson(value))) === canonicalJson(value)),
      { seed: 7 },
    );
  });
});
