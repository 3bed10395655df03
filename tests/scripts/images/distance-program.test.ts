import { execa } from "execa";
import { describe, expect, it } from "vitest";

/* The program as a preview starts it. The distance itself: tests/plan/images; upstream is never asked here. */

const run = (...args: string[]) => execa(process.execPath, ["scripts/images/distance-program.ts", ...args], { reject: false });

describe("distance-program", () => {
  it("prints null for an image that is not built from source", async () => {
    const { exitCode, stdout, stderr } = await run("debian");
    expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: "null", stderr: "" });
  });

  it("fails for an unknown image, naming those there are", async () => {
    const { exitCode, stdout, stderr } = await run("newest");
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
    expect(stderr).toMatch(/^image: got newest, expected one of debian, latest, /);
  });

  it("fails without an image", async () => {
    const { exitCode, stderr } = await run();
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: "usage: distance-program.ts IMAGE" });
  });
});
