import { describe, expect, it } from "vitest";
import { parseBuildInfo } from "../../../plan/images/build-info.ts";

/* The file's form. That real builds write it so: tests/integration/image-build.test.ts and tests/images. */

const info = {
  schema: 1,
  repo: "https://example.invalid/llama.cpp",
  ref: "b8149",
  commit: "a".repeat(40),
  commitTime: 1_790_820_708,
  buildNumber: 8149,
  backend: "cuda",
  compiler: "c++ (Debian 16.2.0-3) 16.2.0",
  cmake: "4.3.4",
  cmakeArguments: ["-GNinja"],
  files: { "llama-server": "b".repeat(64) },
  flags: ["-c", "--ctx-size"],
  environment: ["LLAMA_ARG_CTX_SIZE", "HF_TOKEN"],
};

describe("parseBuildInfo", () => {
  it("reads what a build wrote", () => {
    expect(parseBuildInfo(JSON.stringify(info))).toEqual(info);
  });

  it.each([
    ["an unknown key", { ...info, when: "today" }],
    ["a short commit", { ...info, commit: "0c1e57098" }],
    ["another backend", { ...info, backend: "rocm" }],
    ["a flag without a dash", { ...info, flags: ["ctx-size"] }],
    ["a file without its hash", { ...info, files: { "llama-server": "" } }],
    ["another schema", { ...info, schema: 2 }],
  ])("fails on %s, naming the file", (_name, broken) => {
    expect(() => parseBuildInfo(JSON.stringify(broken))).toThrow(/^\/usr\/share\/llm-server\/build\.json: /);
  });
});
