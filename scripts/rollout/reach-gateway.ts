import { X509Certificate } from "node:crypto";
import { checkServerIdentity } from "node:tls";
import type Docker from "dockerode";
import { bracketed, certificateFile, keysFile, readAccess, rootCertificateFile, type Access } from "../../plan/access.ts";
import { execText, readExec } from "../docker/exec.ts";
import type { ChatServer } from "../gates/chat-client.ts";

/** What a gateway's container asks of its callers. */
export async function readAccessOf(container: Docker.Container): Promise<Access> {
  const { Config } = await container.inspect();
  return readAccess((name) => Config.Env.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1));
}

/** Host and port where a gateway is published, as this host reaches them. @throws {Error} if it is not */
async function readAddress(container: Docker.Container): Promise<string> {
  const { NetworkSettings } = await container.inspect();
  const bindings = Object.values(NetworkSettings.Ports) as ({ HostIp: string; HostPort: string }[] | null)[];
  const [published] = bindings.flatMap((each) => each ?? []);
  if (published === undefined) throw new Error("the gateway publishes no port");
  const { HostIp: ip, HostPort: port } = published;
  const host = ip === "" || ip === "0.0.0.0" ? "127.0.0.1" : ip === "::" ? "::1" : ip;
  return `${bracketed(host)}:${port}`;
}

/**
 * A running gateway as its callers reach it: with one of its keys, and trusting its own certificate authority, or exactly the certificate that it was given.
 * Both are read from where they lie, through Docker, and kept in memory only.
 * @throws {Error} if it publishes no port, or has no certificate yet
 */
export async function reachGateway(container: Docker.Container): Promise<ChatServer> {
  const [{ wantsKey, tls }, address] = await Promise.all([readAccessOf(container), readAddress(container)]);
  const [key] = wantsKey ? ((await execText(container, ["cat", keysFile])) ?? "").split("\n") : [];
  const headers: Record<string, string> = key === undefined || key === "" ? {} : { authorization: `Bearer ${key}` };
  if (tls === null) return { url: `http://${address}`, headers };
  return {
    url: `https://${address}`,
    headers,
    tls: tls.mode === "internal" ? await trustOwnAuthority(container, tls.name) : await trustGiven(container),
  };
}

async function trustOwnAuthority(container: Docker.Container, name: string): Promise<ChatServer["tls"]> {
  const ca = await readExec(container, ["cat", rootCertificateFile]);
  return { ca, servername: nameOrNone(name), checkServerIdentity: (_host, peer) => checkServerIdentity(name, peer) };
}

async function trustGiven(container: Docker.Container): Promise<ChatServer["tls"]> {
  const given = await readExec(container, ["sed", "-n", "/-----BEGIN CERTIFICATE-----/,/-----END CERTIFICATE-----/p", certificateFile]);
  const { fingerprint256 } = new X509Certificate(given);
  return {
    ca: given,
    allowPartialTrustChain: true,
    checkServerIdentity: (_host, peer) =>
      peer.fingerprint256 === fingerprint256
        ? undefined
        : new Error("the gateway shows another certificate than the one that it was given"),
  };
}

/** A name that TLS can ask for; addresses can't be. */
const nameOrNone = (name: string): string => (/[:]|^[0-9.]+$/.test(name) ? "" : name);
