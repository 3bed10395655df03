import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, stat, symlink } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { execa } from "execa";
import { cacheDir, projectDir } from "../../scripts/paths.ts";
import { readVersions } from "../../scripts/setup/versions.ts";

/** A Pulumi CLI with one set of provider plugins. */
export interface ProviderSet {
  readonly name: "toolchain" | "official";
  /** Environment that makes `pulumi` this one. */
  readonly env: Readonly<Record<string, string>>;
}

/** Folder of the official archives: PULUMI_PLUGIN_ARCHIVES, else beside the checkout. */
const archives = (): string | undefined =>
  [process.env["PULUMI_PLUGIN_ARCHIVES"], join(projectDir, "..", "shared", "pulumi-plugins")].find(
    (dir) => dir !== undefined && existsSync(dir),
  );

const toolchainHome = (): string => join(cacheDir(), "pulumi", "toolchain");

/**
 * The provider sets that this machine can run: the stand-ins of `toolchain/` where they can be built, the official ones where their archives are.
 * With REQUIRE_INTEGRATION=1 a machine that has none fails instead of skipping.
 */
export async function providerSets(): Promise<ProviderSet[]> {
  const sets = [await toolchainSet(), await officialSet()].filter((set) => set !== undefined);
  if (sets.length === 0 && process.env["REQUIRE_INTEGRATION"] === "1")
    throw new Error("no provider set: install Go for toolchain/, or name a folder of archives in PULUMI_PLUGIN_ARCHIVES");
  return sets;
}

/** For tests of many minutes: the set that users have, else the one there is; every one with PROVIDER_SETS=all, as `npm run test:providers` asks for. */
export async function mainProviderSets(): Promise<ProviderSet[]> {
  const sets = await providerSets();
  return process.env["PROVIDER_SETS"] === "all" ? sets : sets.slice(-1);
}

function envOf(home: string, ...bin: string[]): Record<string, string> {
  const path = [join(projectDir, "node_modules", ".bin"), ...bin, process.env["PATH"] ?? ""].join(delimiter);
  const compiled = join(cacheDir(), "node-compile-cache"); // as `.tools/bin/pulumi` does
  return { PATH: path, PULUMI_HOME: home, PULUMI_SKIP_UPDATE_CHECK: "true", PULUMI_CONFIG_PASSPHRASE: "", NODE_COMPILE_CACHE: compiled };
}

async function toolchainSet(): Promise<ProviderSet | undefined> {
  const built = await execa(join(projectDir, "toolchain", "build"), ["--out", toolchainHome()], { reject: false });
  if (built.exitCode !== 0) return undefined;
  return { name: "toolchain", env: envOf(toolchainHome(), join(toolchainHome(), "bin")) };
}

/** The official plugins in a home of their own, under the CLI that set-up chose or `toolchain/` built. It is made once for each choice: others may be using it. */
async function officialSet(): Promise<ProviderSet | undefined> {
  const dir = archives();
  const cli = [join(toolchainHome(), "bin", "pulumi"), join(cacheDir(), "pulumi", "cli", "bin", "pulumi")].find((file) => existsSync(file));
  if (dir === undefined || cli === undefined) return undefined;
  const versions = await readVersions();
  const files = (await readdir(dir)).sort();
  const find = (start: string): string | undefined => files.find((file) => file.startsWith(start));
  const plugins = Object.entries(versions.plugins).map(
    ([name, version]) => [name, version, find(`pulumi-resource-${name}-v${version}`)] as const,
  );
  if (plugins.some(([, , archive]) => archive === undefined)) return undefined;
  const host = find(`pulumi-language-nodejs-v${versions.cli}`);
  const choice = createHash("sha256").update(JSON.stringify([cli, (await stat(cli)).mtimeMs, dir, host, plugins]));
  const home = join(cacheDir(), "pulumi", `official-for-tests-${choice.digest("hex").slice(0, 12)}`);
  const set: ProviderSet = { name: "official", env: envOf(home, join(home, "bin")) };
  if (existsSync(home)) return set;
  const next = await mkdtemp(`${home}.`);
  const bin = join(next, "bin");
  await mkdir(bin);
  await copyFile(cli, join(bin, "pulumi")); // beside the language host: the CLI looks there first
  await (host === undefined
    ? symlink(join(dirname(cli), "pulumi-language-nodejs"), join(bin, "pulumi-language-nodejs"))
    : execa("tar", ["-xzf", join(dir, host), "-C", bin]));
  for (const [name, version, archive = ""] of plugins)
    await execa("pulumi", ["plugin", "install", "resource", name, version, "--file", join(dir, archive)], { env: envOf(next, bin) });
  await rename(next, home).catch(() => rm(next, { recursive: true })); // somebody else was first
  return set;
}
