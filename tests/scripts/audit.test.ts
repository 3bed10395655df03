/** What CI makes of each answer of a registry that is asked for known vulnerabilities. Cannot prove: that npm finds those there are. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { execa } from "execa";
import { afterEach, describe, expect, it } from "vitest";
import { projectDir } from "../../scripts/paths.ts";

describe(".ci/audit", () => {
  let registry: Server;
  afterEach(() => registry.close());

  it.each([
    ["has no audit endpoint", 405, 0, "nothing was checked"],
    ["fails to answer", 503, 1, "audit endpoint returned an error"],
  ])("with a registry that %s (%i) exits with %i", async (_what, status, expected, said) => {
    registry = createServer((request, response) => {
      request.resume().once("end", () => response.writeHead(status, { "content-type": "application/json" }).end("{}"));
    });
    await new Promise<void>((resolve) => registry.listen(0, "127.0.0.1", resolve));
    const { port } = registry.address() as AddressInfo;
    const env = { npm_config_registry: `http://127.0.0.1:${port}`, npm_config_fetch_retries: "0" };
    const { exitCode, all } = await execa(`${projectDir}.ci/audit`, { env, all: true, reject: false });
    expect({ exitCode, all }).toEqual({ exitCode: expected, all: expect.stringContaining(said) as string });
  });
});
