/** Hooks of a drift check, against a real shell and a local HTTP server. Nothing here shows that a service of others takes the JSON. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { execa } from "execa";
import { afterEach, beforeEach, expect, it } from "vitest";
import { projectDir } from "../../scripts/paths.ts";

const secret = "canary-3f1c";
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "llm-server-notify-"));
});
afterEach(() => rm(dir, { recursive: true }));

/** Calls `notify` in a process of its own, because it writes to that one's standard error. */
function call(hooks: object) {
  const script = `import { notify } from "./scripts/drift/notify.ts"; await notify(${JSON.stringify(hooks)}, { stack: "dev", isDrift: true });`;
  return execa(process.execPath, ["--input-type=module", "--eval", script], { cwd: projectDir, reject: false });
}

async function listen(
  status: number,
  headers: Record<string, string> = {},
): Promise<{ url: string; request: Promise<[IncomingMessage, string]>; close(): void }> {
  const { promise, resolve } = Promise.withResolvers<[IncomingMessage, string]>();
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      response.writeHead(status, headers).end();
      resolve([request, body]);
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/services/${secret}`, request: promise, close: () => void server.close() };
}

it("gives the JSON to a command on its standard input, and what it prints is not the report", async () => {
  const file = join(dir, "got");
  const { stdout, exitCode } = await call({ command: `cat > ${file}; echo told` });
  expect(JSON.parse(await readFile(file, "utf8"))).toEqual({ stack: "dev", isDrift: true });
  expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 0 });
});

it("posts the JSON to an address", async () => {
  const hook = await listen(200);
  const { stderr } = await call({ url: hook.url });
  const [request, body] = await hook.request;
  hook.close();
  expect(request.method).toBe("POST");
  expect(request.headers["content-type"]).toBe("application/json");
  expect(JSON.parse(body)).toEqual({ stack: "dev", isDrift: true });
  expect(stderr).toBe("");
});

it("says that a command failed, and goes on", async () => {
  expect(await call({ command: "exit 7" })).toMatchObject({
    exitCode: 0,
    stderr: "drift: the notification command failed with exit code 7",
  });
});

it.each([
  ["refuses", 500, {}],
  ["sends elsewhere", 302, { location: "http://127.0.0.1:9/" }],
])("says that an address %s, never the address, and goes on", async (_, status, headers) => {
  const hook = await listen(status, headers);
  const { exitCode, stderr } = await call({ url: hook.url });
  hook.close();
  expect(exitCode).toBe(0);
  expect(stderr).toMatch(/^drift: the notification to 127\.0\.0\.1:\d+ failed: /);
  expect(stderr).not.toContain(secret);
});

it.each([
  ["nobody listens", `http://127.0.0.1:9/${secret}`],
  ["it is no address", `nonsense ${secret}`],
  ["its scheme can't be posted to", `ftp://host/${secret}`],
])("never shows an address where %s", async (_, url) => {
  const { exitCode, stderr } = await call({ url });
  expect(exitCode).toBe(0);
  expect(stderr).toContain("failed");
  expect(stderr).not.toContain(secret);
});
