/**
 * Damaged output of tools from a seeded generator: a reader takes it as a whole, sound reading or refuses it in words. Cannot prove: that no damage reads
 * as another, wrong number (a flipped digit is a number too); for perplexity the tool's own final estimate stands against that.
 */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseServerHelp } from "../../plan/config/capabilities.ts";
import { parseDeclared } from "../../plan/drift/declared.ts";
import { parseDifferences } from "../../plan/drift/differences.ts";
import { readPerplexityOutput, UnreadableOutput } from "../../plan/gates/perplexity-gate.ts";
import { readBuildFailure } from "../../plan/images/build-failure.ts";
import { parseBuildInfo } from "../../plan/images/build-info.ts";
import { readRemoteRefs, resolveRef } from "../../plan/images/remote-refs.ts";
import { readDistribution, readPackages } from "../../plan/images/sbom.ts";
import { damaged, fuzzSeed as seed } from "../fuzz/damage.ts";

const readFixture = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");
const perplexity = readFixture("../fixtures/llama-perplexity/b11669-debian.txt");
const help = readFixture("config/fixtures/llama-server-help-b11669.txt");
const buildInfo = {
  ...{ schema: 1, repo: "https://example.org/x", ref: "b8149", commit: "a".repeat(40), commitTime: 1, buildNumber: 8149, backend: "cpu" },
  ...{ compiler: "g++ 15", cmake: "4.1", cmakeArguments: ["-DX=1"], files: { "llama-server": "b".repeat(64) }, flags: ["-m"] },
  environment: ["LLAMA_ARG_MODEL"],
};
const urn = "urn:pulumi:dev::llm-server::docker:index/container:Container::server-1";
const envs = ["LLAMA_ARG_MODEL=/models/m.gguf"];
const step = { op: "update", urn, oldState: { type: "t", outputs: { envs } }, newState: { type: "t", outputs: {} } };
const refresh = { steps: [{ ...step, detailedDiff: { "envs[0]": { kind: "delete-replace" } } }] };
const state = {
  manifest: { time: "then" },
  resources: [{ urn, type: "docker:index/container:Container", id: "1", outputs: { name: "n", image: "sha256:1", envs } }],
};
const status = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.42-1\n\n".repeat(3);

/** Other readers, each with what it reads when all is well. */
const readers: Readonly<Record<string, { readonly read: (text: string) => unknown; readonly sample: string }>> = {
  "llama-server --help": { read: parseServerHelp, sample: help.slice(help.indexOf("-m,"), help.indexOf("-m,") + 1500) },
  "an image's build": { read: parseBuildInfo, sample: JSON.stringify(buildInfo) },
  "dpkg's status": { read: readPackages, sample: status },
  "os-release": { read: readDistribution, sample: 'PRETTY_NAME="Debian"\nID=debian\n' },
  "pulumi refresh": { read: parseDifferences, sample: JSON.stringify(refresh) },
  "pulumi stack export": { read: (text) => parseDeclared("dev", text), sample: JSON.stringify({ version: 3, deployment: state }) },
};
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

  it.each(Object.entries(readers))(
    "of %s is read or refused in words, and never by an accident of the reader",
    (_name, { read, sample }) => {
      expect(() => read(sample)).not.toThrow();
      let refused = 0;
      fc.assert(
        fc.property(damaged(sample), (text) => {
          try {
            read(text);
          } catch (error) {
            refused += 1;
            expect(error).toBeInstanceOf(Error);
            expect(error).not.toBeInstanceOf(TypeError);
            expect(error).not.toBeInstanceOf(RangeError);
            expect((error as Error).message).not.toBe("");
          }
        }),
        { seed, numRuns: 500 },
      );
      expect(refused).toBeGreaterThan(0);
    },
  );
});
