import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseImages } from "../../../plan/config/images.ts";
import { repin } from "../../../plan/images/pin.ts";

/* Text in, text out, over a small file and over the real configs/images.yaml. Does not prove that a ref exists anywhere. */

const old = "0".repeat(40);
const pinLines = (source: string) => `# pins, by hand   never
latest:
  kind: source # from source
  description: >-
    Folded
    text.
  dockerfile: docker/Dockerfile.llama-cpp
  backend: cpu
  source:
    repo: https://example.invalid/llama.cpp
${source}
  baseImages:   { build: "debian:forky", runtime: debian:forky }
  capabilities: test

debian:
  kind: debian
  description: packages
  dockerfile: docker/Dockerfile.llama-cpp-debian
  backend: cpu
  build: 11669
  baseImages: { runtime: debian:forky }
  capabilities: test
`;
const text = pinLines(
  `    # chosen\n    # with care\n    ref: "${old}" # why\n    # its number\n    build: 5 # b5\n    pinnedAt: 2026-01-01\n    # the end`,
);
const head = { commit: "a".repeat(40), tag: undefined, build: undefined };

describe("repin", () => {
  it("writes commit, build, date and what it replaces, drops what was said of the old ones, and changes no other character", () => {
    const result = repin(text, "latest", { ...head, build: 9352 }, "2026-12-01");
    expect(result?.pin).toEqual({
      image: "latest",
      ref: head.commit,
      commit: head.commit,
      build: 9352,
      pinnedAt: "2026-12-01",
      replaces: old,
    });
    expect(result?.text).toBe(
      pinLines(`    ref: ${head.commit}\n    build: 9352\n    pinnedAt: 2026-12-01\n    replaces: "${old}"\n    # the end`),
    );
  });

  it("keeps what was said of a value that stays", () => {
    expect(repin(text, "latest", { ...head, build: 5 }, "2026-01-01")?.text).toBe(
      pinLines(
        `    ref: ${head.commit}\n    # its number\n    build: 5 # b5\n    pinnedAt: 2026-01-01\n    replaces: "${old}"\n    # the end`,
      ),
    );
  });

  it("writes keys in whatever order the file has them", () => {
    const reversed = pinLines(`    pinnedAt: 2026-01-01\n    build: 5\n    ref: "${old}"`);
    expect(repin(reversed, "latest", { ...head, build: 9352 }, "2026-12-01")?.text).toBe(
      pinLines(`    pinnedAt: 2026-12-01\n    replaces: "${old}"\n    build: 9352\n    ref: ${head.commit}`),
    );
  });

  it("keeps a tag beside the commit that it must keep naming, and drops both again for a bare commit", () => {
    const toTag = repin(text, "latest", { commit: "b".repeat(40), tag: "b9352", build: 9352 }, "2026-12-01");
    const source = `    ref: b9352\n    commit: ${"b".repeat(40)}\n    build: 9352\n    pinnedAt: 2026-12-01\n    replaces: "${old}"\n    # the end`;
    expect(toTag?.text).toBe(pinLines(source));
    const back = repin(toTag?.text ?? "", "latest", head, "2026-12-02");
    expect(back?.text).toBe(pinLines(`    ref: ${head.commit}\n    pinnedAt: 2026-12-02\n    replaces: b9352\n    # the end`));
  });

  it("changes nothing, not even the date, when the pin is there already", () => {
    const once = repin(text, "latest", head, "2026-12-01");
    expect(repin(once?.text ?? "", "latest", head, "2026-12-31")).toBeUndefined();
  });

  it("quotes a tag that would read as a number", () => {
    const tagged = repin(text, "latest", { commit: "b".repeat(40), tag: "2026", build: undefined }, "2026-12-01");
    expect(tagged?.text).toContain('    ref: "2026"\n');
  });

  it("moves any source pin of the real file and touches only its own lines", () => {
    const real = readFileSync("configs/images.yaml", "utf8");
    const images = Object.entries(parseImages(real)).flatMap(([name, { kind }]) => (kind === "source" ? [name] : []));
    expect(images).toContain("latest-fit");
    for (const image of images) {
      const after = repin(real, image, { ...head, build: 9352 }, "2027-12-01")?.text ?? "";
      const [before, now] = [real.split("\n"), after.split("\n")];
      const changed = [...before.filter((line) => !now.includes(line)), ...now.filter((line) => !before.includes(line))];
      expect(changed.length).toBeGreaterThan(3);
      expect(changed.filter((line) => !/^ {4}(# |(ref|commit|build|pinnedAt|replaces): )/.test(line))).toEqual([]);
    }
  });

  it.each(["debian", "nothing"])("fails for %s, which is not built from source", (image) => {
    expect(() => repin(text, image, head, "2026-12-01")).toThrow(
      `image: got ${image}, expected one that configs/images.yaml builds from source: latest`,
    );
  });

  it("fails on a pin in flow form rather than lay out the file anew", () => {
    const flow = text.replace(
      /source:\n[^]*?pinnedAt: 2026-01-01/,
      `source: { repo: "https://x.invalid/y", ref: "${old}", pinnedAt: 2026-01-01 }`,
    );
    expect(() => repin(flow, "latest", head, "2026-12-01")).toThrow(
      "configs/images.yaml: latest.source: got another form, expected one key a line; write it out",
    );
  });

  it("fails on a file that isn't valid before it changes anything", () => {
    expect(() => repin(text.replace("kind: source", "kind: sauce"), "latest", head, "2026-12-01")).toThrow(
      /configs\/images\.yaml: latest\.kind/,
    );
  });
});
