/**
 * Faults 1 and 2 of docs/faults.md: the Docker engine can't be reached, or goes away in the middle, as its clients see it: through a socket that is cut. Cannot prove: what an engine
 * does to its containers when it ends; no test stops the machine's own.
 */
import { rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, it } from "vitest";
import { describeFaults } from "./describe-faults.ts";

/** A socket that passes everything on to the engine's until it is cut. */
class EngineSocket {
  readonly path: string;
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  constructor(path: string) {
    this.path = path;
    const engine = (process.env["DOCKER_HOST"] ?? "unix:///var/run/docker.sock").slice("unix://".length);
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      const upstream = connect({ path: engine, allowHalfOpen: true });
      for (const socket of [client, upstream]) {
        this.#open.add(socket);
        socket.on("error", () => undefined).on("close", () => this.#open.delete(socket));
      }
      client.pipe(upstream).pipe(client);
    });
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(this.path, resolve));
  }

  async cut(): Promise<void> {
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
    await rm(this.path, { force: true });
  }
}

describeFaults("an engine that goes away", (stack) => {
  beforeAll(async () => {
    await stack.addBrokenImage();
    await stack.use("broken");
  });

  it("fault 1: before a deployment is named with the address that was tried, and what serves is left alone", async () => {
    await stack.expectRefused(await stack.up({ DOCKER_HOST: "unix:///nonexistent/docker.sock" }), "/nonexistent/docker.sock");
  });

  it("fault 2: in the middle of a deployment fails it, and what serves goes on; the next one ends as if nothing had been", async () => {
    await stack.replaceTool("/usr/bin/llama-perplexity", "#!/bin/sh\nexec sleep 30\n");
    const engine = new EngineSocket(join(stack.project.dir, "engine.sock"));
    await engine.listen();
    const running = stack.up({ DOCKER_HOST: `unix://${engine.path}` });
    const isMeasuring = async (): Promise<boolean> => (await stack.roles()).includes("helper running");
    await expect.poll(isMeasuring, { timeout: 120_000, interval: 200 }).toBe(true);
    await engine.cut();
    const run = await running;
    await sleep(3_000); // guards look once a second, and find no engine either
    expect(run.exitCode).not.toBe(0);
    await stack.mendImage();
    await stack.use("tiny");
    const recovered = await stack.project.cli("recover", stack.project.stack);
    expect(recovered.exitCode, recovered.output).toBe(0);
    const { exitCode, output } = await stack.up();
    expect(exitCode, output).toBe(0);
    await expect.poll(() => stack.roles(), { timeout: 60_000 }).not.toContain("helper running");
    await stack.expectServing();
  });
});
