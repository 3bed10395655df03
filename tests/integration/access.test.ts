/**
 * API keys and TLS of a deployed stack that listens on every address: who gets in, that keys and certificates change without a lost request, and what a preview
 * refuses. Cannot prove: what a caller on another machine sees of the network between, and the expiry of certificates (Caddy renews them by the clock).
 */
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import { execa } from "execa";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { gatewayName, serverName } from "../../plan/names.ts";
import { exchange, type Answer } from "../../scripts/gates/chat-client.ts";
import { hostileRequest } from "../fuzz/requests.ts";
import { sendRequest, type HostileAnswer } from "../fuzz/send.ts";
import { issueCertificate } from "../support/certificate.ts";
import { prepareModels } from "../support/models.ts";
import { providerSets, type ProviderSet } from "../support/provider-sets.ts";
import { StackProject } from "../support/stack-project.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";

const sets = await providerSets();
const set = sets.find(({ name }) => name === "official") ?? sets[0];
const newKey = (): string => randomBytes(32).toString("hex");
const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` });
const question = { messages: [{ role: "user", content: "Say yes." }], max_tokens: 4, temperature: 0 };

describe.skipIf(set === undefined)("a stack with API key and TLS", () => {
  const [first, second] = [newKey(), newKey()];
  let project: StackProject;
  let root: string;
  beforeAll(async () => {
    await buildTestImage();
    await prepareModels(testImage);
    project = await StackProject.create(set as ProviderSet, { fast: true });
  });
  afterAll(async () => {
    await project[Symbol.asyncDispose]();
  });

  /** Sets the stack's keys as an operator does: by standard input. */
  const setKeys = async (...keys: string[]): Promise<void> => {
    await project.pulumi("config", "rm", "llm-server:apiKeys", "--stack", project.stack);
    for (const [index, key] of keys.entries()) {
      const args = ["config", "set", "--secret", "--path", `llm-server:apiKeys[${index}]`, "--stack", project.stack, "--non-interactive"];
      await execa("pulumi", args, { cwd: project.dir, env: project.env, input: key });
    }
  };
  const setGateway = (change: object): Promise<void> =>
    project.changeConfig(({ gateway, ...config }) => ({ ...config, gateway: { ...(gateway as object), ...change } }));
  const gateway = (): string => gatewayName(project.stack);
  const idOf = async (container: string): Promise<string> =>
    (await execa("docker", ["inspect", "--format", "{{.Id}} {{.State.StartedAt}}", container])).stdout;
  /** The way that docs/security.md names. */
  const readRoot = async (): Promise<string> =>
    (await execa("docker", ["exec", gateway(), "cat", "/state/caddy/pki/authorities/local/root.crt"])).stdout;
  const ask = (headers: Record<string, string>, { path = "/v1/chat/completions", ca = root, body = question } = {}): Promise<Answer> =>
    exchange(
      { url: `https://127.0.0.1:${project.port}`, headers, tls: { ca, servername: "llm.test" } },
      path,
      body,
      AbortSignal.timeout(60_000),
    );
  /** Answer to a request without a key, its path sent as it is written. */
  const askKeyless = (method: string, path: string, headers: Record<string, string> = {}, bytes = 0): Promise<HostileAnswer> =>
    sendRequest(project.port, { method, path, headers, body: Buffer.alloc(bytes, "a") }, { ca: root, servername: "llm.test" });
  const preflight = { origin: "https://chat.example", "access-control-request-method": "GET" };
  const expectUp = async (...args: string[]): Promise<string> => {
    const { exitCode, output } = await project.up(...args);
    expect(output.split("\n").slice(-40).join("\n")).not.toContain("error:");
    expect(exitCode).toBe(0);
    return output;
  };
  /** Requests with whatever key `key` gives at that time, while `work` runs. */
  const underKey = async (key: () => string, work: () => Promise<void>, ca = root): Promise<{ answered: number; failures: string[] }> => {
    const failures: string[] = [];
    let answered = 0;
    let isOver = false;
    const client = async (): Promise<void> => {
      while (!isOver) {
        const { status, body } = await ask(bearer(key()), { ca }).catch((error: unknown) => ({ status: 0, body: String(error) }));
        if (status === 200) answered += 1;
        else failures.push(`${status} ${body}`);
        await sleep(20);
      }
    };
    const clients = [client(), client()];
    await work().finally(() => (isOver = true));
    await Promise.all(clients);
    return { answered, failures };
  };

  it("is refused by the preview while key and TLS are missing, and while the key is plain text", async () => {
    await setGateway({ bind: "0.0.0.0" });
    const open = await project.pulumi("preview", "--stack", project.stack);
    expect(open.exitCode).not.toBe(0);
    expect(open.output).toContain('gateway.bind: got "0.0.0.0", expected 127.0.0.1 or ::1 without API key and TLS');
    expect(open.output).toContain("openssl rand -hex 32 | pulumi config set --secret --path 'llm-server:apiKeys[0]'");
    await setGateway({ tls: { mode: "internal", names: ["llm.test", "127.0.0.1"] } });
    await project.pulumi("config", "set", "--plaintext", "--path", "llm-server:apiKeys[0]", first, "--stack", project.stack);
    const plain = await project.pulumi("preview", "--stack", project.stack);
    expect(plain.exitCode).not.toBe(0);
    expect(plain.output).toContain("apiKeys: got plain text (not shown), expected secrets");
    expect(plain.output).not.toContain(first);
  });

  it("takes traffic, proved through its own gateway with its key and its certificate", async () => {
    await setKeys(first);
    const output = await expectUp();
    expect(output).toContain("access: 1 API key(s) in place");
    expect((await project.outputs())["endpoint"]).toBe(`https://llm.test:${project.port}`);
    const { stdout } = await execa("docker", ["port", gateway()]);
    expect(stdout).toContain(`8000/tcp -> 0.0.0.0:${project.port}`);
    root = await readRoot();
  });

  it("answers whoever has a key, and nobody else, in the form that OpenAI's clients read", async () => {
    expect((await ask(bearer(first))).status).toBe(200);
    expect((await ask({ "x-api-key": first })).status).toBe(200);
    const wrong = [
      {},
      bearer(second),
      bearer(""),
      bearer(`${first}0`),
      bearer(first.slice(1)),
      { authorization: first },
      { "x-api-key": "" },
    ];
    for (const headers of wrong) {
      const { status, body } = await ask(headers);
      expect({ status, ...(JSON.parse(body) as object) }).toEqual({
        status: 401,
        error: { message: expect.any(String) as string, type: "invalid_request_error", param: null, code: "invalid_api_key" },
      });
    }
    for (const path of ["/props", "/-/metrics", "/v1/models", "/v1/../health", "//health", "/health?v1", "/HEALTH"])
      expect({ path, status: (await askKeyless("GET", path)).status }).toEqual({ path, status: 401 });
    for (const path of ["/health", "/-/health"])
      expect({ path, status: (await askKeyless("GET", path)).status }).toEqual({ path, status: 200 });
  });

  it("takes no body from who has no key, not where it asks for none either", async () => {
    const big = 2 ** 20;
    const refused: [string, string, Record<string, string>, number][] = [
      ["POST", "/health", {}, big],
      ["POST", "/health", {}, 0],
      ["GET", "/health", {}, big],
      ["OPTIONS", "/v1/chat/completions", preflight, big],
      ["OPTIONS", "/v1/chat/completions", {}, 0],
      ["OPTIONS", "/-/metrics", {}, 0],
    ];
    for (const [method, path, headers, bytes] of refused) {
      const { status, headers: answered } = await askKeyless(method, path, headers, bytes);
      expect({ method, path, bytes, status }).toEqual({ method, path, bytes, status: 401 });
      expect(answered["x-llm-server-upstream"]).toBeUndefined();
    }
    const chunked = await askKeyless("GET", "/health", { "transfer-encoding": "chunked" }, big);
    expect([413, "cut"]).toContain(chunked.status);
    expect((await askKeyless("HEAD", "/health")).status).toBe(200);
  });

  it("lets a browser ask what a page may send, which shows nothing", async () => {
    const { status, headers, text } = await askKeyless("OPTIONS", "/-/metrics", preflight);
    expect({ status, text, origin: headers["access-control-allow-origin"] }).toEqual({ status: 200, text: "", origin: preflight.origin });
  });

  it("lets no hostile request in without a key", async () => {
    await fc.assert(
      fc.asyncProperty(hostileRequest, async (hostile) => {
        const { status } = await sendRequest(project.port, hostile, { ca: root, servername: "llm.test" });
        expect(status).toBe(401);
      }),
      { seed: 20_261_128, numRuns: 200, endOnFailure: true },
    );
  });

  it("is trusted by a client that has the root certificate, under each of its names, and by no other", async () => {
    await expect(ask(bearer(first), { ca: "" })).rejects.toThrow(/self-signed|issuer/);
    const names = await new Promise<string | undefined>((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port: project.port, ca: root }, () => {
        resolve(socket.getPeerCertificate().subjectaltname);
        socket.end();
      });
      socket.on("error", reject);
    });
    expect(names).toBe("IP Address:127.0.0.1"); // a client that connects to the address, and names no host
    await expect(fetch(`http://127.0.0.1:${project.port}/-/health`).then(({ status }) => status)).resolves.toBe(400);
  });

  it("changes its key without a lost request: old and new are taken for a while, and nothing is restarted", async () => {
    const server = serverName(project.stack, await project.activeRelease());
    const before = [await idOf(gateway()), await idOf(server)];
    let key = first;
    const { answered, failures } = await underKey(
      () => key,
      async () => {
        await setKeys(first, second);
        await expectUp();
        key = second;
        await sleep(2000);
        await setKeys(second);
        await expectUp();
        await sleep(500);
      },
    );
    expect(failures).toEqual([]);
    expect(answered).toBeGreaterThan(20);
    expect([await idOf(gateway()), await idOf(server)]).toEqual(before);
    expect((await ask(bearer(first))).status).toBe(401);
    const { stdout } = await execa("docker", ["exec", gateway(), "stat", "-c", "%a %u %n", "/state/access", "/state/access/keys"]);
    expect(stdout).toBe("700 10001 /state/access\n400 10001 /state/access/keys");
  });

  it("is checked for drift, and says what its callers need", async () => {
    const drift = await project.cli("drift", "-s", project.stack);
    expect(drift.output).not.toContain("gateway-");
    expect(drift.exitCode).toBe(0);
    const status = await project.cli("status", project.stack);
    expect(status.output).toContain("needs an API key (Authorization: Bearer KEY)");
    expect(status.output).toContain(`needs trust in this CA: docker exec ${gateway()} cat /state/caddy/pki/authorities/local/root.crt`);
    expect(`${drift.output}${status.output}`).not.toContain(second);
  });

  it("lets nobody in when its keys are lost, and drift says so", async () => {
    await execa("docker", ["exec", gateway(), "rm", "-f", "/state/access/keys"]);
    expect((await ask(bearer(second))).status).toBe(401);
    const { exitCode, output } = await project.cli("drift", "-s", project.stack);
    expect(output).toContain("status 401");
    expect(exitCode).toBe(2);
  });

  it("has its keys again, and the same CA, when its gateway is made anew", async () => {
    await execa("docker", ["rm", "--force", gateway()]);
    await expectUp("--refresh");
    expect(await readRoot()).toBe(root);
    expect((await ask(bearer(second))).status).toBe(200);
  });

  it("shows a given certificate, refuses one that does not fit before anything changes, and takes a renewed one without a restart", async () => {
    const [certificate, key] = [join(project.dir, "chain.pem"), join(project.dir, "key.pem")];
    const issue = (name: string): Promise<string> => issueCertificate(key, `DNS:${name}`);
    await setGateway({ tls: { mode: "files", names: ["llm.test"], certificate, key } });
    await writeFile(certificate, await issue("llm.test"));
    await expectUp();
    const given = await execa("cat", [certificate]).then(({ stdout }) => stdout);
    expect((await ask(bearer(second), { ca: given })).status).toBe(200);

    const before = await idOf(gateway());
    const renewed = await issue("llm.test");
    await writeFile(certificate, renewed);
    const { answered, failures } = await underKey(
      () => second,
      () => expectUp().then(() => undefined),
      `${given}\n${renewed}`,
    );
    expect(failures).toEqual([]);
    expect(answered).toBeGreaterThan(5);
    expect((await ask(bearer(second), { ca: renewed })).status).toBe(200);
    await expect(ask(bearer(second), { ca: given })).rejects.toThrow(/certificate/);
    expect(await idOf(gateway())).toBe(before);

    await writeFile(certificate, await issue("other.test"));
    const { exitCode, output } = await project.up();
    expect(output).toContain(`llm-server:gateway.tls.names: got llm.test, expected names of ${certificate}: DNS:other.test`);
    expect(exitCode).not.toBe(0);
    expect((await ask(bearer(second), { ca: renewed })).status).toBe(200);
  });
});

if (sets.length === 0) it.skip("needs a provider set: install Go for toolchain/, or name a folder of archives in PULUMI_PLUGIN_ARCHIVES");
