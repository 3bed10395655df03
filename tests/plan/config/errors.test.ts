import { describe, expect, it } from "vitest";
import { z } from "zod";
import { ConfigError, oneOf, parseWith } from "../../../plan/config/errors.ts";
import { editDistance, nearest } from "../../../plan/config/nearest.ts";
import { configErrorLines } from "./support.ts";

// Proves the form of the messages, not that a reader finds them helpful.

const schema = z.strictObject({
  name: z.string().min(2),
  port: z.int().min(1024).max(65535),
  mode: z.enum(["fast", "safe"]),
  share: z.number().gt(0).max(1).optional(),
  tags: z.array(z.string()).min(1).optional(),
  on: z.boolean().optional(),
  apiKey: z.string().min(8).optional(),
  inner: z.strictObject({ ctxSize: z.int({ error: "an integer >= 256 (tokens)" }) }).optional(),
  either: z.union([z.string(), z.number()], { error: "text or a number" }).optional(),
});
const good = { name: "ab", port: 8080, mode: "fast" };

describe("parseWith", () => {
  it("returns what the schema makes of a valid value", () => {
    expect(parseWith(schema, good, { file: "x.yaml" })).toEqual(good);
  });

  it.each([
    [{ ...good, name: 3 }, "x.yaml: name: got 3, expected text; write an allowed value"],
    [{ ...good, name: "a" }, 'x.yaml: name: got "a", expected text of length >= 2; write an allowed value'],
    [{ ...good, port: 80 }, "x.yaml: port: got 80, expected a number >= 1024; write an allowed value"],
    [{ ...good, port: 80.5 }, "x.yaml: port: got 80.5, expected an integer; write an allowed value"],
    [{ ...good, port: 70000 }, "x.yaml: port: got 70000, expected a number <= 65535; write an allowed value"],
    [{ ...good, mode: "quick" }, 'x.yaml: mode: got "quick", expected fast or safe; write an allowed value'],
    [{ name: "ab", port: 8080 }, "x.yaml: mode: got nothing, expected fast or safe; add it"],
    [{ ...good, share: 0 }, "x.yaml: share: got 0, expected a number > 0; write an allowed value"],
    [{ ...good, tags: [] }, "x.yaml: tags: got a list of 0, expected >= 1 entries; write an allowed value"],
    [{ ...good, tags: ["a", 1] }, "x.yaml: tags.1: got 1, expected text; write an allowed value"],
    [{ ...good, on: "yes" }, 'x.yaml: on: got "yes", expected true or false; write an allowed value'],
    [{ ...good, inner: [] }, "x.yaml: inner: got a list of 0, expected a mapping; write an allowed value"],
    [{ ...good, inner: { ctxSize: "12" } }, 'x.yaml: inner.ctxSize: got "12", expected an integer >= 256 (tokens); write an allowed value'],
    [{ ...good, either: {} }, "x.yaml: either: got a mapping, expected text or a number; write an allowed value"],
    [[], "x.yaml: got a list of 0, expected a mapping; write an allowed value"],
    [undefined, "x.yaml: got nothing, expected a mapping; add it"],
  ])("fails on %j with one line", (value, line) => {
    expect(configErrorLines(() => parseWith(schema, value, { file: "x.yaml" }))).toEqual([line]);
  });

  it("fails on an unknown key with the nearest known one, at any depth", () => {
    expect(
      configErrorLines(() => parseWith(schema, { ...good, prot: 1, zzzzz: 1, inner: { ctxSize: 512, ctxSzie: 1 } }, { file: "x.yaml" })),
    ).toEqual([
      "x.yaml: inner.ctxSzie: got an unknown key, expected keys ctxSize; did you mean ctxSize? else remove it",
      "x.yaml: prot: got an unknown key, expected keys name, port, mode, share, tags, on, apiKey, inner, either; did you mean port? else remove it",
      "x.yaml: zzzzz: got an unknown key, expected keys name, port, mode, share, tags, on, apiKey, inner, either; remove it",
    ]);
  });

  it("collects every issue before it throws once", () => {
    const error = (() => {
      try {
        parseWith(schema, { name: 1, port: "x", mode: "y" }, { file: "x.yaml" });
      } catch (caught) {
        return caught;
      }
      return undefined;
    })();
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).name).toBe("ConfigError");
    expect((error as ConfigError).issues).toEqual([
      { file: "x.yaml", path: "name", got: "1", allowed: "text", fix: "write an allowed value" },
      { file: "x.yaml", path: "port", got: '"x"', allowed: "a number", fix: "write an allowed value" },
      { file: "x.yaml", path: "mode", got: '"y"', allowed: "fast or safe", fix: "write an allowed value" },
    ]);
  });

  it("never shows the value of a key that names a secret", () => {
    expect(configErrorLines(() => parseWith(schema, { ...good, apiKey: "canary" }, { file: "x.yaml" }))).toEqual([
      "x.yaml: apiKey: got a value (not shown), expected text of length >= 8; write an allowed value",
    ]);
  });

  it("cuts long values and escapes control characters", () => {
    const [line] = configErrorLines(() => parseWith(schema, { ...good, mode: `a\nb${"x".repeat(500)}` }, { file: "x.yaml" }));
    expect(line).toBe(`x.yaml: mode: got "a\\nb${"x".repeat(75)}…, expected fast or safe; write an allowed value`);
  });

  it("takes got, allowed and fix from a refinement's hints", () => {
    const refined = z.strictObject({ a: z.number() }).superRefine((_value, context) => {
      context.addIssue({ code: "custom", path: ["a"], message: "unused", params: { got: "that", allowed: "this", fix: "mend it" } });
    });
    expect(configErrorLines(() => parseWith(refined, { a: 1 }, { file: "x.yaml" }))).toEqual([
      "x.yaml: a: got that, expected this; mend it",
    ]);
  });

  it("does not look for a path in the prototype", () => {
    const open = z.looseObject({ toString: z.number() });
    expect(configErrorLines(() => parseWith(open, { toString: undefined }, { file: "x.yaml" }))).toEqual([
      "x.yaml: toString: got nothing, expected a number; add it",
    ]);
  });
});

describe("oneOf", () => {
  it.each([
    [[], "nothing"],
    [["a"], "a"],
    [["a", "b"], "a or b"],
    [["a", "b", "c"], "a, b or c"],
  ])("writes %j as %s", (values, text) => {
    expect(oneOf(values)).toBe(text);
  });
});

describe("nearest", () => {
  it("compares no word that is too long to be a slip", () => {
    expect(nearest("x".repeat(100_000), ["x".repeat(100_000)])).toBeUndefined();
  });

  it.each([
    ["LLAMA_ARG_CTXSIZE", "LLAMA_ARG_CTX_SIZE"],
    ["llama_arg_batch", "LLAMA_ARG_BATCH"],
    ["LLAMA_ARG_UBATHC", "LLAMA_ARG_UBATCH"],
    ["SOMETHING_ELSE", undefined],
  ])("takes %s for %s", (word, expected) => {
    expect(nearest(word, ["LLAMA_ARG_BATCH", "LLAMA_ARG_UBATCH", "LLAMA_ARG_CTX_SIZE"])).toBe(expected);
  });

  it.each([
    ["", "", 0],
    ["", "abc", 3],
    ["kitten", "sitting", 3],
    ["same", "same", 0],
    ["prot", "port", 1],
  ])("counts the edits from %j to %j", (a, b, edits) => {
    expect(editDistance(a, b)).toBe(edits);
    expect(editDistance(b, a)).toBe(edits);
  });
});
