/** The smaller decisions of a drift check: answers, checksums, redeployments, reports, units. Pure values; nothing runs here. */
import { describe, expect, it } from "vitest";
import { findRubbish } from "../../../plan/drift/answer.ts";
import { needsHash, type HashPolicy } from "../../../plan/drift/hashing.ts";
import { fingerprint } from "../../../plan/drift/finding.ts";
import { planRedeploy } from "../../../plan/drift/redeploy.ts";
import { exitCodeOf, formatReport, makeReport } from "../../../plan/drift/report.ts";
import { renderUnit, type UnitSettings } from "../../../plan/drift/timer-units.ts";
import { readProjectFile } from "../../support/project.ts";
import { chain, declared, find, healthy, nowMs, path, server, serverName, stat, withServer } from "./support.ts";

const dayMs = 86_400_000;
const auto: HashPolicy = { mode: "auto", everyMs: 7 * dayMs };

describe("an answer", () => {
  const said = (text: string, ...likeliest: string[]) =>
    ({ kind: "answered", text, tokens: likeliest.length === 0 ? [] : [{ text, likeliest }], wallMs: 1 }) as const;

  it.each([
    ["nothing at all", said(""), "an empty answer"],
    ["one character", said("GGGGGGGG"), 'one character over and over: "GGGGGGGG"'],
    ["bytes that are no text", said("\uFFFD\uFFFD\uFFFDa"), 'bytes that are no text: "\uFFFD\uFFFD\uFFFDa"'],
  ])("that is %s is rubbish", (_, answer, reason) => {
    expect(findRubbish(answer, null)).toBe(reason);
  });

  it.each([
    ["ends at once", said("", "<eos>")],
    ["is short", said("aa", "aa")],
    ["is in another script", said(" 巴黎是法国的首都", " 巴黎")],
  ])("that %s is an answer", (_, answer) => {
    expect(findRubbish(answer, null)).toBeUndefined();
  });

  it("is compared with the release's first one by its first token: near ties may swap, another model's words may not", () => {
    const earlier = said(" Paris", " Paris", " The").tokens;
    expect(findRubbish(said(" The", " The", " Paris"), earlier)).toBeUndefined();
    expect(findRubbish(said(" zx", " zx", " qq"), earlier)).toContain("not likely to each other");
    expect(findRubbish(said(" The", " The", " zx"), earlier)).toContain("not likely to each other");
  });
});

describe("a model file", () => {
  const file = declared.files[0]!;
  const seen = { sha256: file.sha256, stat, verifiedAtMs: nowMs - dayMs };

  it.each([
    ["unchanged since it was fetched", stat, undefined, auto, null],
    ["touched since it was fetched", { ...stat, changedMs: nowMs }, undefined, auto, "its metadata changed"],
    ["touched, and found right since", { ...stat, changedMs: nowMs }, { ...seen, stat: { ...stat, changedMs: nowMs } }, auto, null],
    ["touched again after that", { ...stat, changedMs: nowMs }, seen, auto, "its metadata changed"],
    [
      "seen with another checksum, which the release does not have",
      { ...stat, changedMs: nowMs },
      { ...seen, sha256: "b", stat: { ...stat, changedMs: nowMs } },
      auto,
      "its metadata changed",
    ],
    ["of another size", { ...stat, bytes: 1, changedMs: nowMs }, undefined, auto, null],
    ["long unread", stat, undefined, { mode: "auto", everyMs: 3_600_000 }, "its last check is too long ago"],
    ["unchanged, but asked for", stat, seen, { mode: "always", everyMs: 1 }, "it was asked for"],
    ["touched, but not wanted", { ...stat, changedMs: nowMs }, undefined, { mode: "never", everyMs: 1 }, null],
  ] as const)("%s: read whole because %5$s", (_, now, last, policy, reason) => {
    expect(needsHash(file, now, last, policy, nowMs)).toBe(reason);
  });
});

describe("a redeployment", () => {
  const bad = { ...stat, bytes: 10 };
  const truncated = {
    files: [
      { path, stat: bad, inServers: [{ server: serverName, stat: bad, mapped: ["7"] }], sha256: null, unchecked: null, hasSource: true },
    ],
  };

  const lost = { files: truncated.files.map((file) => ({ ...file, hasSource: false })) };

  it("has nothing to do where nothing was found", () => {
    expect(planRedeploy([])).toEqual({
      unlocks: false,
      clears: false,
      recovers: false,
      tags: [],
      setAside: [],
      supplies: null,
      serving: null,
      left: [],
    });
  });

  it("brings a model file and an image back before it touches a server", () => {
    const plan = planRedeploy(find({ ...truncated, images: [{ ...healthy.images[0]!, isThere: false }] }));
    expect(plan).toMatchObject({
      setAside: [path],
      supplies: { stops: [], removes: [], replaces: ["urn::models-gemma", "urn::llama-image"] },
      serving: { stops: [{ container: serverName, id: server.id }], removes: [], replaces: chain },
      left: [],
    });
  });

  it("builds an image first, too, that Pulumi misses itself: a resource that its refresh drops can't be named", () => {
    const [missing] = find({ images: [{ ...healthy.images[0]!, isThere: false }] });
    const dropped = { urn: "urn::llama-image", type: "docker:index/image:Image", name: "llama-image", isGone: true, properties: [] };
    const [seen] = find({ images: [{ ...healthy.images[0]!, isThere: false }], differences: [dropped] });
    expect(planRedeploy([missing!]).supplies?.replaces).toEqual(["urn::llama-image"]);
    expect(planRedeploy([seen!]).supplies?.replaces).toEqual([]);
  });

  it("touches nothing that serves where the model file has no source, and says so", () => {
    const findings = find({ ...lost, ...withServer({ status: "exited" }) });
    const plan = planRedeploy(findings);
    expect(plan).toMatchObject({ setAside: [], supplies: null, serving: null });
    expect(plan.left.map(({ finding, reason }) => `${finding.kind}: ${reason}`)).toEqual([
      "server-stopped: a model file can't be brought back, so nothing that serves is touched",
      expect.stringMatching(/^model-truncated: none of its sources is there: put gemma\.gguf .* into the top folder/) as string,
    ]);
  });

  it("still puts a tag right then", () => {
    const plan = planRedeploy(find({ ...lost, images: [{ ...healthy.images[0]!, taggedId: null }] }));
    expect(plan.tags).toHaveLength(1);
    expect(plan.serving).toBeNull();
  });

  it("names each resource once, whatever is wrong with it", () => {
    const plan = planRedeploy([...find(withServer({ status: "exited" })), ...find(withServer({ status: "exited" }))]);
    expect(plan.serving).toEqual({ stops: [], removes: [], replaces: chain });
  });

  it("leaves what serves and only might be better to a person", () => {
    const plan = planRedeploy(find(withServer({ restarts: 1 })));
    expect(plan.serving).toBeNull();
    expect(plan.left).toHaveLength(1);
  });
});

describe("a report", () => {
  const about = { stack: "dev", checkedAt: "2026-11-23T12:00:00.000Z", wallMs: 2345, release: "0a1b2c3d4e", hashed: {} };
  const report = (...args: Parameters<typeof find>) => makeReport(about, healthy, find(...args));

  it("is one line and exit code 0 where all is well", () => {
    expect(formatReport(report({}))).toBe("stack dev, release 0a1b2c3d4e: no drift (2.3 s)\n");
    expect(exitCodeOf(report({}))).toBe(0);
  });

  it("shows each finding with what to do, and exit code 2", () => {
    expect(formatReport(report(withServer(null)))).toMatchInlineSnapshot(`
      "stack dev, release 0a1b2c3d4e: 1 difference from what was deployed (2.3 s)

      ERROR  container llm-server-dev-server-0a1b2c3d4e  (server-gone)
        expected     running, container ssssssssssss
        found        no such container
        consequence  requests wait for a server until the gateway's hold is over, and then get 503
        fix          npm run drift -- --stack dev --redeploy
      "
    `);
    expect(exitCodeOf(report(withServer(null)))).toBe(2);
  });

  it("counts a note as no drift", () => {
    const noted = report({ files: [{ ...healthy.files[0]!, unchecked: "x" }] });
    expect(noted).toMatchObject({ isDrift: false, findings: [{ severity: "note" }] });
    expect(exitCodeOf(noted)).toBe(0);
  });

  it("has a fingerprint that changes with what is found, not with its numbers", () => {
    const stopped = (exitCode: number): string => fingerprint(find(withServer({ status: "exited", exitCode })));
    expect(stopped(1)).toBe(stopped(137));
    expect(stopped(1)).not.toBe(fingerprint(find(withServer(null))));
  });
});

describe("a systemd unit", () => {
  const settings: UnitSettings = {
    projectDir: "/srv/llm-server/",
    every: "15min",
    arguments: ["--redeploy"],
    environmentFile: "/etc/llm-server.env",
    user: "llm",
  };
  const template = (name: string): string => readProjectFile(`deploy/systemd/${name}`) ?? "";

  it("runs the check of its instance's stack in the project's folder", () => {
    const service = renderUnit(template("llm-server-drift@.service"), settings);
    expect(service).toContain("WorkingDirectory=/srv/llm-server\nUser=llm\nEnvironmentFile=/etc/llm-server.env\n");
    expect(service).toContain("\nExecStart=/srv/llm-server/node_modules/.bin/node scripts/cli.ts drift --stack %i --redeploy\n");
    expect(service).not.toMatch(/@[A-Z_]+@/);
  });

  it("runs again the given time after it has ended, so that two never overlap", () => {
    expect(renderUnit(template("llm-server-drift@.timer"), { ...settings, every: "1h" })).toContain("OnUnitInactiveSec=1h\n");
  });

  it.each([
    ["15 parsecs", { every: "15 parsecs" }, /every: got "15 parsecs", expected a time of systemd/],
    ["a line break", { every: "1h\nExecStart=/bin/sh" }, /every: got/],
    ["a folder with a space", { projectDir: "/srv/my server" }, /path: got "\/srv\/my server"/],
    ["a user that is none", { user: "root\nExecStart=/bin/sh" }, /user: got/],
    ["a relative file", { environmentFile: "env" }, /path: got "env"/],
  ])("fails on %s", (_, wrong, message) => {
    expect(() => renderUnit(template("llm-server-drift@.timer"), { ...settings, ...wrong })).toThrow(message);
  });
});
