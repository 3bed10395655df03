import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync, cpSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/* The program as a preview starts it, against repositories on this machine. Upstream is never asked here; that a preview shows its lines: tests/integration. */

const project = process.cwd();

/** The program with a `configs/images.yaml` of its own, in which image `latest` comes from `repo`. */
function copyOfProject(repo: string): string {
  const dir = mkdtempSync(join(tmpdir(), "llm-server-distance-"));
  for (const part of ["plan", "scripts", "package.json"]) cpSync(join(project, part), join(dir, part), { recursive: true });
  symlinkSync(join(project, "node_modules"), join(dir, "node_modules"));
  mkdirSync(join(dir, "configs"));
  const source = { repo, ref: "b1", pinnedAt: "2026-01-01" };
  const bases = { build: "debian:forky", runtime: "debian:forky" };
  const common = { dockerfile: "docker/Dockerfile.llama-cpp", backend: "cpu", baseImages: bases, capabilities: "b1", description: "x" };
  writeFileSync(join(dir, "configs", "images.yaml"), JSON.stringify({ latest: { kind: "source", source, ...common } }));
  return dir;
}

const run = (cwd: string, ...args: string[]) =>
  execa(process.execPath, ["scripts/images/distance-program.ts", ...args], { cwd, reject: false });

describe("distance-program", () => {
  it("prints nothing of an image that is not built from source", async () => {
    const { exitCode, stdout, stderr } = await run(project, "debian");
    expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: "[]", stderr: "" });
  });

  it("fails for an unknown image, naming those there are", async () => {
    const { exitCode, stdout, stderr } = await run(project, "newest");
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
    expect(stderr).toMatch(/^image: got newest, expected one of debian, latest, /);
  });

  it("fails without an image", async () => {
    const { exitCode, stderr } = await run(project);
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: "usage: distance-program.ts IMAGE..." });
  });
});

describe.each(["git", "http"])("distance-program with a repository behind %s:// that takes the call and never answers", (protocol) => {
  let server: Server;
  let dir: string;
  beforeAll(async () => {
    server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    dir = copyOfProject(`${protocol}://127.0.0.1:${(server.address() as AddressInfo).port}/llama.cpp`);
  });
  afterAll(() => {
    server.close();
    rmSync(dir, { recursive: true });
  });

  it("gives up, says so, and leaves no git behind that would hold the preview", async () => {
    const { exitCode, stdout } = await run(dir, "latest"); // returns once everything that holds its output has ended
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([{ image: "latest", distance: { state: "unreachable" } }]);
  }, 10_000);
});
