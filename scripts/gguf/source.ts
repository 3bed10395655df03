import { open, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseGgufShardFilename } from "@huggingface/gguf";
import { GgufNeedsMore } from "../../plan/gguf/cursor.ts";
import { joinSplitHeaders } from "../../plan/gguf/extents.ts";
import { parseGgufHeader } from "../../plan/gguf/parse.ts";
import { GgufError, type GgufHeader } from "../../plan/gguf/types.ts";

/** First read of a header; most of what a small model's header needs, and a tenth of a large one's. */
const FIRST_READ_BYTES = 1024 * 1024;

/** A file whose beginning can be read, here or far away. */
export interface HeaderSource {
  readonly fileBytes: number;
  /** Bytes from `from` up to, not including, `to`. */
  read(from: number, to: number): Promise<Uint8Array>;
}

type PrefixSource = HeaderSource & AsyncDisposable;

/** What a read of a remote header may be given: a signal that stops it. */
export interface HeaderReadOptions {
  readonly signal?: AbortSignal;
}

/**
 * Header of a GGUF file at a path or an `http(s)` URL; of a remote file only the header's ranges travel. A split model is read from all its
 * parts, which lie beside the first.
 * @throws {GgufError} naming the file and the fault; a missing part is named.
 */
export async function readGgufHeader(location: string, options: HeaderReadOptions = {}): Promise<GgufHeader> {
  const first = await readOne(location, options);
  if (first.split === null) return first;
  const parts = await Promise.all(partLocations(location, first.split.count).map((part) => readPart(part, options)));
  return joinSplitHeaders(parts.filter((part) => part !== null));
}

/** Header of one file, split or not. */
async function readOne(location: string, options: HeaderReadOptions): Promise<GgufHeader> {
  await using source = /^https?:\/\//.test(location) ? await openRemote(location, options) : await openLocal(location);
  return await readHeaderFrom(source, location); // awaited: the source is closed on return
}

/**
 * Header of one file, of which only as much is read as its header takes.
 * @throws {GgufError} naming the file and the fault
 */
export async function readHeaderFrom(source: HeaderSource, location: string): Promise<GgufHeader> {
  let prefix = await source.read(0, Math.min(source.fileBytes, FIRST_READ_BYTES));
  for (;;) {
    try {
      return parseGgufHeader({ prefix, fileBytes: source.fileBytes, source: location });
    } catch (error) {
      if (error instanceof GgufError) throw new GgufError(`${location}: ${error.message}`, { cause: error });
      if (!(error instanceof GgufNeedsMore)) throw error;
      const wanted = Math.min(source.fileBytes, Math.max(error.atLeastBytes, prefix.length * 4));
      prefix = Buffer.concat([prefix, await source.read(prefix.length, wanted)]);
    }
  }
}

async function readPart(location: string, options: HeaderReadOptions): Promise<GgufHeader | null> {
  try {
    return await readOne(location, options);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    if (error instanceof MissingError) return null;
    throw error;
  }
}

/** The names of all parts, from one of them: `name-00002-of-00003.gguf`. */
function partLocations(location: string, count: number): string[] {
  const file = location.slice(location.lastIndexOf("/") + 1);
  const shard = parseGgufShardFilename(file);
  if (shard === null)
    throw new GgufError(
      `${location}: one of ${count} parts, but its name has no -00001-of-${String(count).padStart(5, "0")}.gguf; give the files their names back`,
    );
  const folder = location.startsWith("http") ? location.slice(0, location.lastIndexOf("/") + 1) : `${dirname(location)}/`;
  return Array.from({ length: count }, (_, index) => {
    const name = `${shard.prefix}-${String(index + 1).padStart(5, "0")}-of-${shard.total}.gguf`;
    return location.startsWith("http") ? folder + name : join(folder, name);
  });
}

async function openLocal(path: string): Promise<PrefixSource> {
  const file = await open(path);
  const fileBytes = (await file.stat()).size;
  return { fileBytes, read: (from, to) => readFully(file, from, to - from, path), [Symbol.asyncDispose]: () => file.close() };
}

async function readFully(file: FileHandle, position: number, length: number, path: string): Promise<Uint8Array> {
  const buffer = Buffer.alloc(length);
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(buffer, done, length - done, position + done);
    if (bytesRead === 0) throw new GgufError(`${path}: got ${position + done} bytes, it had more when it was opened; is it being written?`);
    done += bytesRead;
  }
  return buffer;
}

class MissingError extends GgufError {}

/** Longest wait for one range, milliseconds. */
const RANGE_TIMEOUT_MS = 60_000;

async function openRemote(url: string, { signal }: HeaderReadOptions): Promise<PrefixSource> {
  const range = async (from: number, to: number): Promise<{ body: Uint8Array; fileBytes: number }> => {
    const timeout = AbortSignal.timeout(RANGE_TIMEOUT_MS);
    const response = await fetch(url, {
      headers: { range: `bytes=${from}-${to - 1}`, "accept-encoding": "identity" },
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    });
    if (response.status === 404) throw new MissingError(`${url}: got 404, there is no such file`);
    const total = /^bytes \d+-\d+\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
    if (response.status !== 206 || total === undefined) {
      await response.body?.cancel();
      throw new GgufError(
        `${url}: got status ${response.status} without a byte range, expected 206; the server must answer range requests`,
      );
    }
    return { body: await readBody(response, to - from, url), fileBytes: Number(total) };
  };
  const first = await range(0, FIRST_READ_BYTES);
  return {
    fileBytes: first.fileBytes,
    read: async (from, to) => (to <= first.body.length ? first.body.subarray(from, to) : (await range(from, to)).body),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** The body of an answer, refused as soon as it is longer than what was asked for. */
async function readBody(response: Response, mostBytes: number, url: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const body: AsyncIterable<Uint8Array> | null = response.body;
  for await (const chunk of body ?? []) {
    length += chunk.length;
    if (length > mostBytes) throw new GgufError(`${url}: got more than the ${mostBytes} bytes that were asked for`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
