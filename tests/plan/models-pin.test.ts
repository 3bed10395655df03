import { describe, expect, it } from "vitest";
import { pinModel } from "../../plan/models/pin.ts";

const sha256 = "ab".repeat(32);
const text = `# models
small:
  family: small
  file: small.gguf # the one
  sources:
    - https://example.org/small.gguf
  license: none
pinned:
  family: small
  file: pinned.gguf
  sources: [https://example.org/pinned.gguf]
  bytes: 7
  sha256: ${"cd".repeat(32)}
  license: none
`;

describe("pinModel", () => {
  it("adds size and checksum after the sources and leaves everything else as it was", () => {
    const added = `    - https://example.org/small.gguf\n  bytes: 12\n  sha256: ${sha256}\n`;
    expect(pinModel(text, "small", { bytes: 12, sha256 })).toBe(text.replace("    - https://example.org/small.gguf\n", added));
  });

  it("changes nothing where the file says so already", () => {
    expect(pinModel(text, "pinned", { bytes: 7, sha256: "cd".repeat(32) })).toBeUndefined();
  });

  it("fails on a file with another checksum than the pinned one: a pin is not moved by a replaced file", () => {
    expect(() => pinModel(text, "pinned", { bytes: 7, sha256 })).toThrow(
      `pinned.sha256: got ${"cd".repeat(32)}, and the file in the volume has ${sha256}`,
    );
  });

  it("fails on a model that there is not, naming those that there are", () => {
    expect(() => pinModel(text, "smal", { bytes: 7, sha256 })).toThrow("model: got smal, expected one of small, pinned");
  });
});
