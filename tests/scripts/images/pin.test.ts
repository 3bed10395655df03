import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StandInRepo } from "../../support/stand-in-repo.ts";
import { pinCommand, pinImage } from "../../../scripts/images/pin.ts";
import { imageDistance } from "../../../scripts/images/upstream-distance.ts";

/* Real git against a repository in a folder. Doesn't prove anything about a server across a network, nor about upstream's own tags. */

let repo: StandInRepo;
let folder: string;
let file: string;
let head: string;

const imagesYaml = (url: string, ref: string) => `# pins
latest:
  kind: source # from source
  description: a test
  dockerfile: docker/Dockerfile.llama-cpp
  backend: cpu
  source:
    repo: ${url}
    ref: ${ref}
    pinnedAt: 2026-01-01
  baseImages: { build: debian:forky, runtime: debian:forky }
  capabilities: test
`;

beforeEach(async () => {
  repo = await StandInRepo.create();
  await repo.git("tag", "b1");
  await repo.git("tag", "-a", "b2", "-m", "annotated");
  head = await repo.commit({ "speed.c": "int speed(void) { return 7; }\n" }, "second");
  folder = mkdtempSync(join(tmpdir(), "llm-server-pin-"));
  file = join(folder, "images.yaml");
  writeFileSync(file, imagesYaml(`file://${repo.path}`, "b1"));
});

afterEach(() => {
  repo[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

describe("pinImage", () => {
  it("pins HEAD by its commit, with the date and what it replaces, and keeps the comments", async () => {
    const pin = await pinImage("latest", "HEAD", "2026-11-23", file);
    expect(pin).toEqual({ image: "latest", ref: head, commit: head, build: undefined, pinnedAt: "2026-11-23", replaces: "b1" });
    const text = readFileSync(file, "utf8");
    expect(text).toContain(`    ref: ${head}\n    pinnedAt: 2026-11-23\n    replaces: b1\n`);
    expect(text).toContain("# pins\n");
    expect(text).toContain("kind: source # from source\n");
  });

  it("pins a tag with the commit that it names, not the tag's own object", async () => {
    const first = await repo.git("rev-parse", "b1");
    expect(await pinImage("latest", "b2", "2026-11-23", file)).toMatchObject({ ref: "b2", commit: first, build: 2 });
  });

  it("pins a commit only if the repository has it", async () => {
    const first = await repo.git("rev-parse", "b1");
    expect(await pinImage("latest", first, "2026-11-23", file)).toMatchObject({ ref: first, commit: first, build: 2 });
    await expect(pinImage("latest", "f".repeat(40), "2026-11-23", file)).rejects.toThrow(
      `ref: got ${"f".repeat(40)}, expected HEAD, a tag, a branch or all 40 digits of a commit in file://${repo.path}`,
    );
  });

  it("fails without touching the file when the repository can't be reached", async () => {
    const text = imagesYaml("file:///nowhere.git", "b1");
    writeFileSync(file, text);
    await expect(pinImage("latest", "HEAD", "2026-11-23", file)).rejects.toThrow(
      "file:///nowhere.git can't be reached; check the address and the network",
    );
    expect(readFileSync(file, "utf8")).toBe(text);
  });

  it("fails for an unknown ref and for an image that is not built from source", async () => {
    await expect(pinImage("latest", "b7", "2026-11-23", file)).rejects.toThrow("ref: got b7, expected HEAD, a tag, a branch");
    await expect(pinImage("newest", "HEAD", "2026-11-23", file)).rejects.toThrow(
      "image: got newest, expected one that configs/images.yaml builds from source: latest",
    );
  });
});

describe("the pin command", () => {
  it("needs an image's name and says which refs it takes", () => {
    expect(pinCommand().helpInformation()).toMatch(/Usage: pin \[options\] <image> \[ref\]/);
  });
});

describe("imageDistance", () => {
  it("counts the builds between the pin and the newest tag, and changes nothing", async () => {
    await repo.git("tag", "b12");
    const text = readFileSync(file, "utf8");
    expect(await imageDistance(text, "latest")).toMatchObject({ distance: { state: "behind", commits: 11, pinned: 1, newest: 12 } });
    expect(readFileSync(file, "utf8")).toBe(text);
  });

  it("says so, and does not fail, where upstream can't be reached", async () => {
    expect(await imageDistance(imagesYaml("file:///nowhere.git", "b1"), "latest")).toEqual({
      image: "latest",
      distance: { state: "unreachable" },
      message: "image latest: file:///nowhere.git can't be reached, so nobody knows how far the pin is behind; it stays as it is",
    });
  });
});

it("git is there, or nothing above was proved", () => {
  expect(execFileSync("git", ["--version"], { encoding: "utf8" })).toMatch(/^git version/);
});
