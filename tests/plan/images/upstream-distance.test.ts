import { describe, expect, it } from "vitest";
import { readRemoteRefs } from "../../../plan/images/remote-refs.ts";
import { describeDistance, upstreamDistance } from "../../../plan/images/upstream-distance.ts";

/* Tables over refs. Doesn't prove that upstream numbers its tags by commits: that is upstream's word. */

const commit = (digit: string) => digit.repeat(40);
const tagged = readRemoteRefs(
  [`${commit("a")}\tHEAD`, `${commit("b")}\trefs/tags/b8149`, `${commit("c")}\trefs/tags/b9352`, `${commit("d")}\trefs/tags/v1`].join("\n"),
);
const untagged = readRemoteRefs(`${commit("a")}\tHEAD\n`);

describe("upstreamDistance", () => {
  it.each([
    ["a tag", { ref: "b8149" }, tagged, { state: "behind", commits: 1203, pinned: 8149, newest: 9352 }],
    [
      "a commit with its build written down",
      { ref: commit("e"), build: 9300 },
      tagged,
      { state: "behind", commits: 52, pinned: 9300, newest: 9352 },
    ],
    ["a commit that a tag names", { ref: commit("b") }, tagged, { state: "behind", commits: 1203, pinned: 8149, newest: 9352 }],
    ["the head itself", { ref: commit("a") }, tagged, { state: "current" }],
    ["the newest tag", { ref: "b9352" }, tagged, { state: "current" }],
    ["a build newer than the newest tag", { ref: commit("e"), build: 9400 }, tagged, { state: "current" }],
    ["a commit without a number", { ref: commit("e") }, tagged, { state: "moved", head: commit("a") }],
    ["a repository without tags", { ref: commit("e"), build: 5 }, untagged, { state: "moved", head: commit("a") }],
    ["a tag that was taken away", { ref: "b8000" }, tagged, { state: "gone", reason: "the tag b8000 is no longer there" }],
    ["an empty repository", { ref: commit("e") }, readRemoteRefs(""), { state: "gone", reason: "the repository has no default branch" }],
  ])("says how far %s is behind", (_name, pin, refs, expected) => {
    expect(upstreamDistance(pin, refs)).toEqual(expected);
  });

  it("is one line that names the command which moves the pin", () => {
    expect(describeDistance("latest-fit", upstreamDistance({ ref: "b8149" }, tagged))).toBe(
      "image latest-fit is 1203 commits behind upstream (b8149, newest b9352); npm run pin -- latest-fit moves it",
    );
  });
});
