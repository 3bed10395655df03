import { createHash } from "node:crypto";
import { posix } from "node:path";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";

import type Docker from "dockerode";
import tar from "tar-stream";

import { dockerStatus } from "../docker/host.ts";
import { helperLabels } from "../docker/helper-labels.ts";
import { guardContainer } from "./guarded.ts";

const root = "/store";

/**
 * Files in a Docker volume on any Docker host, read and written through a container that is created and never started.
 *
 * Docker unpacks an archive in place, so a writer killed half-way leaves a torn file. Hence nothing is ever overwritten: `append` adds
 * a file named after the time and the hash of its content, and `latest` takes the newest one whose content fits its name.
 */
export class VolumeStore implements AsyncDisposable {
  readonly #container: Docker.Container;
  readonly #endGuard: () => void;

  private constructor(container: Docker.Container, endGuard: () => void) {
    this.#container = container;
    this.#endGuard = endGuard;
  }

  /** Opens a volume, which is made if there is none; `label` names stack and program on the helper container, `<stack>/<program>`; `host` is what `docker` connects to. */
  static async open(docker: Docker, volume: string, image: string, label: string, host: string | null = null): Promise<VolumeStore> {
    const container = await docker.createContainer({
      Image: image,
      Entrypoint: ["/never-started"],
      Cmd: [],
      NetworkDisabled: true,
      Labels: { ...(await helperLabels(label.split("/")[0] ?? label)), "llm-server.owner": label },
      HostConfig: { Mounts: [{ Type: "volume", Source: volume, Target: root }], NetworkMode: "none", CapDrop: ["ALL"] },
    });
    return new VolumeStore(container, guardContainer(host, container.id));
  }

  /** Adds a new version of a document and returns its path inside the volume. `stamp` orders the versions: a UTC time in ISO form. */
  async append(folder: string, stamp: string, document: unknown): Promise<string> {
    const content = Buffer.from(`${JSON.stringify(document)}\n`);
    const path = posix.join(folder, `${stamp.replaceAll(/[-:]/g, "")}-${contentHash(content)}.json`);
    const pack = tar.pack();
    for (const parent of parents(folder)) pack.entry({ name: parent, type: "directory", mode: 0o755 });
    pack.entry({ name: path, mode: 0o444 }, content);
    pack.finalize();
    await this.#container.putArchive(await buffer(pack), { path: root });
    return path;
  }

  /** The newest whole document of a folder with its path; undefined if there is none. */
  async latest(folder: string): Promise<{ path: string; document: unknown } | undefined> {
    const files = await this.list(folder);
    const whole = files.filter((file) => file.name.endsWith(`-${contentHash(file.content)}.json`));
    const newest = whole.toSorted((a, b) => (a.name < b.name ? -1 : 1)).at(-1);
    if (newest === undefined) return undefined;
    return { path: posix.join(folder, newest.name), document: JSON.parse(newest.content.toString("utf8")) };
  }

  /** One document by the path that `append` returned. @throws {Error} if it is missing or its content does not fit its name. */
  async read(path: string): Promise<unknown> {
    const folder = posix.dirname(path);
    const file = (await this.list(folder)).find(({ name }) => path === posix.join(folder, name));
    if (file === undefined) throw new Error(`${path}: not in the volume`);
    if (!path.endsWith(`-${contentHash(file.content)}.json`)) throw new Error(`${path}: torn: its content does not fit its name`);
    return JSON.parse(file.content.toString("utf8"));
  }

  /** Every file under a folder, names relative to it, torn ones too; empty if the folder is not there. */
  async list(folder: string): Promise<{ name: string; content: Buffer }[]> {
    let archive: NodeJS.ReadableStream;
    try {
      archive = await this.#container.getArchive({ path: posix.join(root, folder) });
    } catch (error) {
      if (dockerStatus(error) === 404) return [];
      throw error;
    }
    const files: { name: string; content: Buffer }[] = [];
    const extract = tar.extract();
    extract.on("entry", (header, stream, next) => {
      buffer(stream).then((content) => {
        if (header.type === "file") files.push({ name: header.name.split("/").slice(1).join("/"), content });
        next();
      }, next);
    });
    await pipeline(archive, extract);
    return files;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#container.remove({ force: true });
    this.#endGuard();
  }
}

function contentHash(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex").slice(0, 16);
}

/** `a/b/c` gives `a`, `a/b`, `a/b/c`: Docker unpacks a file only into folders that are there. */
function parents(folder: string): string[] {
  const parts = folder.split("/").filter((part) => part !== "");
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}
