import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import Docker from "dockerode";
import { Command } from "commander";
import { capabilitiesPath, parseServerHelp, type Capabilities } from "../../plan/config/capabilities.ts";
import { parseImages, pinnedRef } from "../../plan/config/images.ts";
import { labels, llamaImageTag } from "../../plan/names.ts";
import { projectDir } from "../paths.ts";
import { describeError, log } from "../program.ts";
import { writeFormattedJson } from "./formatted.ts";

/** How long a server may take to print its help, milliseconds; a CUDA build without driver takes about one second. */
const helpTimeoutMs = 60_000;

/**
 * What `llama-server` of a local image prints when it is called with `args`, on both streams: its help goes to one, its version to the other.
 * The container has no network and is removed again.
 * @throws {Error} if the image is not there, or the program does not exit with 0 in a minute
 */
export async function readServerText(docker: Docker, image: string, args: readonly string[]): Promise<string> {
  const container = await docker.createContainer({
    Image: image,
    Entrypoint: ["llama-server"],
    Cmd: [...args],
    Labels: { [labels.role]: "helper" },
    HostConfig: { NetworkMode: "none", CapDrop: ["ALL"], SecurityOpt: ["no-new-privileges:true"], ReadonlyRootfs: true },
  });
  try {
    const stream = await container.attach({ stream: true, stdout: true, stderr: true });
    const output = new PassThrough();
    docker.modem.demuxStream(stream, output, output);
    stream.once("end", () => output.end());
    const printed = text(output);
    await container.start();
    const { StatusCode } = (await container.wait({ abortSignal: AbortSignal.timeout(helpTimeoutMs) })) as { StatusCode: number };
    if (StatusCode !== 0) throw new Error(`llama-server ${args.join(" ")} in ${image}: exit code ${StatusCode}: ${(await printed).trim()}`);
    return await printed;
  } finally {
    await container.remove({ force: true });
  }
}

/** Capabilities of the `llama-server` in a local image, from its own help. */
export async function readCapabilities(docker: Docker, image: string): Promise<Omit<Capabilities, "ref">> {
  const version = await readServerText(docker, image, ["--version"]);
  const build = /^version: .*$/m.exec(version)?.[0].slice("version: ".length);
  if (build === undefined)
    throw new Error(`llama-server --version in ${image}: got ${version.trim()}, expected a line that starts with version:`);
  const options = parseServerHelp(await readServerText(docker, image, ["--help"]));
  return { build, source: "llama-server --help of the image", options };
}

interface Options {
  readonly dockerImage?: string;
  readonly helpText?: string;
  readonly build?: string;
  readonly source?: string;
}

async function main(name: string, options: Options): Promise<void> {
  const image = parseImages(await readFile(join(projectDir, "configs/images.yaml"), "utf8"))[name];
  if (image === undefined) throw new Error(`image: got ${name}, expected a name of configs/images.yaml`);
  const { helpText, build, source } = options;
  if (helpText !== undefined && (build === undefined || source === undefined)) {
    throw new Error("--help-text: got no --build and --source, expected both: a text does not say where it is from");
  }
  const capabilities =
    helpText === undefined || build === undefined || source === undefined
      ? { ...(await readCapabilities(new Docker(), options.dockerImage ?? llamaImageTag(name))), ...given({ build, source }) }
      : { build, source, options: parseServerHelp(await readFile(helpText, "utf8")) };
  const file = join(projectDir, capabilitiesPath(image.capabilities));
  await writeFormattedJson(file, { ref: pinnedRef(image), ...capabilities });
  log(`${capabilitiesPath(image.capabilities)}: ${capabilities.options.length} options of ${capabilities.build}`);
}

/** The entries that somebody gave. */
function given(values: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** Writes the list of flags that an image's build knows, read from the image itself: run it after a new pin is built. */
export function capabilitiesCommand(): Command {
  return new Command("capabilities")
    .description("write configs/capabilities/<name>.json from what llama-server --help prints in an image")
    .argument("<image>", "name in configs/images.yaml, e.g. latest")
    .option("--docker-image <image>", "Docker image to ask, where it is not the tag of that name")
    .option("--help-text <file>", "read the help from a file instead, with --build and --source")
    .option("--build <name>", "build that the list is of; an image says so itself")
    .option("--source <text>", "where the list is from; an image is its own source")
    .action(main);
}

if (import.meta.main) {
  try {
    await capabilitiesCommand().parseAsync();
  } catch (error) {
    log(describeError(error));
    process.exitCode = 1;
  }
}
