import { describe, expect, it } from "vitest";
import { describeBuildFailure, readBuildFailure } from "../../../plan/images/build-failure.ts";

/* Lines as docker 20.10's BuildKit prints them with --progress=plain. Newer clients' lines: as far as their documentation shows them. */

const failing = (line: string) =>
  `#9 [arguments 3/3] RUN build-llama-cpp.sh check\n#9 sha256:4aa420\n#9 0.627 ${line}\n#9 ERROR: executor failed running [/bin/sh -c x]: exit code: 3\n------\n > [arguments 3/3] RUN build-llama-cpp.sh check:\n#9 0.627 ${line}\n------\n`;

describe("readBuildFailure", () => {
  it.each([
    ["arguments", "error: BACKEND: got 'rocm', expected cpu, cuda or vulkan", "BACKEND: got 'rocm', expected cpu, cuda or vulkan"],
    ["source", "error: LLAMA_CPP_REF: b1 not found in git://x; expected a tag", "LLAMA_CPP_REF: b1 not found in git://x; expected a tag"],
    [
      "host",
      "error: LLAMA_CPP_REPO: git://x can't be reached from the build; check",
      "LLAMA_CPP_REPO: git://x can't be reached from the build; check",
    ],
    ["compile", "error: llama.cpp b1 failed while compiled for BACKEND=cpu", "llama.cpp b1 failed while compiled for BACKEND=cpu"],
    [
      "host",
      "error: no space: 3 MiB left in /src/build while llama.cpp was compiled",
      "no space: 3 MiB left in /src/build while llama.cpp was compiled",
    ],
  ])("takes the script's own message once, as %s", (kind, line, message) => {
    expect(readBuildFailure(failing(line))).toMatchObject({ kind, message });
  });

  it.each([
    ["write /var/lib/docker/overlay2/x: no space left on device", "host", /has no space left/],
    ["Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?", "host", /start it/],
    ["ERROR: BuildKit is enabled but the buildx component is missing or broken.", "host", /has no BuildKit/],
    [
      "failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error line 2: unknown instruction: RUNN",
      "arguments",
      /unknown instruction: RUNN/,
    ],
    ["c++: fatal error: Killed signal terminated program cc1plus", "compile", /last lines/],
  ])("reads %s", (line, kind, message) => {
    const failure = readBuildFailure(`${line}\n`);
    expect(failure.kind).toBe(kind);
    expect(failure.message).toMatch(message);
    expect(failure.lastLines).toEqual([line]);
  });

  it("shows the builder's last lines without BuildKit's step prefix", () => {
    expect(readBuildFailure("#12 15.1 src/x.cpp:3: error: expected ';'\n#12 15.2 ninja: build stopped\n").lastLines).toEqual([
      "src/x.cpp:3: error: expected ';'",
      "ninja: build stopped",
    ]);
  });

  it("leaves out what says nothing of a failure", () => {
    const noise = `#5 sha256:${"a".repeat(64)}\n#5 CACHED\n#6 DONE 0.1s\n------\n`;
    expect(readBuildFailure(`${noise}#7 1.2 make: no rule\n`).lastLines).toEqual(["make: no rule"]);
  });
});

describe("describeBuildFailure", () => {
  const failure = { kind: "source", message: "b1 not found; pin again", lastLines: ["fatal: no b1"] } as const;

  it("ends with the cause, what to do, and what serves", () => {
    expect(describeBuildFailure("a:b", failure, "abc")).toBe(
      "a:b could not be built; the builder's last lines:\n  | fatal: no b1\nb1 not found; pin again\nnothing was stopped: release abc serves",
    );
    expect(describeBuildFailure("a:b", failure, null)).toMatch(/\nnothing was stopped; no release served before$/);
  });
});
