import { setTimeout as delay } from "node:timers/promises";
import { createServer } from "node:net";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { basename, dirname } from "node:path";
import { execa } from "execa";

/**
 * Address of this machine as containers on Docker's default network see it. Asked of the daemon: Node lists an interface only while it is running, and
 * docker0 is not while no container uses it. Where no gateway is configured, Docker takes the subnet's first address.
 */
export async function dockerGateway(): Promise<string> {
  const format = "{{range .IPAM.Config}}{{.Gateway}} {{.Subnet}}{{end}}";
  const { stdout } = await execa("docker", ["network", "inspect", "bridge", "--format", format]);
  const [, gateway = "", network = ""] = /^(\S*) (\d+\.\d+\.\d+)\.0\//.exec(stdout) ?? [];
  if (network === "")
    throw new Error(
      `Docker's network bridge has ${JSON.stringify(stdout)}, expected an IPv4 subnet: the git server for image builds has nowhere to listen`,
    );
  return gateway === "" ? `${network}.1` : gateway;
}

async function freePort(host: string): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** A git server for one repository, on an address that this machine and its containers reach; gone when it is disposed of. */
export class GitServer implements AsyncDisposable {
  readonly url: string;
  readonly #abort: AbortController;
  readonly #ended: Promise<unknown>;

  private constructor(url: string, abort: AbortController, ended: Promise<unknown>) {
    this.url = url;
    this.#abort = abort;
    this.#ended = ended;
  }

  static async start(repository: string): Promise<GitServer> {
    const host = await dockerGateway();
    const port = await freePort(host);
    const abort = new AbortController();
    const options = ["--reuseaddr", "--export-all", `--base-path=${dirname(repository)}`, `--listen=${host}`, `--port=${port}`];
    // git daemon forks: a group of its own, so that all of it ends
    const daemon = execa("git", ["daemon", ...options, repository], { cancelSignal: abort.signal, reject: false, stdio: "ignore" });
    const url = `git://${host}:${port}/${basename(repository)}`;
    for (let tries = 0; (await execa("git", ["ls-remote", url], { reject: false })).failed; tries++) {
      if (tries === 50) throw new Error(`no git server at ${url}`);
      await delay(100);
    }
    return new GitServer(url, abort, daemon);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#ended;
  }
}
