import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir, rename } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import { execa } from "execa";
import { gte, major, SemVer } from "semver";
import { writeWhole } from "../files.ts";
import { cacheDir, projectDir, pulumiCommand, toolsDir } from "../paths.ts";
import { describeError, log } from "../program.ts";
import type { Versions } from "./versions.ts";

/** How a part came to this machine, in the order in which the ways are tried. */
export type Way = "there" | "download" | "archive" | "toolchain";

/** The Pulumi that was set up: the CLI, its home with the plugins, and how either was had. */
export interface PulumiSetup {
  readonly cli: string;
  readonly home: string;
  readonly ways: { readonly cli: Way; readonly plugins: Way };
}

interface Part {
  /** The CLI's program, or the home that has the plugins. */
  readonly path: string;
  readonly way: Way;
}

const downloadHost = "https://get.pulumi.com";
/** Longest wait for the download host to answer at all, milliseconds: one that can't be reached must cost seconds. */
const reachTimeoutMs = 4_000;
const pluginNames = ["docker", "command"] as const;

const root = (): string => join(cacheDir(), "pulumi");
/** Home for official plugins that set-up brought. */
const officialHome = (): string => join(root(), "home");
/** Where `toolchain/build` puts its programs: also a home, apart from the official one, since its plugins carry official names. */
const toolchainHome = (): string => join(root(), "toolchain");
const archivesDir = (): string | undefined => process.env["PULUMI_PLUGIN_ARCHIVES"];

/**
 * The Pulumi CLI and both provider plugins in the versions of `toolchain/versions.env`, and `.tools/bin/pulumi`, which runs them with this project's Node.
 * Each is what is there already, else an official download, else an archive of the folder PULUMI_PLUGIN_ARCHIVES, else built by `toolchain/`.
 * @throws {Error} naming what each way said
 */
export async function setUpPulumi(versions: Versions): Promise<PulumiSetup> {
  const failures: string[] = [];
  const attempt = async <T>(what: string, get: () => Promise<T | undefined>): Promise<T | undefined> => {
    try {
      return await get();
    } catch (error) {
      failures.push(`${what}: ${describeError(error)}`);
      log(`setup: Pulumi: ${failures.at(-1) ?? ""}`);
      return undefined;
    }
  };
  const thereCli = await findCli(versions.cli);
  const therePlugins = await findPlugins(versions);
  const online = thereCli !== undefined && therePlugins !== undefined ? false : await isReachable(failures);
  const cli =
    thereCli ??
    (online ? await attempt("download of the CLI", () => downloadCli(versions.cli)) : undefined) ??
    (await attempt("archive of the CLI", () => unpackCli(versions.cli)));
  const plugins =
    therePlugins ??
    (cli !== undefined && online ? await attempt("download of the plugins", () => downloadPlugins(cli.path, versions)) : undefined) ??
    (await attempt("archives of the plugins", () => unpackPlugins(versions)));
  const built = cli === undefined || plugins === undefined ? await build(cli === undefined, plugins === undefined, failures) : undefined;
  const chosen = {
    cli: cli ?? { path: join(built ?? "", "bin", "pulumi"), way: "toolchain" },
    plugins: plugins ?? { path: built ?? "", way: "toolchain" },
  } as const;
  const program = await besideHost(chosen.cli, chosen.plugins.path);
  await writeWrapper(program, chosen.plugins.path);
  return { cli: program, home: chosen.plugins.path, ways: { cli: chosen.cli.way, plugins: chosen.plugins.way } };
}

/** Path of the CLI to run: one that was built here moves beside an official language host where an archive brought one, since the CLI looks there first. */
async function besideHost(cli: Part, home: string): Promise<string> {
  if (cli.way !== "toolchain" || !existsSync(join(home, "bin", "pulumi-language-nodejs"))) return cli.path;
  const target = join(home, "bin", "pulumi");
  if (target === cli.path) return target;
  await copyFile(cli.path, `${target}.part`);
  await rename(`${target}.part`, target);
  return target;
}

/** A CLI of this machine that is new enough, or the one that set-up brought before. */
async function findCli(version: string): Promise<Part | undefined> {
  const ours = dirname(pulumiCommand);
  const onPath = (process.env["PATH"] ?? "")
    .split(delimiter)
    .filter((dir) => dir !== ours && dir !== "")
    .map((dir) => join(dir, "pulumi"));
  for (const path of [...onPath, join(root(), "cli", "bin", "pulumi")].filter((file) => existsSync(file))) {
    const found = await execa(path, ["version"], { reject: false, env: { PULUMI_SKIP_UPDATE_CHECK: "true" } });
    const parsed = found.exitCode === 0 ? new SemVer(found.stdout.trim().replace(/^v/, "")) : undefined;
    if (parsed !== undefined && gte(parsed, version) && major(parsed) === major(version)) return { path, way: "there" };
  }
  return undefined;
}

const pluginDir = (home: string, name: string, version: string): string => join(home, "plugins", `resource-${name}-v${version}`);
const hasPlugins = (home: string, { plugins }: Versions): boolean =>
  pluginNames.every((name) => existsSync(join(pluginDir(home, name, plugins[name]), `pulumi-resource-${name}`)));

/** A home that has the official plugins: the user's own, or the one of an earlier set-up. */
function findPlugins(versions: Versions): Promise<Part | undefined> {
  const own = process.env["PULUMI_HOME"] ?? join(homedir(), ".pulumi");
  const home = [own, officialHome()].find((candidate) => hasPlugins(candidate, versions));
  return Promise.resolve(home === undefined ? undefined : { path: home, way: "there" });
}

async function isReachable(failures: string[]): Promise<boolean> {
  try {
    await fetch(downloadHost, { method: "HEAD", redirect: "manual", signal: AbortSignal.timeout(reachTimeoutMs) });
    return true;
  } catch (error) {
    failures.push(`download: ${downloadHost} can't be reached: ${describeError(error)}`);
    return false;
  }
}

async function downloadCli(version: string): Promise<Part> {
  log(`setup: Pulumi: downloading the CLI ${version}`);
  const { command } = await PulumiCommand.install({ root: join(root(), "cli"), version: new SemVer(version) });
  return { path: command, way: "download" };
}

async function downloadPlugins(cli: string, { plugins }: Versions): Promise<Part> {
  for (const name of pluginNames) {
    log(`setup: Pulumi: downloading the plugin ${name} ${plugins[name]}`);
    await execa(cli, ["plugin", "install", "resource", name, plugins[name]], { env: { PULUMI_HOME: officialHome() } });
  }
  return { path: officialHome(), way: "download" };
}

/** File of the archives folder whose name begins and ends so; undefined where there is no folder or no such file. */
async function findArchive(start: string): Promise<string | undefined> {
  const dir = archivesDir();
  if (dir === undefined) return undefined;
  const name = (await readdir(dir)).find((file) => file.startsWith(start) && file.endsWith(".tar.gz"));
  return name === undefined ? undefined : join(dir, name);
}

async function unpackCli(version: string): Promise<Part | undefined> {
  const archive = await findArchive(`pulumi-v${version}-`);
  if (archive === undefined) return undefined;
  const target = join(root(), "cli");
  await mkdir(join(target, "bin"), { recursive: true });
  await execa("tar", ["-xzf", archive, "-C", join(target, "bin"), "--strip-components=1"]);
  return { path: join(target, "bin", "pulumi"), way: "archive" };
}

/** Unpacks both plugins, and the Node language host where there is one, into the official home. */
async function unpackPlugins({ cli, plugins }: Versions): Promise<Part | undefined> {
  const archives = await Promise.all(pluginNames.map((name) => findArchive(`pulumi-resource-${name}-v${plugins[name]}-`)));
  if (archives.includes(undefined)) return undefined;
  for (const [index, name] of pluginNames.entries()) await unpack(archives[index] ?? "", pluginDir(officialHome(), name, plugins[name]));
  const host = await findArchive(`pulumi-language-nodejs-v${cli}-`);
  if (host !== undefined) await unpack(host, join(officialHome(), "bin"));
  return { path: officialHome(), way: "archive" };
}

/** An archive's files in `dir`, all of them or none. */
async function unpack(archive: string, dir: string): Promise<void> {
  if (existsSync(dir)) return;
  const part = `${dir}.part`;
  await mkdir(part, { recursive: true });
  await execa("tar", ["-xzf", archive, "-C", part]);
  await rename(part, dir);
}

/** Builds what is missing from the Go module proxy. @throws {Error} with what all ways said */
async function build(needsCli: boolean, needsPlugins: boolean, failures: readonly string[]): Promise<string> {
  const names = [...(needsCli ? ["cli", "nodejs-host"] : []), ...(needsPlugins ? ["docker-provider", "command-provider"] : [])];
  log(`setup: Pulumi: ${names.join(", ")} from the Go module proxy, built once`);
  const building = execa(join(projectDir, "toolchain", "build"), ["--out", toolchainHome(), "--only", names.join(",")], {
    all: true,
    reject: false,
  });
  let tail = "";
  for await (const line of building.iterable({ from: "all" })) {
    log(`setup: ${line}`);
    tail = line;
  }
  const { exitCode } = await building;
  if (exitCode === 0) return toolchainHome();
  const reasons = [...failures, `toolchain: ${tail}`];
  throw new Error(
    `Pulumi could not be set up; install the CLI (https://www.pulumi.com/docs/install), or put archives of the plugins into a folder and name it in PULUMI_PLUGIN_ARCHIVES, or install Go\n  ${reasons.join("\n  ")}`,
  );
}

/**
 * `.tools/bin/pulumi`: the CLI with this project's Node 24, so that `pulumi` can be run directly whatever `node` there is.
 * The passphrase is empty unless one is set: the dev stack's is.
 */
async function writeWrapper(cli: string, home: string): Promise<void> {
  const path = [join(toolsDir, "..", "node_modules", ".bin"), join(home, "bin"), dirname(cli)].join(delimiter);
  const lines = [
    "#!/bin/sh",
    "# Made by `npm run setup`: Pulumi with this project's Node and plugins.",
    `export PATH='${path}${delimiter}'"$PATH" PULUMI_HOME='${home}' PULUMI_SKIP_UPDATE_CHECK=true`,
    `export NODE_COMPILE_CACHE="\${NODE_COMPILE_CACHE:-${join(cacheDir(), "node-compile-cache")}}"`, // an up with nothing to change takes a fifth less
    '[ -n "${PULUMI_CONFIG_PASSPHRASE+set}${PULUMI_CONFIG_PASSPHRASE_FILE+set}" ] || export PULUMI_CONFIG_PASSPHRASE=',
    `exec '${cli}' "$@"`,
    "",
  ];
  await mkdir(dirname(pulumiCommand), { recursive: true });
  await writeWhole(pulumiCommand, lines.join("\n"), 0o755);
}
