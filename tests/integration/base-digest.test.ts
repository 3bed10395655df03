/**
 * A base image that is named by tag and digest, as configs/images.yaml does it: pulled from a registry through each provider set and built from. Cannot prove:
 * that the digests of the committed file are there; no registry of others is asked.
 */
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildImage } from "../../scripts/images/docker-build.ts";
import { projectDir } from "../../scripts/paths.ts";
import { providerSets } from "../support/provider-sets.ts";
import { TinyRegistry } from "../support/tiny-registry.ts";

const sets = await providerSets();

const program = `
import * as docker from "@pulumi/docker";
const provider = new docker.Provider("docker", {}, { version: "5.1.0" });
export const id = new docker.RemoteImage("base", { name: process.env["BASE"], keepLocally: false }, { provider }).imageId;
`;

describe.each(sets)("with the $name providers", (set) => {
  let registry: TinyRegistry;
  let dir: string;
  let pinned: string;
  let env: Record<string, string>;
  beforeAll(async () => {
    registry = await TinyRegistry.start();
    pinned = `${registry.tag}@${await registry.push("what was pinned")}`;
    await registry.push("what the tag was moved to");
    dir = await mkdtemp(join(tmpdir(), "llm-server-digest-"));
    env = { ...set.env, PULUMI_BACKEND_URL: `file://${dir}`, PULUMI_CONFIG_PASSPHRASE: "", BASE: pinned };
    await symlink(join(projectDir, "node_modules"), join(dir, "node_modules"));
    await writeFile(join(dir, "package.json"), JSON.stringify({ name: "own", version: "1.0.0", type: "module" }));
    await writeFile(join(dir, "Pulumi.yaml"), "name: own\nruntime: { name: nodejs, options: { typescript: false } }\nmain: index.ts\n");
    await writeFile(join(dir, "index.ts"), program);
    await writeFile(join(dir, "Dockerfile"), "ARG BASE\nFROM ${BASE}\nLABEL from=base\n");
    await pulumi("stack", "init", "own");
  });
  afterAll(async () => {
    await pulumi("destroy", "--yes", "--skip-preview", "--stack", "own");
    await registry[Symbol.asyncDispose]();
    await rm(dir, { recursive: true, force: true });
  });

  const pulumi = (...args: string[]) => execa("pulumi", [...args, "--non-interactive"], { cwd: dir, env, all: true, reject: false });
  /** What the one file of an image says. */
  const said = async (image: string): Promise<string> => {
    const { stdout: container } = await execa("docker", ["create", image, "/none"]);
    const { stdout } = await execa("docker", ["cp", `${container}:/said`, "-"]);
    await execa("docker", ["rm", container]);
    return stdout;
  };

  it("pulls the image of the digest, whatever its tag says today, and finds it there the next time", async () => {
    const up = await pulumi("up", "--yes", "--skip-preview", "--stack", "own");
    expect(up.exitCode, up.all).toBe(0);
    const { stdout: id } = await pulumi("stack", "output", "id", "--stack", "own");
    expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await said(id)).toContain("what was pinned");
    const again = await pulumi("up", "--yes", "--skip-preview", "--refresh", "--expect-no-changes", "--stack", "own");
    expect(again.exitCode, again.all).toBe(0);
  });

  it("builds from it", async () => {
    const id = await buildImage({ dockerfile: join(dir, "Dockerfile"), context: dir, args: { BASE: pinned } }, () => undefined);
    expect(await said(id)).toContain("what was pinned");
    await execa("docker", ["image", "rm", "--force", id]);
  });
});

if (sets.length === 0) it.skip("needs a provider set: install Go for toolchain/, or name a folder of archives in PULUMI_PLUGIN_ARCHIVES");
