import { posix } from "node:path";
import { Transform, type Readable } from "node:stream";
import { checkTensorExtents } from "../../plan/gguf/extents.ts";
import { GgufError } from "../../plan/gguf/types.ts";
import type { ModelFilePlan, VolumePlan } from "../../plan/models/store.ts";
import { parseModelSource } from "../../plan/config/models.ts";
import { connectDocker } from "../docker/host.ts";
import { Helper, storeDir } from "../docker/helper.ts";
import { readHeaderFrom } from "../gguf/source.ts";
import { describeError, log, runProgram } from "../program.ts";
import { beforeRollout } from "../serving.ts";
import { openSource } from "./sources.ts";

/** Input of this program, from the environment variable `MODEL_INPUT`. */
interface FetchInput {
  readonly file: ModelFilePlan;
  readonly volume: Pick<VolumePlan, "source" | "hostPath" | "stack">;
  readonly helperImageId: string;
}

const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);

/**
 * Brings one model file into a volume: found there already, adopted from the volume's top folder, or downloaded from the first source that can be had.
 * It is written as `.part`, synced, checked (size, header, every tensor inside the file, sha256), and only then renamed, so that a reader sees a whole file or none.
 * A download that was interrupted goes on where it stopped, where the source allows it. A file with another checksum is set aside, not kept in place.
 */
class ModelFetch {
  readonly #helper: Helper;
  readonly #file: ModelFilePlan;
  readonly #signal: AbortSignal;
  readonly #path: string;
  readonly #part: string;

  constructor(helper: Helper, file: ModelFilePlan, signal: AbortSignal) {
    this.#helper = helper;
    this.#file = file;
    this.#signal = signal;
    this.#path = posix.join(storeDir, file.path);
    this.#part = `${this.#path}.part`;
  }

  async run(): Promise<object> {
    await this.#helper.read(["mkdir", "-p", posix.dirname(this.#path)]);
    const origin = (await this.#find()) ?? (await this.#adopt()) ?? (await this.#download());
    const bytes = (await this.#size(this.#path)) ?? 0;
    return { id: this.#file.id, path: this.#file.path, bytes, ...origin };
  }

  /** The file at its own path, whole. */
  async #find(): Promise<object | undefined> {
    if ((await this.#size(this.#path)) === undefined) return undefined;
    const sha256 = await this.#verify(this.#path);
    log(`models: ${this.#file.id}: already in the volume, sha256 checked`);
    return { sha256, source: "volume" };
  }

  /** A file of that name which somebody put into the volume's top folder: linked, not copied. */
  async #adopt(): Promise<object | undefined> {
    const found = posix.join(storeDir, this.#file.fileName);
    if ((await this.#size(found)) === undefined) return undefined;
    const problem = await this.#problemOf(found);
    if (typeof problem === "string")
      throw new Error(`model ${this.#file.id}: ${this.#file.fileName} in the volume's top folder: ${problem}; replace it or move it away`);
    const { sha256 } = problem;
    await this.#helper.read(["ln", found, this.#path]);
    log(`models: ${this.#file.id}: taken from ${this.#file.fileName} in the volume`);
    return { sha256, source: "adopted" };
  }

  async #download(): Promise<object> {
    const failures: string[] = [];
    for (const text of this.#file.sources) {
      try {
        log(`models: ${this.#file.id}: from ${text}`);
        await this.#receive(text);
        const sha256 = await this.#verify(this.#part);
        await this.#helper.read(["sh", "-c", 'chmod 0444 "$1" && sync "$1" && mv "$1" "$2"', "sh", this.#part, this.#path]);
        return { sha256, source: text };
      } catch (error) {
        if (this.#signal.aborted) throw error;
        failures.push(`${text}: ${describeError(error)}`);
        log(`models: ${failures.at(-1) ?? ""}`);
      }
    }
    throw new Error(
      `model ${this.#file.id}: none of its ${failures.length} sources could be had; add a source in configs/models.yaml, or put ${this.#file.fileName} into the top folder of the volume\n  ${failures.join("\n  ")}`,
    );
  }

  async #receive(text: string): Promise<void> {
    const source = parseModelSource(text);
    if (source === undefined) throw new Error("not a source; see configs/models.yaml");
    const there = (await this.#size(this.#part)) ?? 0;
    await this.#checkSpace(there);
    const { stream, offset } = await openSource(source, there, this.#signal);
    if (offset > 0) log(`models: ${this.#file.id}: going on at ${mib(offset)} MiB`);
    const script = offset > 0 ? 'cat >> "$1"' : 'cat > "$1"';
    const received = this.#withProgress(stream, offset);
    await this.#helper.read(["sh", "-c", script, "sh", this.#part], received.content);
    const problem = received.problem();
    if (problem !== undefined) throw problem;
  }

  /** @throws {Error} if the volume has too little room for the rest of the file, before anything is downloaded */
  async #checkSpace(there: number): Promise<void> {
    if (this.#file.bytes === undefined) return;
    const available = Number((await this.#helper.read(["df", "-B1", "--output=avail", storeDir])).split("\n")[1]);
    const needed = this.#file.bytes - there;
    if (available < needed)
      throw new Error(
        `the volume has ${mib(available)} MiB free, expected at least ${mib(needed)} MiB; free space on the Docker host, or bind another folder with models.path`,
      );
  }

  /** The content with progress said about it. Where the source breaks off, the content ends there, so that all of it is kept, and `problem` is why. */
  #withProgress(stream: Readable, offset: number): { content: Readable; problem: () => Error | undefined } {
    let problem: Error | undefined;
    const { id, bytes } = this.#file;
    const began = performance.now();
    let received = offset;
    let said = began;
    const progress = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        received += chunk.length;
        const now = performance.now();
        if (now - said > 3_000) {
          said = now;
          const percent = bytes === undefined ? "" : ` of ${mib(bytes)} MiB (${Math.floor((100 * received) / bytes)} %)`;
          log(`models: ${id}: ${mib(received)}${percent}, ${((received - offset) / 2 ** 20 / ((now - began) / 1000)).toFixed(1)} MiB/s`);
        }
        done(null, chunk);
      },
    });
    stream.once("error", (error: Error) => {
      problem = error;
      progress.end();
    });
    this.#signal.addEventListener("abort", () => stream.destroy(this.#signal.reason as Error), { once: true });
    return { content: stream.pipe(progress), problem: () => problem };
  }

  async #size(path: string): Promise<number | undefined> {
    const { code, stdout } = await this.#helper.run(["stat", "-c", "%s", path]);
    return code === 0 ? Number(stdout) : undefined;
  }

  /** sha256 of a file of ours. @throws {Error} if it is not what was declared; it is set aside then, or kept where the rest of it can still be fetched */
  async #verify(path: string): Promise<string> {
    const problem = await this.#problemOf(path);
    if (typeof problem !== "string") return problem.sha256;
    const isShort = path === this.#part && ((await this.#size(path)) ?? 0) < (this.#file.bytes ?? 0);
    if (isShort) throw new Error(`${problem}; the next try goes on there`);
    const aside = `${this.#path}.quarantined`;
    await this.#helper.read(["mv", path, aside]);
    throw new Error(`${problem}; the file was set aside as ${posix.relative(storeDir, aside)}`);
  }

  /** What is wrong with a file's size, checksum or first bytes, else its sha256. */
  async #problemOf(path: string): Promise<string | { sha256: string }> {
    const { id, bytes, sha256 } = this.#file;
    const size = (await this.#size(path)) ?? 0;
    if (bytes !== undefined && size !== bytes) return `${size} bytes, expected ${bytes}`;
    try {
      const read = (from: number, to: number): Promise<Buffer> =>
        this.#helper.readBytes([
          "dd",
          `if=${path}`,
          "bs=64K",
          "iflag=skip_bytes,count_bytes",
          `skip=${from}`,
          `count=${to - from}`,
          "status=none",
        ]);
      checkTensorExtents(await readHeaderFrom({ fileBytes: size, read }, this.#file.fileName), size);
    } catch (error) {
      if (error instanceof GgufError) return error.message;
      throw error;
    }
    if (size > 2 ** 30) log(`models: ${id}: checking the sha256 of ${mib(size)} MiB`);
    const actual = (await this.#helper.read(["sha256sum", path])).slice(0, 64);
    return sha256 !== undefined && actual !== sha256 ? `sha256 ${actual}, expected ${sha256}` : { sha256: actual };
  }
}

await runProgram(async (signal) => {
  const { file, volume, helperImageId } = JSON.parse(process.env["MODEL_INPUT"] ?? "null") as FetchInput;
  return beforeRollout(volume.stack, signal, async () => {
    await using helper = await Helper.start(connectDocker(null), helperImageId, volume);
    return await new ModelFetch(helper, file, signal).run();
  });
});
