import { appendFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { expect } from "vitest";
import { parse, stringify } from "yaml";
import { parseDeclared } from "../../plan/drift/declared.ts";
import { serverName } from "../../plan/names.ts";
import { projectDir } from "../../scripts/paths.ts";
import { readProjectFile } from "../support/project.ts";
import type { ProviderSet } from "../support/provider-sets.ts";
import { StackProject, type PulumiRun } from "../support/stack-project.ts";
import { writeTinyModel } from "../support/tiny-model.ts";
import { lightenGates } from "./light-gates.ts";

const dockerfile = "docker/Dockerfile.llama-cpp-debian";

const messages = join(projectDir, "test-artifacts", "faults");

async function keepMessage(test: string, output: string): Promise<void> {
  await mkdir(messages, { recursive: true });
  const name = test.replaceAll(/[^a-z0-9]+/gi, "-").slice(0, 120);
  await writeFile(join(messages, `${name}.txt`), `${output}\n`);
}

/** Settings of `Pulumi.<stack>.yaml` by their keys below `llm-server:`. */
type Settings = Record<string, Record<string, Record<string, unknown>>>;

/**
 * A stack that serves a tiny model, so that a deployment with its gates takes seconds, and in which one thing at a time is broken. After each fault it
 * can say whether the invariant holds: the release that passed its gates answers, and nothing of the failed one is left but what the next `up` removes.
 */
export class FaultStack {
  #project: StackProject | undefined;
  /** Release that serves, and what `up` said; set by {@link deploy}. */
  release = "";
  output = "";
  /** Volumes and networks that the release that serves came with. */
  #objects: readonly string[] = [];
  /** Headers of each request, for a stack that wants a key. */
  headers: Readonly<Record<string, string>> = {};

  get project(): StackProject {
    if (this.#project === undefined) throw new Error("the stack is made before the first test");
    return this.#project;
  }

  /** Makes the stack, with nothing deployed. */
  async start(providers: ProviderSet): Promise<void> {
    this.#project = await StackProject.create(providers);
    await this.addModel("tiny", { write: (path) => writeTinyModel(path) });
    await this.addProfile("tiny", "tiny");
    await lightenGates(this.project);
    await this.use("tiny");
  }

  /** A deployment that works. @throws {Error} with the whole output if it fails */
  async deploy(env: Readonly<Record<string, string>> = {}, ...options: readonly string[]): Promise<void> {
    const run = await this.up(env, ...options);
    if (run.exitCode !== 0) throw new Error(run.output);
    this.output = run.output;
    this.release = await this.project.activeRelease();
    this.#objects = await this.#volumesAndNetworks();
  }

  /** `pulumi up` with other environment than the project's. */
  async up(env: Readonly<Record<string, string>> = {}, ...more: readonly string[]): Promise<PulumiRun> {
    const args = ["up", "--yes", "--skip-preview", "--non-interactive", "--stack", this.project.stack, ...more];
    const options = { cwd: this.project.dir, env: { ...this.project.env, ...env }, all: true, reject: false } as const;
    const { exitCode, all } = await execa("pulumi", args, options);
    return { exitCode: exitCode ?? -1, output: all };
  }

  /** One of the project's commands, with other environment than the project's. */
  async cli(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<PulumiRun> {
    const options = { cwd: this.project.dir, env: { ...this.project.env, ...env }, all: true, reject: false } as const;
    const { exitCode, all } = await execa(process.execPath, ["scripts/cli.ts", ...args], options);
    return { exitCode: exitCode ?? -1, output: all };
  }

  /** Writes a model file into the stack's folder and an entry for it into configs/models.yaml. */
  async addModel(
    id: string,
    {
      write,
      ...entry
    }: { readonly write?: (path: string) => void; readonly bytes?: number; readonly sha256?: string; readonly parts?: object },
  ): Promise<void> {
    const path = join(this.project.dir, "models", `${id}.gguf`);
    write?.(path);
    const source = entry.parts === undefined ? { file: `${id}.gguf`, sources: [`file:${path}`] } : {};
    await this.project.addModel(id, { family: "tiny", license: "none", ...source, ...entry });
  }

  /** A profile of the dev profile's flags for a model and an image; another `ctxSize` makes another release. */
  async addProfile(id: string, model: string, image = "debian", ctxSize = 4096): Promise<void> {
    const text = readProjectFile("configs/llama-cpp-dev.env") ?? "";
    const changed = text
      .replace(/^MODEL=.*$/m, `MODEL=${model}`)
      .replace(/^IMAGE=.*$/m, `IMAGE=${image}`)
      .replace(/^LLAMA_ARG_CTX_SIZE=.*$/m, `LLAMA_ARG_CTX_SIZE=${ctxSize}`)
      .replace(/^LLAMA_ARG_CHAT_TEMPLATE=.*\n/m, "");
    await writeFile(join(this.project.dir, "configs", `llama-cpp-${id}.env`), changed);
  }

  /** An image `broken` and a profile of that name, which {@link changeImage} changes; the one that serves is left as it is. */
  async addBrokenImage(): Promise<void> {
    const images = join(this.project.dir, "configs", "images.yaml");
    const all = parse(await readFile(images, "utf8")) as Record<string, object>;
    await writeFile(images, stringify({ ...all, broken: all["debian"] }));
    await this.addProfile("broken", "tiny", "broken");
  }

  /** One more step in the build of the broken image. */
  changeImage(step: string): Promise<void> {
    return appendFile(join(this.project.dir, dockerfile), `USER 0:0\nRUN ${step}\nUSER 10001:10001\n`);
  }

  /** A tool of the broken image becomes this script; the real one lies beside it as `<tool>-real`. */
  replaceTool(tool: string, script: string): Promise<void> {
    const base64 = Buffer.from(script).toString("base64");
    return this.changeImage(`mv ${tool} ${tool}-real && echo ${base64} | base64 -d > ${tool} && chmod 755 ${tool}`);
  }

  /** Takes every change out of the broken image. */
  async mendImage(): Promise<void> {
    await writeFile(join(this.project.dir, dockerfile), readProjectFile(dockerfile) ?? "");
  }

  use(profile: string): Promise<void> {
    return this.project.set("profile", profile);
  }

  /** Whether candidates are measured beside what serves, or in its place: only there can a fault be found too late, after it was stopped. */
  setStrategy(strategy: "auto" | "bluegreen" | "recreate"): Promise<void> {
    return this.project.set("rollout.strategy", strategy);
  }

  /** Whether the benchmark decides: not where a candidate is to be promoted, whose thousands of tokens a second can't be timed one by one. */
  judges(isJudge: boolean): Promise<void> {
    return this.configure((settings) => {
      (settings["gates"]?.["benchmark"] as Record<string, unknown>)["dryRun"] = !isJudge;
    });
  }

  /** Changes the stack's settings in place. */
  configure(change: (settings: Settings) => void): Promise<void> {
    return this.project.changeConfig((config) => {
      change(config as Settings);
      return config;
    });
  }

  /**
   * Fails unless `run` was refused with these texts, in words, the release that passed its gates answers, and the state is as before. What it said is kept in
   * test-artifacts/faults for people: whether it helps no test can say.
   */
  async expectRefused({ exitCode, output }: PulumiRun, ...texts: (string | RegExp)[]): Promise<void> {
    await keepMessage(expect.getState().currentTestName ?? "unnamed", output);
    for (const text of texts) expect(output).toMatch(text);
    expect(exitCode).not.toBe(0);
    expect(output).not.toMatch(/\bat .*\.ts:\d+/); // a message, not a stack trace
    await this.expectServing();
    await this.expectState();
  }

  /** Refused by a gate or before anything was measured, which says what serves and what to do next. */
  expectRefusedByGate(run: PulumiRun, ...texts: (string | RegExp)[]): Promise<void> {
    const serves = new RegExp(`release ${this.release} serves; (no request had to wait|requests waited \\d+\\.\\d s)`);
    const next = new RegExp(`next: .* and run: npm run up -- ${this.project.stack}`);
    return this.expectRefused(run, ...texts, serves, next);
  }

  /** Refused by a program that comes before the gates, which says what serves. */
  expectRefusedBefore(run: PulumiRun, ...texts: (string | RegExp)[]): Promise<void> {
    return this.expectRefused(run, ...texts, `nothing was stopped: release ${this.release} serves`);
  }

  /** Fails unless the state names the release that serves as the promoted one, nobody holds it, and nothing of the host was added to what was deployed. */
  async expectState(): Promise<void> {
    const backend = join(this.project.dir, "state", ".pulumi");
    const text = await readFile(join(backend, "stacks", "llm-server", `${this.project.stack}.json`), "utf8");
    const { checkpoint } = JSON.parse(text) as { checkpoint: { latest: object } };
    const { promotion, pending } = parseDeclared(this.project.stack, JSON.stringify({ deployment: checkpoint.latest }));
    expect({ promoted: promotion?.releaseId, pending }).toEqual({ promoted: this.release, pending: [] });
    const locks = await readdir(join(backend, "locks"), { recursive: true, withFileTypes: true });
    expect(locks.filter((entry) => entry.isFile()).map(({ name }) => name)).toEqual([]);
    expect(await this.#volumesAndNetworks()).toEqual(this.#objects);
    const parts = await readdir(join(this.project.dir, "models"), { recursive: true });
    expect(parts.filter((name) => name.endsWith(".part"))).toEqual([]);
  }

  async #volumesAndNetworks(): Promise<string[]> {
    return [...(await this.project.onHost("volume")), ...(await this.project.onHost("network"))];
  }

  /** Container of the release that serves, and since when it runs: another text once it was stopped, restarted or made anew. */
  async served(): Promise<string> {
    const format = "{{.Id}} {{.State.StartedAt}}";
    return (await execa("docker", ["inspect", "--format", format, serverName(this.project.stack, this.release)])).stdout;
  }

  /** One short completion: status and server. */
  async ask(): Promise<{ readonly status: number; readonly upstream: string | null }> {
    const response = await fetch(`${this.project.endpoint}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", ...this.headers },
      body: JSON.stringify({ messages: [{ role: "user", content: "hi" }], max_tokens: 2 }),
      signal: AbortSignal.timeout(60_000),
    });
    await response.arrayBuffer();
    return { status: response.status, upstream: response.headers.get("x-llm-server-upstream") };
  }

  /** Fails unless the release that passed its gates answers, and no program, helper or lock of another one is left. */
  async expectServing(): Promise<void> {
    expect(await this.ask()).toEqual({ status: 200, upstream: expect.stringContaining(this.release) as string });
    // a failed candidate is kept stopped, so that its log can be read; guards take a moment to end
    const left = async (): Promise<string[]> =>
      (await this.roles()).filter((line) => line !== "server exited" && line !== "server created");
    await expect.poll(left, { timeout: 15_000, interval: 500 }).toEqual(["gateway running", "server running"]);
  }

  /** Role and state of each container of the stack, sorted. */
  async roles(): Promise<string[]> {
    const format = '{{.Label "llm-server.role"}} {{.State}}';
    const { stdout } = await execa("docker", [
      "ps",
      "--all",
      "--filter",
      `label=llm-server.stack=${this.project.stack}`,
      "--format",
      format,
    ]);
    return stdout.split("\n").sort();
  }

  /** Removes the stack and all that it made. */
  async end(): Promise<void> {
    await this.#project?.[Symbol.asyncDispose]();
    await execa("docker", ["image", "rm", "--force", "llm-server/llama-cpp:broken"], { reject: false });
  }
}
