/** The program that brings model files into a volume, against a real Docker volume and a server that misbehaves. Hugging Face itself is not asked. */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { baseImage } from "../../plan/stack.ts";
import { projectDir } from "../../scripts/paths.ts";
import { writeTinyModel } from "../support/tiny-model.ts";

const volume = "llm-server-test-fetch-models";
const folder = mkdtempSync(join(tmpdir(), "llm-server-tiny-"));
writeTinyModel(join(folder, "tiny.gguf"));
const content = readFileSync(join(folder, "tiny.gguf"));
const sha256 = createHash("sha256").update(content).digest("hex");
const path = `tiny/${sha256.slice(0, 16)}/tiny.gguf`;
type Handler = (request: IncomingMessage, response: ServerResponse) => void;

let server: Server;
let handle: Handler;
let requests: IncomingMessage[];
beforeAll(async () => {
  server = createServer((request, response) => {
    requests.push(request);
    handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(async () => {
  server.close();
  rmSync(folder, { recursive: true });
  await execa("docker", ["volume", "rm", "--force", volume]);
});
beforeEach(async () => {
  requests = [];
  await execa("docker", ["volume", "rm", "--force", volume]);
  await execa("docker", ["volume", "create", volume]);
});

/** Sends the file, from where the range header says. */
const sendFile: Handler = (request, response) => {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  response.writeHead(from > 0 ? 206 : 200, { "content-type": "application/octet-stream" });
  response.end(content.subarray(from));
};

async function fetchModel(file: object = {}): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const declared = {
    id: "tiny",
    fileName: "tiny.gguf",
    path,
    sources: ["hf:someone/tiny/tiny.gguf"],
    bytes: content.length,
    sha256,
    ...file,
  };
  const input = { file: declared, volume: { source: volume, stack: "test-fetch" }, helperImageId: baseImage };
  const { port } = server.address() as AddressInfo;
  const { exitCode, stdout, stderr } = await execa("node", ["scripts/models/fetch.ts"], {
    cwd: projectDir,
    env: { MODEL_INPUT: JSON.stringify(input), HF_ENDPOINT: `http://127.0.0.1:${port}`, HF_TOKEN: "canary-token" },
    reject: false,
  });
  expect(stdout + stderr).not.toContain("canary-token");
  return { exitCode: exitCode ?? -1, stdout, stderr };
}

/** Files in the volume with their sizes. */
async function inVolume(): Promise<string[]> {
  const { stdout } = await execa("docker", [
    "run",
    "--rm",
    "--network",
    "none",
    "-v",
    `${volume}:/v`,
    baseImage,
    "find",
    "/v",
    "-type",
    "f",
    "-printf",
    "%P %s %m\n",
  ]);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .sort();
}

const whole = [`${path} ${content.length} 444`];

describe("fetching a model", () => {
  it("downloads, checks and names the file by its content; the second time it only checks it", async () => {
    handle = sendFile;
    const first = await fetchModel();
    expect(JSON.parse(first.stdout)).toEqual({ id: "tiny", path, bytes: content.length, sha256, source: "hf:someone/tiny/tiny.gguf" });
    expect(requests[0]).toMatchObject({ url: "/someone/tiny/resolve/main/tiny.gguf", headers: { authorization: "Bearer canary-token" } });
    expect(JSON.parse((await fetchModel()).stdout)).toMatchObject({ source: "volume" });
    expect(requests).toHaveLength(1);
    expect(await inVolume()).toEqual(whole);
  });

  it("goes on where a download broke off", async () => {
    handle = (_request, response) => {
      response.writeHead(200, { "content-type": "application/octet-stream", "content-length": content.length });
      response.write(content.subarray(0, 100_000), () => response.destroy());
    };
    const broken = await fetchModel();
    expect(broken.exitCode).toBe(1);
    const [part] = await inVolume();
    const kept = Number(part?.split(" ")[1]);
    expect(part).toMatch(/tiny\.gguf\.part/);
    expect(kept).toBeGreaterThan(0);
    handle = sendFile;
    expect((await fetchModel()).exitCode).toBe(0);
    expect(requests.at(-1)?.headers.range).toBe(`bytes=${kept}-`);
    expect(await inVolume()).toEqual(whole);
  });

  it("waits when it is told to come later", async () => {
    handle = (request, response) => {
      if (requests.length > 1) sendFile(request, response);
      else response.writeHead(429, { "retry-after": "1" }).end();
    };
    expect((await fetchModel()).exitCode).toBe(0);
    expect(requests).toHaveLength(2);
  });

  it("takes the next source when one can't be had", async () => {
    handle = (request, response) => {
      if (request.url?.includes("/second/") === true) sendFile(request, response);
      else response.writeHead(404).end();
    };
    const { stdout, stderr } = await fetchModel({ sources: ["hf:first/tiny/tiny.gguf", "hf:second/tiny/tiny.gguf"] });
    expect(JSON.parse(stdout)).toMatchObject({ source: "hf:second/tiny/tiny.gguf" });
    expect(stderr).toContain("hf:first/tiny/tiny.gguf: HTTP 404");
  });

  it("refuses a web page that is sent for the file", async () => {
    handle = (_request, response) => response.writeHead(200, { "content-type": "text/html" }).end("<html>log in</html>");
    const { exitCode, stderr } = await fetchModel();
    expect(exitCode).toBe(1);
    expect(stderr).toContain("got an HTML page instead of a file");
    expect(await inVolume()).toEqual([]);
  });

  it("sets a file with another checksum aside", async () => {
    const flipped = Buffer.from(content);
    flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
    handle = (_request, response) => response.writeHead(200).end(flipped);
    const { exitCode, stderr } = await fetchModel();
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`expected ${sha256}; the file was set aside as ${path}.quarantined`);
    expect(await inVolume()).toEqual([`${path}.quarantined ${content.length} 644`]);
  });

  it("refuses a file whose tensors reach past its end, though nobody declared its size", async () => {
    handle = (_request, response) => response.writeHead(200).end(content.subarray(0, content.length - 4096));
    const { exitCode, stderr } = await fetchModel({ bytes: undefined, sha256: undefined, path: "tiny/unpinned/tiny.gguf" });
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/tensor/);
    expect(stderr).toContain("set aside");
  });

  it.each(["SIGTERM", "SIGKILL"] as const)("leaves no container behind when it gets %s in the middle", async (signal) => {
    handle = (_request, response) => {
      response.writeHead(200, { "content-length": content.length });
      response.write(content.subarray(0, 1000)); // and then nothing
    };
    const { port } = server.address() as AddressInfo;
    const input = {
      file: { id: "tiny", fileName: "tiny.gguf", path, sources: ["hf:someone/tiny/tiny.gguf"] },
      volume: { source: volume, stack: "test-fetch" },
      helperImageId: baseImage,
    };
    const child = execa("node", ["scripts/models/fetch.ts"], {
      cwd: projectDir,
      env: { MODEL_INPUT: JSON.stringify(input), HF_ENDPOINT: `http://127.0.0.1:${port}` },
      reject: false,
    });
    await expect.poll(() => requests.length, { timeout: 20_000 }).toBe(1);
    child.kill(signal);
    const { exitCode, stderr } = await child;
    if (signal === "SIGTERM")
      expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining("stopped by SIGTERM") as string });
    const left = async (): Promise<string> =>
      (await execa("docker", ["ps", "--all", "--quiet", "--filter", "label=llm-server.stack=test-fetch"])).stdout;
    await expect.poll(left, { timeout: 10_000 }).toBe("");
  });
});
