import { describe, expect, it } from "vitest";
import { checkAdvisories, parseAdvisories, type AdvisoryFacts } from "../../../plan/config/advisories.ts";
import { buildNumber } from "../../../plan/config/images.ts";
import { parseProfile } from "../../../plan/config/profile.ts";
import { formatIssue } from "../../../plan/config/errors.ts";
import { configErrorLines, profileIds, readProfileText, readProjectFile, readSurroundings } from "./support.ts";

// Proves what follows from the file; whether a range in it is right, only its sources say.

const advisories = parseAdvisories(readProjectFile("configs/advisories.yaml"));
const facts: AdvisoryFacts = {
  image: "latest-fit",
  build: 8149,
  flags: {},
  accepted: [],
  acceptedIn: { file: "Pulumi.prod.yaml", path: "acceptedAdvisories" },
};
const idsOf = (change: Partial<AdvisoryFacts>): string[] =>
  checkAdvisories(advisories, { ...facts, ...change }).map(({ got }) => /(CVE-[\d-]+)/.exec(got)?.[1] ?? got);

/** What the builds from b8227 to b11392 are exposed to whatever their flags. */
const always = ["CVE-2026-107183"];

describe("checkAdvisories", () => {
  it.each<[string, Partial<AdvisoryFacts>, string[]]>([
    ["nothing while no condition is met", {}, []],
    ["context shift on a build before its fix", { flags: { LLAMA_ARG_CONTEXT_SHIFT: "on" } }, ["CVE-2026-21869"]],
    ["no context shift that is switched off", { flags: { LLAMA_ARG_CONTEXT_SHIFT: "off" } }, []],
    ["no context shift on the build with the fix", { build: 8908, flags: { LLAMA_ARG_CONTEXT_SHIFT: "on" } }, always],
    ["context shift one build before the fix", { build: 8907, flags: { "--context-shift": "on" } }, ["CVE-2026-21869", ...always]],
    ["RPC before its first fix", { flags: { LLAMA_ARG_RPC: "host:1" } }, ["CVE-2026-34159"]],
    ["RPC between two ranges", { build: 8492, flags: { LLAMA_ARG_RPC: "host:1" } }, always],
    ["RPC in the second range", { build: 11669, flags: { LLAMA_ARG_RPC: "host:1" } }, ["CVE-2026-118375"]],
    [
      "sleeping, for which no fix is known",
      { build: 99_999, flags: { "--sleep-idle-seconds": "300" } },
      ["CVE-2026-43631", "CVE-2026-43632"],
    ],
    ["no sleeping that is switched off", { build: 8149, flags: { "--sleep-idle-seconds": "-1" } }, []],
    ["slot files", { flags: { LLAMA_ARG_SLOT_SAVE_PATH: "/x" } }, ["CVE-2026-43629"]],
    ["what no option switches off, from its first build on", { build: 8227 }, ["CVE-2026-107183"]],
    ["and not from the fix on", { build: 11_393 }, []],
    ["a build of unknown number as affected", { build: undefined }, ["CVE-2026-107183"]],
    ["nothing that was accepted", { build: 11_312, accepted: ["CVE-2026-107183"] }, []],
  ])("reports %s", (_name, change, ids) => {
    expect(idsOf(change)).toEqual(ids);
  });

  it("says build, exposure, fix, and where to accept", () => {
    expect(checkAdvisories(advisories, { ...facts, flags: { LLAMA_ARG_CONTEXT_SHIFT: "on" } }).map(formatIssue)).toEqual([
      "configs/images.yaml: latest-fit: got b8149 with LLAMA_ARG_CONTEXT_SHIFT=on: CVE-2026-21869, high, a negative n_discard in a request writes out of bounds " +
        "when the context is shifted, expected a build with the fix (b8908 or later); leave --context-shift off; " +
        "or accept CVE-2026-21869 in Pulumi.prod.yaml under acceptedAdvisories",
    ]);
  });

  it("says that no fix is known, and that the build isn't", () => {
    const [issue] = checkAdvisories(advisories, { ...facts, build: undefined, flags: { "--sleep-idle-seconds": "5" } });
    expect(issue?.got).toMatch(/^a build of unknown number with --sleep-idle-seconds=5: CVE-2026-43631, critical, /);
    expect(issue?.allowed).toBe("a build with the fix (none of which is known)");
  });

  it("fails on an accepted id that no advisory has", () => {
    expect(checkAdvisories(advisories, { ...facts, accepted: ["CVE-2020-1"] }).map(formatIssue)).toEqual([
      `Pulumi.prod.yaml: acceptedAdvisories: got "CVE-2020-1", expected ids of configs/advisories.yaml: ${Object.keys(advisories).slice(0, -1).join(", ")} or CVE-2026-107183; remove it`,
    ]);
  });

  it("finds of the committed profiles only those on latest exposed, to what no option switches off", () => {
    const { images } = readSurroundings();
    const found = profileIds.map((id) => {
      const { image, flags } = parseProfile(readProfileText(id), { id, file: id });
      const build = images[image] === undefined ? undefined : buildNumber(images[image]);
      return [image, idsOf({ image, build, flags }).join()].join(" ");
    });
    expect([...new Set(found)].sort()).toEqual(["before-fit CVE-2026-107183", "debian ", "latest CVE-2026-107183", "latest-fit "]);
  });
});

describe("parseAdvisories", () => {
  const entry = "title: t\n  severity: high\n  when: always\n  todo: x\n  sources: [https://example.org]";

  it.each([
    [
      `CVE-2026-1234:\n  ${entry}\n  from: b10\n  before: b10`,
      'CVE-2026-1234.before: got "b10", expected a build after b10; mend the range',
    ],
    [`CVE-2026-1234:\n  ${entry}\n  from: 10`, "CVE-2026-1234.from: got 10, expected text; write an allowed value"],
    [
      `CVE-2026-1234:\n  ${entry}\n  from: v10`,
      'CVE-2026-1234.from: got "v10", expected an upstream build such as b8492; write an allowed value',
    ],
    [
      `CVE-2026-1234:\n  ${entry.replace("always", "sometimes")}`,
      'CVE-2026-1234.when: got "sometimes", expected always, or a list of options and variables; write an allowed value',
    ],
    [
      `CVE-2026-1234:\n  ${entry.replace("https://example.org", "somewhere")}`,
      'CVE-2026-1234.sources.0: got "somewhere", expected an address; write an allowed value',
    ],
    [`oops:\n  ${entry}`, "oops: got that key, expected an id such as CVE-2026-34159; rename the key"],
  ])("fails on %j", (text, line) => {
    expect(configErrorLines(() => parseAdvisories(`${text}\n`))).toEqual([`configs/advisories.yaml: ${line}`]);
  });
});
