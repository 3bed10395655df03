import { describe, expect, it } from "vitest";
import { parseEnvFile } from "../../../plan/config/env-file.ts";
import { configErrorLines } from "./support.ts";

// Proves the rules as they are stated; that Docker reads the accepted lines the same way is its documentation's word.

const bad = "expected KEY=VALUE, a comment that starts with #, or an empty line";

describe("parseEnvFile", () => {
  it("keeps entries and comments in order, with their lines", () => {
    expect(parseEnvFile('# one\n#two\n\nA=1\n# three\nB_2=x=y # z\nC={{ "a" }}\n', "x.env")).toEqual({
      entries: [
        { key: "A", value: "1", line: 4 },
        { key: "B_2", value: "x=y # z", line: 6 },
        { key: "C", value: '{{ "a" }}', line: 7 },
      ],
      comments: [
        { text: "one", line: 1 },
        { text: "two", line: 2 },
        { text: "three", line: 5 },
      ],
    });
  });

  it("reads lines that end as Windows ends them, and a last line without an end", () => {
    expect(parseEnvFile("A=1\r\nB=2", "x.env").entries).toEqual([
      { key: "A", value: "1", line: 1 },
      { key: "B", value: "2", line: 2 },
    ]);
  });

  it("interpolates nothing and takes no quotes off inside a value", () => {
    expect(parseEnvFile("A=$HOME ${X} \"q\" 'r'", "x.env").entries[0]?.value).toBe("$HOME ${X} \"q\" 'r'");
  });

  it.each([
    ["FOO", `x.env: line 1: got "FOO", ${bad}; give it a value, else remove it`],
    ["foo=1", `x.env: line 1: got "foo=1", ${bad}; write the key in capitals, digits and _, with = right behind it`],
    ["A =1", `x.env: line 1: got "A =1", ${bad}; write the key in capitals, digits and _, with = right behind it`],
    [" A=1", `x.env: line 1: got " A=1", ${bad}; take the blanks off its start`],
    ["  ", `x.env: line 1: got a line of blanks, ${bad}; empty the line`],
    ["export A=1", `x.env: line 1: got "export A=1", ${bad}; take export off: this file is no shell script`],
    ["A=", "x.env: A: got no value, expected a value behind =; write the value, else remove the line"],
    ["A= 1", 'x.env: A: got " 1", expected no blanks at either end; remove them'],
    ["A=1 ", 'x.env: A: got "1 ", expected no blanks at either end; remove them'],
    ['A="1"', 'x.env: A: got "\\"1\\"", expected a value without quotes; remove them: Docker would pass them on to the server'],
    ["A='1'", "x.env: A: got \"'1'\", expected a value without quotes; remove them: Docker would pass them on to the server"],
    ["A=a\u0000b", 'x.env: A: got "a\\u0000b", expected no control characters; remove them'],
    [`A=${"x".repeat(4097)}`, "x.env: A: got 4097 characters, expected at most 4096; put long text into a file"],
  ])("fails on %j", (text, line) => {
    expect(configErrorLines(() => parseEnvFile(text, "x.env"))).toEqual([line]);
  });

  it("fails on a key that is there twice, naming the first line, and shows no secret", () => {
    expect(configErrorLines(() => parseEnvFile("A=1\nB=1\nA=2\nA=3\nLLAMA_API_KEY=canary\nLLAMA_API_KEY=canary", "x.env"))).toEqual([
      'x.env: A: got a second value "2", expected each key once; remove one; the first is on line 1',
      'x.env: A: got a second value "3", expected each key once; remove one; the first is on line 1',
      "x.env: LLAMA_API_KEY: got a second value a value (not shown), expected each key once; remove one; the first is on line 5",
    ]);
  });

  it("reports every bad line at once", () => {
    expect(configErrorLines(() => parseEnvFile("a\nB=\nC=1\n D=1", "x.env"))).toHaveLength(3);
  });
});
