import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

// Proves how the program refuses; what it reads from an image needs Docker and is not shown here.

const script = fileURLToPath(new URL("../../../scripts/config/capabilities.ts", import.meta.url));

/** Exit code and standard error of the program. */
function run(...args: string[]): { code: number | null; stderr: string; stdout: string } {
  const { status, stderr, stdout } = spawnSync(process.execPath, [script, ...args], { encoding: "utf8" });
  return { code: status, stderr, stdout };
}

describe("capabilities", () => {
  it("fails on an image that configs/images.yaml doesn't have", () => {
    expect(run("newest")).toEqual({ code: 1, stdout: "", stderr: "image: got newest, expected a name of configs/images.yaml\n" });
  });

  it("fails on a text of which nobody says where it is from", () => {
    expect(run("debian", "--help-text", "help.txt")).toEqual({
      code: 1,
      stdout: "",
      stderr: "--help-text: got no --build and --source, expected both: a text does not say where it is from\n",
    });
  });

  it("fails on a text that is no help of llama-server, and writes nothing", () => {
    const result = run("debian", "--help-text", script, "--build", "b1", "--source", "x");
    expect(result).toEqual({
      code: 1,
      stdout: "",
      stderr: "no --model with LLAMA_ARG_MODEL in the text: expected what llama-server --help prints\n",
    });
  });
});
