import { appendFile, copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { parse, stringify } from "yaml";
import type { Finding } from "../../plan/drift/finding.ts";
import type { DriftReport } from "../../plan/drift/report.ts";
import { connectDocker } from "../../scripts/docker/host.ts";
import type { Redeployment } from "../../scripts/drift/redeploy.ts";
import { waitReady } from "../../scripts/gates/candidate.ts";
import { badModel, goodModel, testModels } from "./models.ts";
import type { ProviderSet } from "./provider-sets.ts";
import { StackProject } from "./stack-project.ts";

/** What a drift check did. */
export interface DriftRun {
  readonly exitCode: number;
  readonly report: DriftReport & { readonly redeployment?: Redeployment };
  /** Standard error: progress, and what Pulumi said. */
  readonly progress: string;
}

/** Edits a YAML file of a project's copy. */
async function edit(file: string, change: (document: Record<string, unknown>) => Record<string, unknown>): Promise<void> {
  await writeFile(file, stringify(change(parse(await readFile(file, "utf8")) as Record<string, unknown>)));
}

/**
 * A stack to be broken: its model comes from a file beside it and is a file of its own, its image has a tag of its own, and its gates ask very little, because
 * they run again after each repair.
 */
export class DriftProject {
  readonly project: StackProject;

  private constructor(project: StackProject) {
    this.project = project;
  }

  static async create(set: ProviderSet): Promise<DriftProject> {
    const drift = new DriftProject(await StackProject.create(set, { fast: true }));
    const { project } = drift;
    for (const model of [goodModel, badModel]) await rm(join(project.dir, "models", model)); // hard links: overwriting one would overwrite the original
    await edit(join(project.dir, "configs", "models.yaml"), (models) => {
      const model = models["gemma-3-270m-q4_k_m"] as object;
      return { ...models, "gemma-3-270m-q4_k_m": { ...model, sources: [`file:${drift.source}`] } };
    });
    await mkdir(dirname(drift.source));
    await copyFile(join(testModels(), goodModel), drift.source);
    // an image of its own: removing one that others share would remove theirs
    await appendFile(join(project.dir, "docker", "Dockerfile.llama-cpp-debian"), `\nLABEL llm-server.test=${project.stack}\n`);
    await edit(join(project.dir, "configs", "images.yaml"), (images) => ({ ...images, [drift.image]: images["debian"] }));
    const profile = join(project.dir, "configs", "llama-cpp-dev.env");
    await writeFile(profile, (await readFile(profile, "utf8")).replace("IMAGE=debian", `IMAGE=${drift.image}`));
    await drift.#askEnough();
    return drift;
  }

  /** What a client sees of very few tokens on a busy host is noise, and a gate that can't tell fails: this is not about speed. */
  async #askEnough(): Promise<void> {
    await edit(join(this.project.dir, "configs", "benchmark.yaml"), (protocol) => {
      const sets = protocol["sets"] as Record<string, object>;
      const scenarios = [{ kind: "single", name: "short", promptTokens: 8, generateTokens: 24, requests: 2 }];
      return { ...protocol, sets: { ...sets, fast: { ...sets["fast"], scenarios } } };
    });
    await this.project.changeConfig(({ gates, ...config }) => {
      const { benchmark, ...others } = gates as { benchmark: { thresholds: object } };
      const thresholds = { ...benchmark.thresholds, timingsTolerancePercent: 99 };
      return { ...config, gates: { ...others, benchmark: { ...benchmark, thresholds } } };
    });
  }

  /** Id of the stack's image in `configs/images.yaml`. */
  get image(): string {
    return `drift-${this.project.stack}`;
  }

  /** Where the model comes from. */
  get source(): string {
    return join(this.project.dir, "source", goodModel);
  }

  get imageTag(): string {
    return `llm-server/llama-cpp:${this.image}`;
  }

  /** Path of the model file on the host. */
  async modelFile(): Promise<string> {
    const { stdout } = await execa("find", [join(this.project.dir, "models"), "-name", goodModel]);
    return stdout.split("\n")[0] ?? "";
  }

  /** Waits until a server that was restarted answers. */
  async ready(server: string): Promise<void> {
    await waitReady(connectDocker(null).getContainer(server), { apiKeyFile: null, timeoutSec: 60, signal: AbortSignal.timeout(60_000) });
  }

  /** Starts `npm run drift` on the stack. */
  start(...args: readonly string[]) {
    const { dir, env, stack } = this.project;
    return execa("node", ["scripts/cli.ts", "drift", "--stack", stack, "--json", ...args], { cwd: dir, env, reject: false });
  }

  async drift(...args: readonly string[]): Promise<DriftRun> {
    const { exitCode, stdout, stderr } = await this.start(...args);
    if (stdout === "") throw new Error(`no report, exit code ${exitCode ?? "none"}: ${stderr}`);
    return { exitCode: exitCode ?? -1, report: JSON.parse(stdout) as DriftRun["report"], progress: stderr };
  }

  /** Findings that count as drift: notes on other stacks of a shared Docker host don't. */
  static drifting(findings: readonly Finding[]): readonly Finding[] {
    return findings.filter(({ severity }) => severity !== "note");
  }

  async remove(): Promise<void> {
    await this.project[Symbol.asyncDispose]();
    await execa("docker", ["rmi", "--force", this.imageTag], { reject: false });
  }
}
