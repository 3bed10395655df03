import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";

/** A container as the fake engine knows it. */
export interface FakeContainer {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  isRunning: boolean;
  restart: string;
  /** Port of this machine that it publishes for its own, if any. */
  readonly port: number | undefined;
  /** Where its symbolic links point, by path. */
  readonly links: Readonly<Record<string, string>>;
  /** Somebody else's removal is under way: it is refused, and the container is there until a wait for its end is answered. */
  readonly isLeaving: boolean;
}

/** What a request is answered. */
interface Reply {
  readonly status: number;
  readonly document?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

const absent: FakeContainer = {
  name: "",
  labels: {},
  isRunning: false,
  restart: "unless-stopped",
  port: undefined,
  links: {},
  isLeaving: false,
};

/** As much of a Docker engine, on a socket of its own, as rollouts and recoveries use without entering a container. What it is asked to change is written down. */
export class FakeEngine implements AsyncDisposable {
  /** By id. */
  readonly containers = new Map<string, FakeContainer>();
  /** Each change that was asked for: `start NAME`, `remove NAME`, `update NAME {…}`. */
  readonly changes: string[] = [];
  /** How many requests came. */
  requests = 0;
  /** Answers everything with an error, as an engine that is just starting does. */
  isBroken = false;
  readonly #dir: string;
  readonly #server: http.Server;

  private constructor(dir: string) {
    this.#dir = dir;
    this.#server = http.createServer((request, response) => void this.#answer(request, response));
  }

  static async start(): Promise<FakeEngine> {
    const fake = new FakeEngine(await mkdtemp(join(tmpdir(), "llm-server-fake-engine-")));
    await new Promise<void>((resolve) => fake.#server.listen(fake.#socket, resolve));
    return fake;
  }

  get #socket(): string {
    return join(this.#dir, "docker.sock");
  }

  /** Environment for programs that are to use it. */
  get env(): Readonly<Record<string, string>> {
    return { DOCKER_HOST: `unix://${this.#socket}` };
  }

  get client(): Docker {
    return new Docker({ socketPath: this.#socket });
  }

  add(container: Pick<FakeContainer, "name" | "labels"> & Partial<FakeContainer>): string {
    const id = randomBytes(32).toString("hex");
    this.containers.set(id, { ...absent, ...container });
    return id;
  }

  names(): string[] {
    return [...this.containers.values()].map(({ name }) => name).sort();
  }

  async #answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    this.requests++;
    let body = "";
    for await (const part of request) body += String(part);
    const url = new URL(request.url ?? "", "http://engine");
    const { status, document, headers } = this.isBroken
      ? { status: 500, document: { message: "the engine is starting" } }
      : this.#reply(request.method ?? "", url, body);
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(document === undefined ? "" : JSON.stringify(document));
  }

  #reply(method: string, url: URL, body: string): Reply {
    const [, kind = "", id = "", action = ""] = url.pathname.replace(/^\/v[\d.]+/, "").split("/");
    if (kind === "info") return { status: 200, document: { MemTotal: 2 ** 34 } };
    if (id === "json") return { status: 200, document: this.#list(url.searchParams) };
    if (id === "create") return this.#create(url.searchParams.get("name") ?? "", body);
    const found = [...this.containers].find(([own, { name }]) => own === id || name === id);
    if (kind !== "containers" || found === undefined) return { status: 404, document: { message: `no such thing: ${url.pathname}` } };
    const [own, container] = found;
    if (method === "DELETE") return this.#remove(own, container);
    switch (action) {
      case "json":
        return { status: 200, document: this.#inspect(own, container) };
      case "archive":
        return method === "PUT" ? { status: 200 } : this.#stat(container.links[url.searchParams.get("path") ?? ""]);
      case "wait":
        this.containers.delete(own);
        this.changes.push(`gone ${container.name}`);
        return { status: 200, document: { StatusCode: 0 } };
      case "update":
        container.restart = (JSON.parse(body) as { RestartPolicy?: { Name: string } }).RestartPolicy?.Name ?? container.restart;
        this.changes.push(`update ${container.name} ${body}`);
        return { status: 200, document: {} };
      case "start":
      case "stop":
        container.isRunning = action === "start";
        this.changes.push(`${action} ${container.name}`);
        return { status: 204 };
      default:
        return { status: 404, document: { message: `not faked: ${url.pathname}` } };
    }
  }

  #stat(linkTarget: string | undefined): Reply {
    if (linkTarget === undefined) return { status: 404 };
    const stat = Buffer.from(JSON.stringify({ linkTarget, mtime: new Date(0).toISOString() })).toString("base64");
    return { status: 200, headers: { "x-docker-container-path-stat": stat } };
  }

  #list(query: URLSearchParams): object[] {
    const { label = [], name = [] } = JSON.parse(query.get("filters") ?? "{}") as { label?: string[]; name?: string[] };
    const all = [...this.containers].filter(
      ([, { name: own, labels, isRunning }]) =>
        (query.has("all") || isRunning) &&
        label.every((wanted) => {
          const [key = "", value] = wanted.split("=");
          return key in labels && (value === undefined || labels[key] === value);
        }) &&
        name.every((pattern) => new RegExp(pattern).test(`/${own}`)),
    );
    return all.map(([Id, { name: own, labels, isRunning }]) => ({
      Id,
      Names: [`/${own}`],
      Labels: labels,
      ImageID: "sha256:fake",
      State: isRunning ? "running" : "exited",
    }));
  }

  #inspect(Id: string, { name, isRunning, restart, port, labels }: FakeContainer): object {
    const published = port === undefined ? {} : { "8080/tcp": [{ HostIp: "127.0.0.1", HostPort: String(port) }] };
    return {
      Id,
      Name: `/${name}`,
      Image: "sha256:fake",
      State: { Running: isRunning, Restarting: false, Status: isRunning ? "running" : "exited", ExitCode: 0 },
      HostConfig: { RestartPolicy: { Name: restart } },
      Config: { Env: [], Labels: labels },
      NetworkSettings: { Ports: published, Networks: {} },
    };
  }

  #create(name: string, body: string): Reply {
    if (name !== "" && this.names().includes(name)) return { status: 409, document: { message: `the name ${name} is in use` } };
    const { Labels = {} } = JSON.parse(body) as { Labels?: Record<string, string> };
    return { status: 201, document: { Id: this.add({ name, labels: Labels }) } };
  }

  #remove(id: string, { name, isLeaving }: FakeContainer): Reply {
    if (isLeaving) return { status: 409, document: { message: `removal of container ${name} is already in progress` } };
    this.containers.delete(id);
    this.changes.push(`remove ${name}`);
    return { status: 204 };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await rm(this.#dir, { recursive: true, force: true });
  }
}
