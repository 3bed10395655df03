import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa, type ResultPromise } from "execa";

/** How long an engine may take to answer or to end, milliseconds. */
const patienceMs = 60_000;

/**
 * A Docker engine of a test's own, to be ended as no test may end the machine's: with its own folders and socket, in a network namespace, because it would
 * otherwise meet the other one's bridges. Nothing but this machine can be reached from there. It gives GPUs to containers that ask for some, which get nothing. Takes root.
 */
export class OwnEngine implements AsyncDisposable {
  /** What programs are given so that they use this engine; `pulumi` then runs where its containers can be reached. */
  readonly env: Readonly<Record<string, string>>;
  readonly #dir: string;
  readonly #namespace: string;
  #process: ResultPromise<{ reject: false }> | undefined;

  private constructor(dir: string, path: string) {
    this.#dir = dir;
    this.#namespace = basename(dir);
    this.env = { DOCKER_HOST: `unix://${dir}/docker.sock`, PATH: `${join(dir, "bin")}:${path}` };
  }

  /** For `nsenter`; `ip netns exec` would hide the cgroups that an engine needs. */
  get #netOption(): string {
    return `--net=/run/netns/${this.#namespace}`;
  }

  /** Starts one that has these images of the machine's engine. `path`: PATH of the programs that use it. */
  static async create(path: string, images: readonly string[]): Promise<OwnEngine> {
    const engine = new OwnEngine(await mkdtemp(join(tmpdir(), "llm-server-engine-")), path);
    await execa("ip", ["netns", "add", engine.#namespace]);
    await engine.run(["ip", "link", "set", "lo", "up"]);
    await mkdir(join(engine.#dir, "bin"));
    const { stdout: pulumi } = await execa("which", ["pulumi"], { env: { PATH: path } });
    const wrapper = `#!/bin/sh\nexec nsenter ${engine.#netOption} ${pulumi} "$@"\n`;
    await writeFile(join(engine.#dir, "bin", "pulumi"), wrapper, { mode: 0o755 });
    // an engine that finds this when it starts takes requests for GPUs, and runs it before a container that has some
    await writeFile(join(engine.#dir, "bin", "nvidia-container-runtime-hook"), "#!/bin/sh\nexit 0\n", { mode: 0o755 });
    await engine.start().catch(async (error: unknown) => {
      await engine[Symbol.asyncDispose]();
      throw error;
    });
    await execa("sh", ["-c", `docker save ${images.join(" ")} | docker -H ${engine.env["DOCKER_HOST"] ?? ""} load`]);
    return engine;
  }

  /** Starts it, again after it has ended, and waits until it answers. */
  async start(): Promise<void> {
    const at = (name: string): string => join(this.#dir, name);
    const folders = ["--data-root", at("data"), "--exec-root", at("exec"), "--pidfile", at("pid")];
    const command = ["dockerd", ...folders, "-H", this.env["DOCKER_HOST"] ?? ""];
    const log = { file: at("log"), append: true } as const;
    this.#process = execa("nsenter", [this.#netOption, ...command], {
      env: { PATH: `${at("bin")}:${process.env["PATH"] ?? ""}` },
      stdout: log,
      stderr: log,
      reject: false,
      detached: true,
    });
    const isUp = async (): Promise<boolean> => (await execa("docker", ["version"], { env: this.env, reject: false })).exitCode === 0;
    for (const end = Date.now() + patienceMs; !(await isUp());) {
      if (Date.now() > end) throw new Error(`the test's own engine does not answer:\n${await readFile(at("log"), "utf8")}`);
      await sleep(100);
    }
  }

  /** Ends it with a signal, and waits until it has ended. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    process.kill(Number(await readFile(join(this.#dir, "pid"), "utf8")), signal);
    await this.#process;
    await this.#untilContainerdEnded();
  }

  /** An engine that is started while the containerd of the one before is just ending would take that for its own. */
  async #untilContainerdEnded(): Promise<void> {
    const file = join(this.#dir, "exec", "containerd", "containerd.pid");
    const pid = await readFile(file, "utf8").catch(() => undefined);
    if (pid === undefined) return;
    const runs = async (): Promise<boolean> =>
      /^State:\s+[^ZX]/m.test(await readFile(`/proc/${pid.trim()}/status`, "utf8").catch(() => ""));
    for (const end = Date.now() + patienceMs; await runs();) {
      await sleep(50);
      if (Date.now() > end) throw new Error(`containerd of the test's own engine does not end, process ${pid}`);
    }
    await rm(file, { force: true });
  }

  /** What a power cut ends: the engine, what it runs, and everything else that runs beside it. */
  async cutPower(): Promise<void> {
    const { stdout: ids } = await execa("docker", ["ps", "--quiet"], { env: this.env });
    const containers =
      ids === "" ? "" : (await execa("docker", ["inspect", "--format", "{{.State.Pid}}", ...ids.split("\n")], { env: this.env })).stdout;
    const pids = `${await this.#pids()}\n${containers}`.split("\n").filter((pid) => pid !== "" && pid !== "0");
    await execa("kill", ["-KILL", ...pids], { reject: false }); // one of them may have ended by itself
    await this.#process;
    await this.#untilContainerdEnded();
  }

  /** Runs a command where the engine's containers can be reached. */
  run(command: readonly string[], options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {}) {
    return execa("nsenter", [this.#netOption, ...command], { ...options, all: true, reject: false });
  }

  async #pids(): Promise<string> {
    return (await execa("ip", ["netns", "pids", this.#namespace])).stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGTERM").catch(() => undefined); // it may have ended already
    for (const pid of (await this.#pids()).split("\n").filter((line) => line !== "")) process.kill(Number(pid), "SIGKILL");
    await execa("ip", ["netns", "delete", this.#namespace]);
    const { stdout } = await execa("findmnt", ["--list", "--noheadings", "--output", "TARGET"]);
    for (const mount of stdout
      .split("\n")
      .filter((target) => target.startsWith(this.#dir))
      .reverse())
      await execa("umount", ["--lazy", mount]);
    await rm(this.#dir, { recursive: true, force: true });
  }
}
