import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { accessInputSchema, apiKeySchema, certificateFile, keysFile, putSecretScript, type AccessInput } from "../plan/access.ts";
import { execIn, readExec } from "./docker/exec.ts";
import { connectDocker, dockerStatus } from "./docker/host.ts";
import { exchange } from "./gates/chat-client.ts";
import { log, runProgram } from "./program.ts";
import { reachGateway } from "./rollout/reach-gateway.ts";

/** Longest wait for the gateway to answer with what was brought, milliseconds. */
const answerMs = 30_000;
const pollMs = 200;

/** A certificate with its chain and its key as the gateway takes them, in one text. @throws {Error} naming the file and what is wrong with it */
async function readCertificate({ certificate, key, names }: NonNullable<AccessInput["certificate"]>): Promise<string> {
  const [chain, privateKey] = await Promise.all([readPem("certificate", certificate), readPem("key", key)]);
  const parsed = parse("certificate", certificate, () => new X509Certificate(chain));
  const isOurs = parsed.checkPrivateKey(parse("key", key, () => createPrivateKey(privateKey)));
  if (!isOurs)
    throw new Error(`llm-server:gateway.tls.key: ${key} is not the private key of ${certificate}; name the files that belong together`);
  const foreign = names.filter((name) => (isIP(name) === 0 ? parsed.checkHost(name) : parsed.checkIP(name)) === undefined);
  if (foreign.length > 0)
    throw new Error(
      `llm-server:gateway.tls.names: got ${foreign.join(", ")}, expected names of ${certificate}: ${parsed.subjectAltName ?? "none"}; remove them, or get a certificate for them`,
    );
  if (parsed.validToDate.getTime() < Date.now())
    throw new Error(`llm-server:gateway.tls.certificate: ${certificate} was valid until ${parsed.validTo}; renew it`);
  return `${chain.trimEnd()}\n${privateKey.trimEnd()}\n`;
}

async function readPem(part: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new Error(`llm-server:gateway.tls.${part}: expected a PEM file that pulumi up can read on this machine`, { cause: error });
  }
}

function parse<T>(part: string, path: string, read: () => T): T {
  try {
    return read();
  } catch {
    // what OpenSSL says of a file that it can't read helps nobody, and must not show its content
    throw new Error(
      `llm-server:gateway.tls.${part}: ${path} is no PEM file with ${part === "key" ? "a private key without a passphrase" : "a certificate"}`,
    );
  }
}

/** Puts a secret into the gateway's volume. Its text is standard input all the way: no argument or variable of any process. */
const put = (gateway: Docker.Container, file: string, secret: string): Promise<Buffer> =>
  readExec(gateway, ["sh", "-c", putSecretScript(file)], Readable.from([secret]));

/** @throws {Error} if the gateway does not run */
async function requireRunning(gateway: Docker.Container, { stack, container }: AccessInput): Promise<void> {
  const state = await gateway.inspect().then(
    ({ State }) => State.Status,
    (error: unknown) => {
      if (dockerStatus(error) === 404) return "gone";
      throw error;
    },
  );
  if (state !== "running")
    throw new Error(`gateway ${container} is ${state}, expected it running; start it: npm run up -- ${stack} --yes -- --refresh`);
}

/** Waits until the gateway answers a caller that has a key and trusts the certificate. @throws {Error} with what came instead */
async function prove(gateway: Docker.Container, signal: AbortSignal): Promise<void> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(answerMs)]);
  for (;;) {
    try {
      const { status } = await exchange(await reachGateway(gateway), "/-/metrics", undefined, deadline); // open to nobody without a key
      if (status === 200) return;
      throw new Error(`status ${status}`);
    } catch (error) {
      signal.throwIfAborted();
      if (deadline.aborted)
        throw new Error("the gateway does not answer with the keys and the certificate that it was given", { cause: error });
    }
    await sleep(pollMs);
  }
}

await runProgram(async (signal) => {
  const input = accessInputSchema.parse(JSON.parse(process.env["ACCESS_INPUT"] ?? "null"));
  const keys = (input.wantsKey ? await text(process.stdin) : "").split("\n").filter((key) => key !== "");
  if (!keys.every((key) => apiKeySchema.safeParse(key).success) || input.wantsKey !== keys.length > 0)
    throw new Error(`standard input: got ${keys.length} ${keys.length === 1 ? "line" : "lines"}, expected API keys, one a line`);
  const bundle = input.certificate === null ? undefined : await readCertificate(input.certificate); // refused before anything changes
  const gateway = connectDocker(null).getContainer(input.container);
  await requireRunning(gateway, input);
  if (keys.length > 0) await put(gateway, keysFile, `${keys.join("\n")}\n`);
  if (bundle !== undefined) {
    const hadOne = (await execIn(gateway, ["test", "-e", certificateFile])).code === 0;
    await put(gateway, certificateFile, bundle);
    // the init passes it on to Caddy, which loads the file again; a first certificate is what the container waits for
    if (hadOne) await readExec(gateway, ["sh", "-c", "kill -USR1 1"]);
  }
  await prove(gateway, signal);
  log(
    `access: ${[...(keys.length > 0 ? [`${keys.length} API key(s)`] : []), ...(bundle === undefined ? [] : ["certificate"])].join(" and ")} in place`,
  );
  return { keys: keys.length, certificate: bundle === undefined ? null : new X509Certificate(bundle).fingerprint256 };
});
