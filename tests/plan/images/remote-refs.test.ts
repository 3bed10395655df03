import { describe, expect, it } from "vitest";
import { buildOfCommit, readRemoteRefs, resolveRef } from "../../../plan/images/remote-refs.ts";

/* Tables over the text of `git ls-remote`. Doesn't prove that git prints it so: tests/scripts/images does. */

const commit = (digit: string) => digit.repeat(40);
const text = [
  `${commit("a")}\tHEAD`,
  `${commit("a")}\trefs/heads/master`,
  `${commit("b")}\trefs/heads/b9000`,
  `${commit("c")}\trefs/tags/b8149`,
  `${commit("d")}\trefs/tags/v1.0.0`,
  `${commit("a")}\trefs/tags/v1.0.0^{}`,
  `${commit("a")}\trefs/tags/b9352`,
  `${commit("e")}\trefs/pull/1/head`,
  "",
].join("\n");
const refs = readRemoteRefs(text);

describe("readRemoteRefs", () => {
  it("reads HEAD, branches and tags, an annotated tag by the commit that it names", () => {
    expect(refs.head).toBe(commit("a"));
    expect([...refs.branches]).toEqual([
      ["master", commit("a")],
      ["b9000", commit("b")],
    ]);
    expect([...refs.tags]).toEqual([
      ["b8149", commit("c")],
      ["v1.0.0", commit("a")],
      ["b9352", commit("a")],
    ]);
  });

  it("has no head for an empty repository", () => {
    expect(readRemoteRefs("")).toEqual({ head: undefined, branches: new Map(), tags: new Map() });
  });

  it("fails on a line of another form", () => {
    expect(() => readRemoteRefs("warning: redirecting to x\n")).toThrow(
      'git ls-remote: got the line "warning: redirecting to x", expected a commit, a tab and a ref',
    );
  });
});

describe("resolveRef", () => {
  it.each([
    ["HEAD", { commit: commit("a"), tag: undefined, build: 9352 }],
    ["master", { commit: commit("a"), tag: undefined, build: 9352 }],
    ["b9000", { commit: commit("b"), tag: undefined, build: undefined }],
    ["b8149", { commit: commit("c"), tag: "b8149", build: 8149 }],
    ["v1.0.0", { commit: commit("a"), tag: "v1.0.0", build: 9352 }],
    [commit("f"), { commit: commit("f"), tag: undefined, build: undefined }],
    ["0c1e57098", undefined],
    ["nothing", undefined],
  ])("resolves %s", (ref, expected) => {
    expect(resolveRef(refs, ref)).toEqual(expected);
  });

  it("takes the highest of several build tags on one commit", () => {
    const twice = readRemoteRefs(`${commit("a")}\trefs/tags/b7\n${commit("a")}\trefs/tags/b12\n`);
    expect(buildOfCommit(twice, commit("a"))).toBe(12);
  });
});
