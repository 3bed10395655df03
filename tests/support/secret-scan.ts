import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { labels } from "../../plan/names.ts";

/** Texts that give a secret away: itself, and the part of its base64 that does not hang on what stands beside it. */
export function formsOf(secret: string): string[] {
  const encoded = [0, 1, 2].map((offset) => {
    const shifted = Buffer.concat([Buffer.alloc(offset), Buffer.from(secret)])
      .toString("base64")
      .replaceAll("=", "");
    return shifted.slice(4, -4); // the ends share their bits with neighbours
  });
  return [secret, ...encoded];
}

/** Files below a folder that hold one of these texts, relative to it; links and folders named in `skip` are not followed. */
export async function filesWith(folder: string, texts: readonly string[], skip: readonly string[] = []): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(folder.length + 1);
    if (!entry.isFile() || skip.some((skipped) => name.startsWith(`${skipped}/`))) continue;
    const content = await readFile(path).catch(() => Buffer.alloc(0)); // gone since it was listed
    if (texts.some((text) => content.includes(text))) found.push(name);
  }
  return found.sort();
}

/** A process that was seen with a secret. */
export interface ProcessFound {
  readonly program: string;
  /** `cmdline`, or the variable of its environment. */
  readonly where: string;
}

/** How often a new process is looked at: it may exec another program. */
const looks = 6;

/** Looks at every process of this machine, again and again, until it is stopped. */
export class ProcessWatch {
  readonly #texts: readonly string[];
  readonly #looked = new Map<string, number>();
  readonly #found = new Map<string, ProcessFound>();
  readonly #timer: NodeJS.Timeout;
  /** Processes that were looked at. */
  get seen(): number {
    return this.#looked.size;
  }

  constructor(texts: readonly string[], everyMs = 40) {
    this.#texts = texts;
    let isLooking = false;
    this.#timer = setInterval(() => {
      if (isLooking) return;
      isLooking = true;
      void this.look().finally(() => (isLooking = false));
    }, everyMs);
  }

  async look(): Promise<void> {
    const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
    await Promise.all(pids.filter((pid) => (this.#looked.get(pid) ?? 0) < looks).map((pid) => this.#lookAt(pid)));
  }

  async #lookAt(pid: string): Promise<void> {
    const read = (file: string): Promise<string> => readFile(`/proc/${pid}/${file}`, "latin1").catch(() => ""); // it may be gone
    const [cmdline, environ] = await Promise.all([read("cmdline"), read("environ")]);
    if (cmdline === "") return;
    this.#looked.set(pid, (this.#looked.get(pid) ?? 0) + 1);
    const has = (text: string): boolean => this.#texts.some((each) => text.includes(each));
    const variables = environ
      .split("\0")
      .filter(has)
      .map((entry) => entry.slice(0, entry.indexOf("=")));
    const where = [...(has(cmdline) ? ["cmdline"] : []), ...variables];
    if (where.length === 0) return;
    const exe = await readlink(`/proc/${pid}/exe`).catch(() => "gone");
    const program =
      `${exe.slice(exe.lastIndexOf("/") + 1)} ${cmdline.split("\0").find((word) => word.includes("@pulumi/pulumi/cmd/run")) === undefined ? "" : "@pulumi/pulumi/cmd/run"}`.trim();
    for (const each of where) this.#found.set(`${program} ${each}`, { program, where: each });
  }

  /** Stops looking; what was found, each once. */
  async stop(): Promise<ProcessFound[]> {
    clearInterval(this.#timer);
    await this.look();
    return [...this.#found.values()];
  }
}

/** What Docker tells of while it does it, command lines of what is run in containers among it. It remembers only the last few hundred events, so it is listened to. */
export class EventWatch {
  readonly #process = execa("docker", ["events"], { reject: false });
  #said = "";

  constructor() {
    this.#process.stdout.on("data", (chunk: Buffer) => (this.#said += chunk.toString()));
  }

  /** Stops listening; the kinds of event that held one of these texts, and how many events there were. */
  async stop(texts: readonly string[]): Promise<{ readonly found: string[]; readonly count: number }> {
    await sleep(500); // what was said just now
    this.#process.kill();
    await this.#process;
    const events = this.#said.split("\n").filter((line) => line !== "");
    const found = events
      .filter((line) => texts.some((text) => line.includes(text)))
      .map((line) => line.split(" ")[2]?.replace(":", "") ?? line);
    return { found: [...new Set(found)], count: events.length };
  }
}

const lines = async (...args: string[]): Promise<string[]> =>
  [...new Set((await execa("docker", args)).stdout.split("\n"))].filter((line) => line !== "");

/**
 * Where Docker shows one of these texts for a stack: what it says of containers, their images, networks and volumes, logs and files in volumes.
 */
export async function dockerWith(stack: string, texts: readonly string[], helperImage: string): Promise<string[]> {
  const filter = ["--filter", `label=${labels.stack}=${stack}`];
  const containers = await lines("container", "ls", "--all", ...filter, "--format", "{{.Names}}");
  const volumes = await lines("volume", "ls", ...filter, "--format", "{{.Name}}");
  const networks = await lines("network", "ls", ...filter, "--format", "{{.Name}}");
  const images = containers.length === 0 ? [] : await lines("container", "inspect", "--format", "{{.Image}}", ...containers);
  const found: string[] = [];
  const look = async (what: string, ...args: string[]): Promise<void> => {
    const { all, exitCode } = await execa("docker", args, { all: true, reject: false });
    if (exitCode !== 0 && !/no such/i.test(all)) throw new Error(`${what}: ${all}`); // what is gone since it was listed shows nothing
    if (texts.some((text) => all.includes(text))) found.push(what);
  };
  for (const name of containers) await look(`inspect of container ${name}`, "container", "inspect", name);
  for (const name of containers) await look(`log of container ${name}`, "logs", name);
  for (const name of volumes) await look(`inspect of volume ${name}`, "volume", "inspect", name);
  for (const name of networks) await look(`inspect of network ${name}`, "network", "inspect", name);
  for (const id of images) await look(`inspect of image ${id}`, "image", "inspect", id);
  for (const id of images) await look(`history of image ${id}`, "history", "--no-trunc", id);
  for (const volume of volumes) {
    const mount = ["--volume", `${volume}:/v:ro`, "--workdir", "/v", "--network", "none"];
    const args = ["run", "--rm", "--interactive", ...mount, "--entrypoint", "grep", helperImage, "-rlF", "-f", "-", "."];
    const { stdout, exitCode, stderr } = await execa("docker", args, { input: `${texts.join("\n")}\n`, reject: false });
    if (exitCode !== 0 && exitCode !== 1) throw new Error(`volume ${volume}: ${stderr}`);
    found.push(...stdout.split("\n").flatMap((file) => (file === "" ? [] : [`volume ${volume}: ${file.slice(2)}`])));
  }
  return found;
}
