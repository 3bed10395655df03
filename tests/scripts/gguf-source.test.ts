/**
 * Headers read from real files and, by ranges, from a real HTTP server on this machine. Cannot prove: how a model hub's servers answer.
 */
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gguf } from "@huggingface/gguf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseHeaderDigest } from "../../plan/gguf/digest.ts";
import { encodeGguf, type HeaderOnlyModel } from "../../plan/gguf/write.ts";
import { writeHeaderDigest } from "../../scripts/gguf/digest-command.ts";
import { readGgufHeader } from "../../scripts/gguf/source.ts";
import { writeSparseGguf } from "../support/gguf-file.ts";
import { gemma3Swa, llamaGqa, qwen35moe, qwen3Moe } from "../support/model-shapes.ts";

let folder: string;
let server: Server;
let base: string;
/** Bytes that the server has sent, so that a test can tell a range from the whole file. */
let sentBytes = 0;

const part = (no: number, count: number): HeaderOnlyModel => ({
  metadata: {
    "general.architecture": { string: "llama" },
    "llama.block_count": { u32: 3 },
    "split.no": { u32: no },
    "split.count": { u32: count },
    "split.tensors.count": { u32: count },
  },
  tensors: [{ name: `blk.${no}.ffn_up.weight`, type: "F32", shape: [32] }],
});

/** Sends the range that was asked for, of the file in `folder`; `/whole/` ignores ranges as some servers do, `/flood/` sends more than was asked for. */
function answer(url: string, range: string | undefined, response: ServerResponse): void {
  const [, kind, name = ""] = /^\/(\w+)\/(.+)$/.exec(url) ?? [];
  let file: Buffer;
  try {
    file = readFileSync(join(folder, name));
  } catch {
    response.writeHead(404).end();
    return;
  }
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
  const body = kind === "whole" ? file : file.subarray(Number(from), kind === "flood" ? undefined : Math.min(file.length, Number(to) + 1));
  sentBytes += body.length;
  const contentRange = `bytes ${from}-${Number(from) + body.length - 1}/${file.length}`;
  response.writeHead(kind === "whole" ? 200 : 206, kind === "whole" ? {} : { "content-range": contentRange }).end(body);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "gguf-source-"));
  writeSparseGguf(join(folder, "moe.gguf"), qwen35moe("Q4_K_M"));
  // the HTTP server reads the file whole, so this one has a body of a few megabytes
  const small = encodeGguf({ ...llamaGqa(), tensors: [{ name: "blk.0.ffn_up.weight", type: "F32", shape: [1024, 1024] }] });
  writeFileSync(join(folder, "small.gguf"), Buffer.concat([small.header, Buffer.alloc(small.fileBytes - small.header.length)]));
  for (const no of [0, 1, 2]) writeSparseGguf(join(folder, `split-0000${no + 1}-of-00003.gguf`), part(no, 3));
  server = createServer((request, response) => answer(request.url ?? "", request.headers.range, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

describe("readGgufHeader", () => {
  it("reads the header of a 21 GB file that is a hole behind it", async () => {
    const header = await readGgufHeader(join(folder, "moe.gguf"));
    expect(header).toMatchObject({ architecture: "qwen35moe", vocabSize: 248_320, fileBytes: 21_162_512_544 });
    expect(header.tensors).toHaveLength(733);
  });

  it("reads by ranges what it reads from the file, and fetches no tensor", async () => {
    const near = await readGgufHeader(join(folder, "small.gguf"));
    sentBytes = 0;
    const far = await readGgufHeader(`${base}/ranges/small.gguf`);
    expect(far).toEqual({ ...near, source: `${base}/ranges/small.gguf` });
    expect(sentBytes).toBeLessThan(far.fileBytes - 1024 * 1024);
  });

  it.each([
    ["a server that ignores ranges", "/whole/small.gguf", /got status 200 without a byte range, expected 206/],
    ["a server that sends more than was asked for", "/flood/small.gguf", /got more than the 1048576 bytes that were asked for/],
    ["a file that isn't there", "/ranges/none.gguf", /got 404, there is no such file/],
  ])("fails on %s", async (_, path, message) => {
    await expect(readGgufHeader(base + path)).rejects.toThrow(message);
  });

  it("puts a split model together from any of its parts", async () => {
    const header = await readGgufHeader(join(folder, "split-00002-of-00003.gguf"));
    expect(header.tensors.map(({ layer }) => layer)).toEqual([0, 1, 2]);
    const far = await readGgufHeader(`${base}/ranges/split-00001-of-00003.gguf`);
    expect(far.tensors).toEqual(header.tensors);
  });

  it("fails naming the part of a split model that is missing", async () => {
    const path = join(folder, "lacking-00001-of-00003.gguf");
    writeSparseGguf(path, part(0, 3));
    writeSparseGguf(join(folder, "lacking-00003-of-00003.gguf"), part(2, 3));
    await expect(readGgufHeader(path)).rejects.toThrow(`${path}: split model of 3 files lacks part 2; fetch every part`);
  });

  it("fails naming the file on one that isn't a GGUF", async () => {
    const path = join(folder, "page.gguf");
    writeFileSync(path, "<!DOCTYPE html><title>503</title>");
    await expect(readGgufHeader(path)).rejects.toThrow(`${path}: magic: got`);
  });

  it.each([
    ["qwen3moe", qwen3Moe()],
    ["gemma3", gemma3Swa()],
  ])("agrees with @huggingface/gguf on the tensors of %s", async (name, model) => {
    const path = join(folder, `${name}.gguf`);
    writeSparseGguf(path, model);
    const theirs = await gguf(path, { allowLocalFile: true });
    const ours = await readGgufHeader(path);
    expect(ours.tensors.map(({ name: tensor, shape }) => [tensor, shape])).toEqual(
      theirs.tensorInfos.map(({ name: tensor, shape }) => [tensor, shape.map(Number)]),
    );
  });
});

describe("writeHeaderDigest", () => {
  it("writes what the planner reads back", async () => {
    const path = await writeHeaderDigest("moe", join(folder, "moe.gguf"), "a test", folder);
    const header = await readGgufHeader(join(folder, "moe.gguf"));
    const digest = parseHeaderDigest(JSON.parse(readFileSync(path, "utf8")));
    expect({ ...digest, tensors: digest.tensors.length }).toEqual({ ...header, tensors: header.tensors.length, source: "a test" });
  });

  it("fails on a file that was cut behind its header, and writes nothing", async () => {
    const path = join(folder, "cut.gguf");
    writeSparseGguf(path, qwen3Moe());
    truncateSync(path, 8_000_000_000);
    await expect(writeHeaderDigest("cut", path, "a test", folder)).rejects.toThrow(
      /its tensors end at \d+; \d+ bytes are missing, fetch the file again/,
    );
    expect(() => readFileSync(join(folder, "configs/headers/cut.json"))).toThrow("ENOENT");
  });
});
