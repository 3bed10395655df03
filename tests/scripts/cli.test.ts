import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { projectDir } from "../../scripts/paths.ts";

// Proves that commands are found by their names. What each of them does is shown by tests of its own.

const cli = (...args: readonly string[]) =>
  execa(process.execPath, ["scripts/cli.ts", ...args], { cwd: projectDir, all: true, reject: false });

describe("the command line", () => {
  it("lists every command in its help, and knows each by the name that it lists", async () => {
    const { exitCode, all } = await cli("--help");
    expect(exitCode).toBe(0);
    const [, list = ""] = all.split("Commands:");
    const names = [...list.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name ?? "").filter((name) => name !== "help");
    expect(names.slice(0, 4)).toEqual(["quickstart", "setup", "up", "status"]);
    const helps = await Promise.all(names.map(async (name) => (await cli(name, "--help")).all));
    for (const [index, name] of names.entries()) expect(helps[index]).toContain(`Usage: llm-server ${name} `);
  });

  it.each([
    ["a name that is nearly one", "stat", "Did you mean status?"],
    ["a name that every object has", "toString", "unknown command 'toString'"],
    ["no name but an option", "--stack", "unknown option '--stack'"],
  ])("is used wrongly with %s", async (_what, argument, message) => {
    const { exitCode, all } = await cli(argument);
    expect(all).toContain(message);
    expect(exitCode).toBe(3);
  });

  it("takes a command's own wrong option as its usage", async () => {
    const { exitCode, all } = await cli("status", "--wrong");
    expect(all).toContain("unknown option '--wrong'");
    expect(exitCode).toBe(3);
  });
});
