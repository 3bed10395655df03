import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type Docker from "dockerode";
import { execa } from "execa";
import { parseImages } from "../../plan/config/images.ts";
import type { ImageConfig } from "../../plan/config/images.ts";
import { gateInputVariable } from "../../plan/gates/gate-input.ts";
import type { GateInput } from "../../plan/gates/gate-input.ts";
import { gateResultSchema } from "../../plan/gates/verdict.ts";
import type { GateResult, Verdict } from "../../plan/gates/verdict.ts";
import { planLlamaImage } from "../../plan/llama-image.ts";
import { labels } from "../../plan/names.ts";
import { containerUser, modelsDir, serverPidsLimit } from "../../plan/server-container.ts";
import type { StackPlan } from "../../plan/stack.ts";
import { promoteBaseline, readBenchmarkEvidence } from "../gates/baselines.ts";
import { connectDocker } from "../docker/host.ts";
import { readReferenceEvidence, storeReference } from "../gates/references.ts";
import { VolumeStore } from "../gates/volume-store.ts";
import { projectDir } from "../paths.ts";
import type { BisectJudge } from "./bisect.ts";
import { buildImage } from "./docker-build.ts";
import { readStackPlan, readText } from "./stack-plan.ts";

/** Whose settings a judge measures with. */
export interface JudgeOptions {
  readonly stack: string;
  readonly profile: string;
  /** Image of `configs/images.yaml`. `@default` - the profile's */
  readonly image?: string;
  readonly gate: "benchmark" | "perplexity";
}

type SourceImage = Extract<ImageConfig, { kind: "source" }>;

/** Judges commits by the gates' own programs, against the good commit's measurement, in a volume of its own that goes when it is disposed of. */
export class GateJudge implements BisectJudge, AsyncDisposable {
  readonly repo: string;
  readonly #docker: Docker;
  readonly #plan: StackPlan;
  readonly #gate: JudgeOptions["gate"];
  readonly #image: SourceImage;
  readonly #volume = `llm-server-bisect-${process.pid}`;
  readonly #progress: (line: string) => void;
  readonly #signal: AbortSignal;

  private constructor(
    docker: Docker,
    plan: StackPlan,
    gate: JudgeOptions["gate"],
    image: SourceImage,
    watch: { readonly progress: (line: string) => void; readonly signal: AbortSignal },
  ) {
    this.#docker = docker;
    this.#plan = plan;
    this.#gate = gate;
    this.#image = image;
    this.repo = image.source.repo;
    this.#progress = watch.progress;
    this.#signal = watch.signal;
  }

  /** @throws {Error} if the image isn't built from source, or the stack's models are not on the Docker host */
  static async open(options: JudgeOptions, progress: (line: string) => void, signal: AbortSignal): Promise<GateJudge> {
    const plan = await readStackPlan(options.stack, options.profile);
    const images = parseImages(readText("configs/images.yaml") ?? "");
    const name = options.image ?? plan.image.tag.slice(plan.image.tag.lastIndexOf(":") + 1);
    const image = images[name];
    if (image?.kind !== "source") {
      const known = Object.entries(images).flatMap(([key, { kind }]) => (kind === "source" ? [key] : []));
      throw new Error(`--image: got ${name}, expected one that configs/images.yaml builds from source: ${known.join(", ")}`);
    }
    const docker = connectDocker(null);
    await requireModels(docker, plan);
    return new GateJudge(docker, plan, options.gate, image, { progress, signal });
  }

  async reference(commit: string): Promise<void> {
    const imageId = await this.#build(commit);
    const result = await this.#measure(commit, imageId, true);
    if (result.evidence === null || result.samples === 0) throw new Error(`the good end could not be measured: ${result.reason}`);
    await using store = await VolumeStore.open(this.#docker, this.#volume, imageId, "bisect");
    if (this.#gate === "benchmark") await promoteBaseline(store, await readBenchmarkEvidence(store, result.evidence), result.startedAt);
    else await storeReference(store, await readReferenceEvidence(store, result.evidence));
  }

  async judge(commit: string): Promise<Verdict> {
    const { verdict, reason } = await this.#measure(commit, await this.#build(commit), false);
    this.#progress(reason);
    return verdict;
  }

  async #build(commit: string): Promise<string> {
    const { repo, pinnedAt } = this.#image.source;
    const at = { ...this.#image, source: { repo, ref: commit, pinnedAt } };
    const { dockerfile, context, buildArgs, bases } = planLlamaImage("bisect", at, this.#plan.image.platform);
    const paths = { dockerfile: join(projectDir, dockerfile), context: join(projectDir, context) };
    return buildImage(
      { ...paths, args: { ...buildArgs, ...bases }, labels: { "llm-server.bisect": this.#volume } },
      this.#progress,
      this.#signal,
    );
  }

  /** One run of the gate's program. The reference decides nothing: there is nothing yet to decide against. */
  async #measure(commit: string, imageId: string, isReference: boolean): Promise<GateResult> {
    const late = {
      releaseId: `bisect-${commit.slice(0, 9)}`,
      imageId,
      modelSha256: this.#modelSha256(),
      helperImage: imageId,
      evidenceVolume: this.#volume,
      rollout: null,
    };
    if (this.#gate === "perplexity") {
      const { input, corpus } = this.#plan.perplexity;
      const gate = { ...input, ...late, corpus, dryRun: isReference, modelVolume: this.#plan.volume.source, committedReference: null };
      return await runGate(gate, this.#signal);
    }
    const container = await this.#createServer(imageId);
    try {
      await container.start();
      const own = { container: container.id, dryRun: isReference, resultsFolder: null, committedBaseline: null };
      return await runGate({ ...this.#plan.benchmark, ...late, ...own }, this.#signal);
    } finally {
      await container.remove({ force: true, v: true });
    }
  }

  /** The profile's server on another image, on Docker's default network and not published. */
  async #createServer(imageId: string): Promise<Docker.Container> {
    const [server] = this.#plan.servers;
    if (server === undefined) throw new Error("the stack has no server");
    const plan = server.container;
    const { source, hostPath } = this.#plan.volume;
    const memory = plan.memoryMiB * 2 ** 20;
    return this.#docker.createContainer({
      Image: imageId,
      User: containerUser,
      Env: [...plan.envs],
      Labels: { [labels.role]: "helper", "llm-server.bisect": this.#volume },
      HostConfig: {
        Memory: memory,
        MemorySwap: memory,
        PidsLimit: serverPidsLimit,
        ReadonlyRootfs: true,
        CapDrop: ["ALL"],
        SecurityOpt: ["no-new-privileges:true"],
        Init: true,
        Tmpfs: { "/tmp": "rw,noexec,nosuid,size=64m" },
        Mounts: [{ Type: hostPath === undefined ? "volume" : "bind", Source: source, Target: modelsDir, ReadOnly: true }],
        ...(plan.cpus === undefined ? {} : { NanoCpus: Math.round(Number(plan.cpus) * 1e9) }),
        ...(plan.gpus === undefined
          ? {}
          : { DeviceRequests: [{ Driver: "", DeviceIDs: plan.gpus.replace("device=", "").split(","), Capabilities: [["gpu"]] }] }),
      },
    });
  }

  #modelSha256(): string {
    const [file] = this.#plan.files;
    if (file?.sha256 === undefined)
      throw new Error(
        `the model of profile ${this.#plan.profile} has no sha256 in configs/models.yaml; measurements of it can't be compared`,
      );
    return file.sha256;
  }

  /** Removes the measurements. The images stay, untagged, for the builder's cache: docker image prune takes them. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { Volumes } = await this.#docker.listVolumes();
    if (Volumes.some(({ Name }) => Name === this.#volume)) await this.#docker.getVolume(this.#volume).remove();
  }
}

async function requireModels(docker: Docker, { volume, files, stack }: StackPlan): Promise<void> {
  if (volume.hostPath !== undefined) {
    const [missing] = files.map(({ path }) => join(volume.hostPath ?? "", path)).filter((path) => !existsSync(path));
    // a folder that is not on this machine is the Docker host's, which the server's own log speaks of
    if (missing !== undefined && existsSync(volume.hostPath)) throw new Error(`${missing} is not there; run: npm run up -- ${stack}`);
    return;
  }
  const { Volumes } = await docker.listVolumes();
  if (!Volumes.some(({ Name }) => Name === volume.source))
    throw new Error(`volume ${volume.source} is not there; run: npm run up -- ${stack}`);
}

/** Runs a gate program with its input and returns what it printed; its progress goes to standard error. @throws {Error} if it printed no result */
async function runGate(input: GateInput, signal: AbortSignal): Promise<GateResult> {
  const script = join(projectDir, "scripts/gates", `${input.gate}.ts`);
  const env = { [gateInputVariable]: JSON.stringify(input) };
  const { stdout, exitCode } = await execa(process.execPath, [script], {
    cwd: projectDir,
    env,
    stderr: "inherit",
    reject: false,
    cancelSignal: signal,
  });
  signal.throwIfAborted();
  const line = stdout.trim().split("\n").at(-1) ?? "";
  if (line === "")
    throw new Error(`${input.gate} gate: ended with exit code ${exitCode ?? "none"} and no result; its last lines stand above`);
  return gateResultSchema.parse(JSON.parse(line));
}
