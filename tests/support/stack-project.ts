import { randomBytes, randomInt } from "node:crypto";
import { appendFile, cp, link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { execa, type ResultPromise } from "execa";
import { parse, parseDocument, stringify } from "yaml";
import { labels } from "../../plan/names.ts";
import { projectDir } from "../../scripts/paths.ts";
import { badModel, goodModel, testModels } from "./models.ts";
import { copyProject } from "./project-copy.ts";
import type { ProviderSet } from "./provider-sets.ts";

/** What a `pulumi` command did. */
export interface PulumiRun {
  readonly exitCode: number;
  /** Standard output and error as the operator sees them. */
  readonly output: string;
}

/** Below the ports that the kernel gives to whoever asks for any (32768 and up), where it would be somebody else's a moment later. */
const [lowestPort, beyondPorts] = [20_000, 32_000];

/** A port that is free now. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(lowestPort, beyondPorts);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

/**
 * A copy of the project with a stack of its own: own name, port, state and model folder, so that tests don't meet each other or a stack of the user's.
 * Its benchmark decides by wide margins: these tests are about rollouts, on machines of any noise.
 */
export class StackProject implements AsyncDisposable {
  readonly dir: string;
  readonly stack: string;
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;

  private constructor(dir: string, stack: string, port: number, env: Readonly<Record<string, string>>) {
    this.dir = dir;
    this.stack = stack;
    this.port = port;
    this.env = { ...env, PULUMI_BACKEND_URL: `file://${join(dir, "state")}` };
  }

  /** `fast`: gates that take a second each, for tests of what happens around them. `env`: more environment than the providers'. */
  static async create(
    set: ProviderSet,
    { fast = false, env = {} }: { readonly fast?: boolean; readonly env?: Readonly<Record<string, string>> } = {},
  ): Promise<StackProject> {
    const dir = await copyProject("llm-server-test-");
    const stack = `t${randomBytes(3).toString("hex")}`;
    const project = new StackProject(dir, stack, await freePort(), { ...set.env, ...env });
    await mkdir(join(dir, "state"));
    await mkdir(join(dir, ".tools", "bin"), { recursive: true });
    // by its path: the Automation API puts the wrapper's own folder first on the PATH
    const cli = join(set.env["PULUMI_HOME"] ?? "", "bin", "pulumi");
    await writeFile(join(dir, ".tools", "bin", "pulumi"), `#!/bin/sh\nexec '${cli}' "$@"\n`, { mode: 0o755 });
    await mkdir(join(dir, "models"));
    for (const file of [goodModel, badModel])
      await link(join(testModels(), file), join(dir, "models", file)).catch(() => cp(join(testModels(), file), join(dir, "models", file)));
    await project.#addBadProfile();
    await project.#writeConfig();
    if (fast) await project.#makeFast();
    await project.pulumi("stack", "init", stack);
    return project;
  }

  /** A profile `q2` that serves the worse model; otherwise the dev profile. */
  async #addBadProfile(): Promise<void> {
    await this.addModel("gemma-3-270m-q2_k", {
      family: "gemma-3-270m",
      file: badModel,
      sources: [`file:${join(testModels(), badModel)}`],
      license: "as the model it is made from",
    });
    await this.writeProfile("q2", (text) => text.replace("MODEL=gemma-3-270m-q4_k_m", "MODEL=gemma-3-270m-q2_k"));
  }

  /** An entry of configs/models.yaml beside those that are there. */
  async addModel(id: string, entry: object): Promise<void> {
    await appendFile(join(this.dir, "configs", "models.yaml"), `\n${stringify({ [id]: entry })}`);
  }

  /** A profile made from the dev profile's text. */
  async writeProfile(id: string, change: (text: string) => string): Promise<void> {
    const text = await readFile(join(projectDir, "configs", "llama-cpp-dev.env"), "utf8");
    const changed = change(text);
    if (changed === text) throw new Error(`profile ${id}: the change changed nothing`);
    await writeFile(join(this.dir, "configs", `llama-cpp-${id}.env`), changed);
  }

  async #writeConfig(): Promise<void> {
    const { config } = parse(await readFile(join(projectDir, "Pulumi.dev.yaml"), "utf8")) as {
      config: Record<string, Record<string, object>>;
    };
    const gates = config["llm-server:gates"] as { benchmark: { thresholds: object } };
    const thresholds = {
      metrics: [{ scenario: "short", metric: "decode", floor: 0.1, marginPercent: 90 }],
      looks: [2, 3],
      maxVariationPercent: 99,
      timingsTolerancePercent: 50,
      startLevel: "best",
    };
    const own = {
      ...config,
      // longer than a rollout takes on a host that has much else to do, and shorter than `chat` waits
      "llm-server:gateway": { port: this.port, holdSec: 90, drainSec: 10 },
      "llm-server:models": { path: join(this.dir, "models") },
      "llm-server:gates": { ...gates, benchmark: { ...gates.benchmark, thresholds } },
    };
    await writeFile(join(this.dir, `Pulumi.${this.stack}.yaml`), stringify({ config: own }));
  }

  /** Makes the benchmark refuse every candidate from now on, or take every one again. Needs a project that is `fast`. */
  async refuseCandidates(refuse: boolean): Promise<void> {
    await this.set("gates.benchmark.scenarioSet", refuse ? "strict" : "fast");
    await this.set("gates.benchmark.thresholds.metrics[0].floor", refuse ? "100000.5" : "0.1");
  }

  /** The smallest set of scenarios, the shortest perplexity that is one, and no answers gate. */
  async #makeFast(): Promise<void> {
    await this.shortenBenchmark();
    await this.changeConfig(({ gates, ...config }) => {
      const { benchmark, perplexity } = gates as { benchmark: object; perplexity: object };
      const quick = { ...perplexity, contextTokens: 64, chunks: 2, reference: undefined, thresholds: { ceiling: 1e6 } };
      return { ...config, gates: { benchmark, perplexity: quick } };
    });
  }

  /** Has the benchmark ask as little as can be asked, and a floor decide alone: a few tokens on a busy host say nothing about speed. */
  async shortenBenchmark(): Promise<void> {
    const benchmark = join(this.dir, "configs", "benchmark.yaml");
    const protocol = parse(await readFile(benchmark, "utf8")) as { sets: Record<string, object> };
    protocol.sets["fast"] = {
      seed: 5,
      requestTimeoutSec: 60,
      readyTimeoutSec: 60,
      scenarios: [{ kind: "single", name: "short", promptTokens: 8, generateTokens: 16, requests: 2 }],
    };
    protocol.sets["strict"] = { ...protocol.sets["fast"], seed: 6 }; // asked in another way, so that no baseline applies and floors decide
    await writeFile(benchmark, stringify(protocol));
    await this.changeConfig(({ gates, ...config }) => {
      const { benchmark: speed, ...others } = gates as { benchmark: { thresholds: object } };
      const tolerant = { ...speed.thresholds, timingsTolerancePercent: 99 };
      return { ...config, gates: { ...others, benchmark: { ...speed, scenarioSet: "fast", thresholds: tolerant } } };
    });
  }

  /** Rewrites the stack's configuration; keys are below `llm-server:`. */
  async changeConfig(change: (config: Record<string, unknown>) => Record<string, unknown>): Promise<void> {
    const file = join(this.dir, `Pulumi.${this.stack}.yaml`);
    const { config, ...rest } = parse(await readFile(file, "utf8")) as { config: Record<string, unknown> };
    const prefix = "llm-server:";
    const own = Object.fromEntries(Object.entries(config).map(([key, value]) => [key.slice(prefix.length), value]));
    const changed = Object.fromEntries(Object.entries(change(own)).map(([key, value]) => [`${prefix}${key}`, value]));
    await writeFile(file, stringify({ ...rest, config: changed }));
  }

  /** Starts a `pulumi` command and gives its process: for tests that kill it. */
  start(...args: readonly string[]): ResultPromise<{ all: true; reject: false; detached: true }> {
    return execa("pulumi", [...args, "--non-interactive"], { cwd: this.dir, env: this.env, all: true, reject: false, detached: true });
  }

  /** Runs one of the project's commands in its copy. */
  async cli(...args: readonly string[]): Promise<PulumiRun> {
    const { exitCode, all } = await execa(process.execPath, ["scripts/cli.ts", ...args], {
      cwd: this.dir,
      env: this.env,
      all: true,
      reject: false,
    });
    return { exitCode: exitCode ?? -1, output: all };
  }

  /** Runs `pulumi` on the project's stack. */
  async pulumi(...args: readonly string[]): Promise<PulumiRun> {
    const { exitCode, all } = await execa("pulumi", [...args, "--non-interactive"], {
      cwd: this.dir,
      env: this.env,
      all: true,
      reject: false,
    });
    return { exitCode: exitCode ?? -1, output: all };
  }

  up(...args: readonly string[]): Promise<PulumiRun> {
    return this.pulumi("up", "--yes", "--skip-preview", "--stack", this.stack, ...args);
  }

  /** Sets a configuration value by its path below `llm-server:`, as `pulumi config set --path` does. */
  async set(path: string, value: string): Promise<void> {
    const file = join(this.dir, `Pulumi.${this.stack}.yaml`);
    const settings = parseDocument(await readFile(file, "utf8"));
    const [key, ...below] = path.split(/[.[\]]+/).filter((part) => part !== "");
    const steps = below.map((part) => (/^\d+$/.test(part) ? Number(part) : part));
    settings.setIn(
      ["config", `llm-server:${key}`, ...steps],
      steps.length > 0 && /^(true|false|0|[1-9]\d*)$/.test(value) ? (JSON.parse(value) as unknown) : value,
    );
    await writeFile(file, settings.toString());
  }

  /** A profile with another context length, which is another release; takes part in the next `up`. */
  async useCtxSize(ctxSize: number): Promise<void> {
    await this.writeProfile(`ctx${ctxSize}`, (text) => text.replace("LLAMA_ARG_CTX_SIZE=4096", `LLAMA_ARG_CTX_SIZE=${ctxSize}`));
    await this.set("profile", `ctx${ctxSize}`);
  }

  /** An `up` that works, and the release that it promoted. @throws {Error} with its whole output if it fails */
  async deploy(...args: readonly string[]): Promise<string> {
    const { exitCode, output } = await this.up(...args);
    if (exitCode !== 0) throw new Error(output);
    return this.activeRelease();
  }

  async activeRelease(): Promise<string> {
    return String((await this.outputs())["activeRelease"]);
  }

  async outputs(): Promise<Record<string, unknown>> {
    const { stdout } = await execa("pulumi", ["stack", "output", "--json", "--show-secrets", "--stack", this.stack], {
      cwd: this.dir,
      env: this.env,
    });
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Names of the stack's containers, volumes and networks that are on the host. */
  async onHost(kind: "container" | "volume" | "network"): Promise<string[]> {
    const all = kind === "container" ? ["--all"] : [];
    const format = kind === "container" ? "{{.Names}}" : "{{.Name}}";
    const { stdout } = await execa("docker", [kind, "ls", ...all, "--filter", `label=${labels.stack}=${this.stack}`, "--format", format]);
    return stdout
      .split("\n")
      .filter((name) => name !== "")
      .sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pulumi("destroy", "--yes", "--skip-preview", "--stack", this.stack);
    for (const kind of ["container", "volume", "network"] as const) {
      const names = await this.onHost(kind);
      if (names.length > 0) await execa("docker", [kind, "rm", ...(kind === "network" ? [] : ["--force"]), ...names]);
    }
    await rm(this.dir, { recursive: true, force: true });
  }
}
