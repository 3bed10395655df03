import { randomUUID } from "node:crypto";
import Docker from "dockerode";
import { execa } from "execa";
import type { StackConfig } from "../../plan/config/stack-config.ts";
import { gateInputVariable } from "../../plan/gates/gate-input.ts";
import { gateResultSchema, type GateName, type GateResult } from "../../plan/gates/verdict.ts";
import { objectLabels } from "../../plan/names.ts";
import { containerUser, modelsDir } from "../../plan/server-container.ts";
import type { StackPlan } from "../../plan/stack.ts";
import { VolumeStore } from "../../scripts/gates/volume-store.ts";
import { projectDir } from "../../scripts/paths.ts";
import { goodModel, testModels } from "./models.ts";
import { planDev } from "./project.ts";
import { testImage } from "./test-image.ts";

const docker = new Docker();

/** A release of the dev stack, as it is or worse on purpose. */
export interface Candidate {
  readonly model?: string;
  readonly change?: (config: StackConfig) => StackConfig;
  readonly env?: Readonly<Record<string, string>>;
  /** Its id; by default the planned one, which does not know of `model` and `env`. */
  readonly releaseId?: string;
}

/** Stands for a file's checksum: gates only ask whether it is the same. */
const modelSha256 = (file: string): string => `sha256 of ${file}`;

/**
 * A candidate of the dev stack as a rollout makes it: a container created and not started, and its gates' real programs and inputs, without Pulumi and a
 * gateway around them. Containers carry the labels of stack `stackName`; evidence goes to a volume of that name, which outlives them.
 */
export class Deployment implements AsyncDisposable {
  readonly plan: StackPlan;
  readonly container: Docker.Container;
  readonly #candidate: Candidate;
  readonly #stackName: string;

  private constructor(plan: StackPlan, candidate: Candidate, stackName: string, container: Docker.Container) {
    this.plan = plan;
    this.container = container;
    this.#candidate = candidate;
    this.#stackName = stackName;
  }

  static async create(candidate: Candidate, stackName: string): Promise<Deployment> {
    const plan = planDev(candidate.change, stackName);
    const [server] = plan.servers;
    if (server === undefined) throw new Error("the dev stack has no server");
    const { envs, memoryMiB, cpus } = server.container;
    const own = Object.fromEntries(envs.map((text) => [text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1)]));
    const env = { ...own, LLAMA_ARG_MODEL: `${modelsDir}/${candidate.model ?? goodModel}`, ...candidate.env };
    const container = await docker.createContainer({
      name: `llm-server-${stackName}-${randomUUID().slice(0, 8)}`,
      Image: testImage,
      User: containerUser,
      Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      Labels: objectLabels(stackName, "server", candidate.releaseId ?? plan.releaseId),
      HostConfig: {
        Binds: [`${testModels()}:${modelsDir}:ro`],
        Memory: memoryMiB * 2 ** 20,
        MemorySwap: memoryMiB * 2 ** 20,
        ...(cpus === undefined ? {} : { NanoCpus: Number(cpus) * 1e9 }),
        ReadonlyRootfs: true,
        Tmpfs: { "/tmp": "rw,noexec,nosuid,size=64m" },
        CapDrop: ["ALL"],
        Init: true,
      },
    });
    return new Deployment(plan, candidate, stackName, container);
  }

  /** Runs the program of a gate on it. @throws {Error} with what it said if it printed no result */
  async #gate(gate: GateName, input: object): Promise<GateResult> {
    const file = this.#candidate.model ?? goodModel;
    const { Id: imageId } = await docker.getImage(testImage).inspect();
    const late = {
      releaseId: this.#candidate.releaseId ?? this.plan.releaseId,
      imageId,
      modelSha256: modelSha256(file),
      helperImage: testImage,
      evidenceVolume: this.#stackName,
      rollout: null,
    };
    const serving = gate === "perplexity" ? { modelVolume: testModels(), modelPath: file } : { container: this.container.id };
    const { stdout, stderr } = await execa(process.execPath, [`scripts/gates/${gate}.ts`], {
      cwd: projectDir,
      env: { [gateInputVariable]: JSON.stringify({ ...input, ...late, ...serving }) },
      reject: false,
    });
    const parsed = gateResultSchema.safeParse(stdout === "" ? undefined : JSON.parse(stdout));
    if (!parsed.success) throw new Error(`${gate} gate printed no result: ${stderr}`);
    return parsed.data;
  }

  benchmark(): Promise<GateResult> {
    return this.#gate("benchmark", { ...this.plan.benchmark, resultsFolder: null });
  }

  perplexity(): Promise<GateResult> {
    const { input, corpus } = this.plan.perplexity;
    return this.#gate("perplexity", { ...input, corpus });
  }

  answers(): Promise<GateResult> {
    return this.#gate("answers", { ...this.plan.answers });
  }

  /** The evidence volume. */
  store(): Promise<VolumeStore> {
    return VolumeStore.open(docker, this.#stackName, testImage, this.#stackName);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.container.remove({ force: true });
  }
}
