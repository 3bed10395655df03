/** The probe of `drift` and `status` against servers that misbehave. Cannot prove: that llama-server's counters stand still while it hangs; tests/integration/drift.test.ts shows that. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { complete } from "../../scripts/drift/completion.ts";
import type { ChatServer } from "../../scripts/gates/chat-client.ts";

const servers: http.Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A server that answers completions with `body`, or never, and counts `work` more tokens each time it is asked for its counters; null: it doesn't tell. */
async function start(body: string | undefined, work: number | null): Promise<ChatServer> {
  let count = 0;
  const server = http.createServer((request, response) => {
    request.resume();
    if (request.url === "/metrics") {
      if (work === null) return;
      count += work;
      response.end(`llamacpp:tokens_predicted_total ${count}\nllamacpp:n_decode_total 7\n`);
    } else if (body !== undefined) response.end(body);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, headers: {} };
}

describe("a short completion", () => {
  const deadlineMs = 300;

  it("is an answer where the server gives one", async () => {
    const server = await start(JSON.stringify({ choices: [{ message: { content: "yes" } }] }), 0);
    expect(await complete(server, deadlineMs)).toMatchObject({ kind: "answered", text: "yes" });
  });

  it.each([
    ["another JSON", '{"hello":1}', 'not a chat completion: {"hello":1}'],
    ["no choice", '{"choices":[]}', 'not a chat completion: {"choices":[]}'],
    ["a page", "<html>hello</html>", "not a chat completion: <html>hello</html>"],
  ])("is none where %s comes, which is shown", async (_what, body, reason) => {
    expect(await complete(await start(body, 0), deadlineMs)).toEqual({ kind: "failed", reason });
  });

  it.each([
    ["goes on with other work", 5, true],
    ["does nothing", 0, false],
    ["does not say what it does", null, false],
  ])("is late where none comes in time, and the server %s", async (_what, work, isWorking) => {
    expect(await complete(await start(undefined, work), deadlineMs)).toEqual({ kind: "late", afterMs: deadlineMs, isWorking });
  });

  it("through a gateway is late while one of the servers behind it works, whatever the gateway itself tells", async () => {
    const [gateway, idle, working] = await Promise.all([start(undefined, null), start(undefined, 0), start(undefined, 5)]);
    expect(await complete(gateway, deadlineMs, { workers: [idle] })).toMatchObject({ isWorking: false });
    expect(await complete(gateway, deadlineMs, { workers: [idle, working] })).toMatchObject({ isWorking: true });
  });
});
