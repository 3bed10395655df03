/**
 * Damaged output of tools from a seeded generator: a reader takes it as a whole, sound reading or refuses it in words. Cannot prove: that no damage reads
 * as another, wrong number (a flipped digit is a number too); for perplexity the tool's own final estimate stands against that.
 */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readPerplexityOutput, UnreadableOutput } from "../../plan/gates/perplexity-gate.ts";
import { readBuildFailure } from "../../plan/images/build-failure.ts";
import { readRemoteRefs, resolveRef } from "../../plan/images/remote-refs.ts";
import { damaged, fuzzSeed as seed } from "../fuzz/damage.ts";

const perplexity = readFileSync(new URL("../fixtures/llama-perplexity/b11669-debian.txt", import.meta.url), "utf8");
const refs = ["HEAD", "refs/heads/master", "refs/tags/b8149", "refs/tags/b8149^{}"]
  .map((ref, index) => `${String(index).repeat(40)}\t${ref}\n`)
  .join("");
const buildLog = `#5 [internal] load metadata for docker.io/library/debian:forky:
#5 ERROR: pull access denied, repository does not exist
#8 12.3 error: LLAMA_CPP_REF: b9999 not found in https://example.org/x; expected a tag or all 40 digits of a commit there
ERROR: failed to solve: exit code: 1
`;

describe("damaged output", () => {
  it("of llama-perplexity is refused with a reason, or has every chunk, positive and finite, up to the final estimate", () => {
    fc.assert(
      fc.property(damaged(perplexity), (text) => {
        try {
          const { chunks, finalPerplexity, finalError } = readPerplexityOutput(text, 4);
          expect(chunks).toHaveLength(4);
          expect([...chunks, finalPerplexity, finalError].every(Number.isFinite)).toBe(true);
          expect(Math.min(finalPerplexity, finalError)).toBeGreaterThan(0);
        } catch (error) {
          if (!(error instanceof UnreadableOutput)) throw error;
          expect(error.message).toMatch(/^llama-perplexity: /);
        }
      }),
      { seed, numRuns: 3000 },
    );
  });

  it("of llama-perplexity with digits enough for infinity is refused", () => {
    expect(() => readPerplexityOutput(perplexity.replace("[3]18.8816", `[3]${"9".repeat(400)}.0`), 4)).toThrow(
      "expected a positive decimal number",
    );
  });

  it("of git ls-remote is refused naming the line, or names only whole commits", () => {
    fc.assert(
      fc.property(damaged(refs), (text) => {
        try {
          const read = readRemoteRefs(text);
          for (const commit of [...read.branches.values(), ...read.tags.values()]) expect(commit).toMatch(/^[0-9a-f]{40}$/);
          expect(resolveRef(read, "no-such-ref")).toBeUndefined();
        } catch (error) {
          expect(String(error)).toMatch(/^Error: git ls-remote: got the line /);
        }
      }),
      { seed, numRuns: 2000 },
    );
  });

  it("of an image build still ends in one message and at most its last lines", () => {
    fc.assert(
      fc.property(damaged(buildLog), (text) => {
        const { message, lastLines } = readBuildFailure(text);
        expect(message).not.toBe("");
        expect(lastLines.length).toBeLessThanOrEqual(text.split("\n").length);
      }),
      { seed, numRuns: 1000 },
    );
  });
});
