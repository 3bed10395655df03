import { scenarioSetOf } from "./benchmark/protocol.ts";
import { checkAdvisories } from "./config/advisories.ts";
import { knownVariables } from "./config/capabilities.ts";
import { ConfigError, quote, type ConfigIssue } from "./config/errors.ts";
import { buildNumber } from "./config/images.ts";
import type { Model } from "./config/models.ts";
import type { ResolvedProfile } from "./config/resolve-profile.ts";
import type { StackConfig } from "./config/stack-config.ts";
import {
  planAnswers,
  planBenchmark,
  planPerplexity,
  type AnswersPlan,
  type BenchmarkPlan,
  type PerplexityPlan,
} from "./gates/gate-plan.ts";
import { planStatedSpeeds, type StatedSpeeds } from "./gates/stated-speeds.ts";
import { planGateway, type GatewayPlan } from "./gateway.ts";
import { planFurtherImages, planLlamaImage, type FurtherImage, type LlamaImagePlan } from "./llama-image.ts";
import type { PreviewPlan } from "./memory/preview.ts";
import { planStackMemory } from "./memory/stack.ts";
import { planModelFiles, planVolume, type ModelFilePlan, type VolumePlan } from "./models/store.ts";
import { mostStackChars, networkName, objectLabels, volumeName } from "./names.ts";
import { hashOf, releaseId } from "./release.ts";
import { retainedReleases, type ReleaseRecord } from "./retained.ts";
import { gpusByReplica, needOfServer, planRollout, sumNeeds } from "./rollout/plan.ts";
import type { RolloutPlan } from "./rollout/records.ts";
import { modelsDir, planServer, planServerContainer, serverFlags, type ServerPlan } from "./server-container.ts";
import { readStackFiles, required, type ReadText, type StackFiles } from "./stack-files.ts";

/** Everything that a stack consists of, as plain values: what `LlmStack` turns into resources. */
export interface StackPlan {
  readonly stack: string;
  readonly profile: string;
  readonly releaseId: string;
  readonly image: LlamaImagePlan;
  /** Hash of all that decides about the image, its bases' ids excepted. */
  readonly imageInputs: string;
  /** Built too, and used by nothing of this stack. */
  readonly furtherImages: readonly (FurtherImage & { readonly inputs: string })[];
  /** Names of its images that are built from source at a pin, which a preview compares with upstream. */
  readonly pinnedImages: readonly string[];
  readonly volume: VolumePlan;
  readonly files: readonly ModelFilePlan[];
  /** The release's servers, one per replica. */
  readonly servers: readonly ServerPlan[];
  readonly gateway: GatewayPlan;
  readonly serversNetwork: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly evidence: { readonly volume: string; readonly labels: Readonly<Record<string, string>> };
  readonly benchmark: BenchmarkPlan;
  readonly perplexity: PerplexityPlan;
  /** Null where the stack asks no questions. */
  readonly answers: AnswersPlan | null;
  readonly rollout: RolloutPlan;
  /** Releases that were replaced and are kept, newest first. */
  readonly retained: readonly ReleaseRecord[];
  readonly memory: PreviewPlan;
  /** What the operator should know although nothing stands against the stack; empty as a rule. */
  readonly warnings: readonly string[];
  /** What must be true of the host before anything changes. */
  readonly preflight: {
    readonly stack: string;
    readonly bind: string;
    readonly port: number;
    readonly room: {
      readonly images: readonly { readonly tag: string; readonly bytes: number }[];
      readonly volume: string | null;
      readonly modelBytes: number;
    };
  };
}

/** Image of helper containers and of the gateway's build: small, and there before anything is built. */
export const baseImage = "debian:forky";

/** Room that the images of a stack take on the Docker host, bytes: the dev stack's two are 0.5 GiB, a CUDA image about 6 GiB. */
const imageBytes = { cpu: 2 ** 30, vulkan: 2 ** 31, cuda: 8 * 2 ** 30 } as const;

/**
 * The whole stack from its configuration and the files that it names; `before` are the releases that took traffic before, newest first.
 * @throws {ConfigError} with every issue of the first file that has some; a stack's name that is too long for its servers' names is an issue too, and
 * unless the stack accepts them a known-bad build and memory that can't suffice
 */
export function planStack(stack: string, config: StackConfig, read: ReadText, before: readonly ReleaseRecord[] = []): StackPlan {
  const files = readStackFiles(stack, config.profile, read);
  const { resolved } = files;
  const memory = planStackMemory(resolved, config, read);
  const issues = [...nameIssues(stack, config), ...advisoryIssues(stack, config, files), ...memoryIssues(stack, config, memory)];
  if (issues.length > 0) throw new ConfigError(issues);
  const { profile, image } = resolved;
  const { platform } = config.device;
  const imagePlan = planLlamaImage(profile.image, image, platform);
  const asked = { profileImage: profile.image, platform, file: `Pulumi.${stack}.yaml` };
  const furtherImages = planFurtherImages(config.images, files.images, asked);
  const built = [{ name: profile.image, config: image, plan: imagePlan }, ...furtherImages];
  const volume = planVolume(stack, config.models.path);
  const models = planModels(resolved);
  const all = Object.values(models).flat();
  const flags = serverFlags(resolved.flags, modelPaths(models), profile.model, knownVariables(resolved.capabilities));
  const { replicas, retain } = config.rollout;
  const gpus = gpusByReplica(config.device, replicas);
  const containers = gpus.map((ids) => planServerContainer(flags, { ...config.device, gpus: ids }));
  const imageInputs = hashImageInputs(imagePlan, read);
  const checksums = Object.fromEntries(Object.entries(models).map(([role, parts]) => [role, parts.map(checksumOf).join(",")]));
  const id = releaseId({ image: imageInputs, models: checksums, flags, servers: containers });
  const needs = gpus.map((ids) => needOfServer(memory.plan, ids, config.device.memoryMiB));
  const common = { stack, profile: profile.id, flags, device: { ...config.device, gpus: gpus[0] ?? [] } };
  const { benchmark, perplexity, answers } = config.gates;
  const protocol = scenarioSetOf(files.protocol, benchmark.scenarioSet);
  return {
    stack,
    profile: profile.id,
    releaseId: id,
    image: imagePlan,
    imageInputs,
    furtherImages: furtherImages.map((further) => ({ ...further, inputs: hashImageInputs(further.plan, read) })),
    pinnedImages: built.filter(({ config }) => config.kind === "source").map(({ name }) => name),
    volume,
    files: all,
    servers: containers.map((container, replica) => planServer(stack, id, replica, container, needs[replica] ?? null)),
    gateway: planGateway(
      stack,
      { ...config.gateway, replicas, wantsKey: config.apiKeys !== undefined },
      { base: baseImage, platform: config.device.platform },
      hashCertificate(config, read),
    ),
    serversNetwork: { name: networkName(stack, "servers"), labels: objectLabels(stack, "network") },
    evidence: { volume: volumeName(stack, "evidence"), labels: objectLabels(stack, "evidence") },
    benchmark: planBenchmark(common, benchmark, protocol, statedSpeeds(benchmark.expectations, profile.id, read)),
    perplexity: planPerplexity(
      {
        ...common,
        imageInputs,
        family: resolved.model.family,
        files: models["model"] ?? [],
        isKnown: before.some(({ releaseId: known }) => known === id),
      },
      perplexity,
      files.corpora,
    ),
    answers: answers === undefined ? null : planAnswers({ ...common, family: resolved.model.family }, answers, files.questions),
    rollout: planRollout(stack, id, config, sumNeeds(needs), protocol.readyTimeoutSec),
    retained: retainedReleases(before, id, retain),
    memory,
    warnings: [...resolved.warnings, ...(memory.verdict === "tight" || memory.verdict === "refused" ? memory.lines : [])],
    preflight: {
      stack,
      bind: config.gateway.bind,
      port: config.gateway.port,
      room: {
        images: built.map(({ config, plan }) => ({ tag: plan.tag, bytes: imageBytes[config.backend] })),
        volume: volume.hostPath === undefined ? volume.source : null,
        modelBytes: bytesOf(all),
      },
    },
  };
}

/** Hash of a build's arguments and of the files that it reads. */
const hashImageInputs = (plan: LlamaImagePlan, read: ReadText): string =>
  hashOf({ ...plan, dockerfile: required(read, plan.dockerfile), script: read("docker/build-llama-cpp.sh") });

/** Hash of a given certificate's file; null without one, or where it can't be read. Its private key is read by nobody but the program that brings it. */
function hashCertificate({ gateway: { tls } }: StackConfig, read: ReadText): string | null {
  const text = tls?.mode === "files" ? read(tls.certificate) : undefined;
  return text === undefined ? null : hashOf(text);
}

/** Files of each role that a profile names; the model's come first. */
function planModels({ profile, model, mmproj, draft }: ResolvedProfile): Record<string, readonly ModelFilePlan[]> {
  const plan = (role: string, id: string | undefined, entry: Model | undefined): [string, readonly ModelFilePlan[]][] =>
    id === undefined || entry === undefined ? [] : [[role, planModelFiles(id, entry)]];
  return Object.fromEntries([
    ...plan("model", profile.model, model),
    ...plan("mmproj", profile.mmproj, mmproj),
    ...plan("draft", profile.draft, draft),
  ]);
}

/** Path inside the container of the first file of each role. */
const modelPaths = (models: Readonly<Record<string, readonly ModelFilePlan[]>>): Record<string, string> =>
  Object.fromEntries(Object.entries(models).map(([role, parts]) => [role, `${modelsDir}/${parts[0]?.path ?? ""}`]));

const statedSpeeds = (file: string | undefined, profile: string, read: ReadText): StatedSpeeds | null =>
  file === undefined ? null : planStatedSpeeds(file, required(read, file), profile);

/** The gateway finds servers by their names, which hold the stack's: with a longer one no release would ever take a request. */
function nameIssues(stack: string, { rollout }: StackConfig): ConfigIssue[] {
  const most = mostStackChars(rollout.replicas);
  if (stack.length <= most) return [];
  const allowed = `at most ${most} characters: a server's host name holds it and has at most 63`;
  const fix = `name it shorter: pulumi stack rename NAME -s ${stack}, and its file with it`;
  return [{ file: `Pulumi.${stack}.yaml`, path: "", got: `a stack name of ${stack.length} characters`, allowed, fix }];
}

function advisoryIssues(stack: string, config: StackConfig, { advisories, resolved }: StackFiles): ConfigIssue[] {
  const { image, profile, flags } = resolved;
  const acceptedIn = { file: `Pulumi.${stack}.yaml`, path: "accept.advisories" };
  return checkAdvisories(advisories, {
    image: profile.image,
    build: buildNumber(image),
    flags,
    accepted: config.accept.advisories,
    acceptedIn,
  });
}

function memoryIssues(stack: string, config: StackConfig, memory: PreviewPlan): ConfigIssue[] {
  if (memory.verdict !== "refused" || config.accept.memory) return [];
  const summary = memory.lines.filter((line) => line.includes(": refused")).join("; ");
  const fix = `${summary}; npm run plan -- ${config.profile} shows each part; or set accept.memory to true to start it all the same`;
  return [
    {
      file: `Pulumi.${stack}.yaml`,
      path: "profile",
      got: quote(config.profile),
      allowed: "a profile that fits the memory of the device",
      fix,
    },
  ];
}

const checksumOf = (file: ModelFilePlan): string => file.sha256 ?? `unpinned:${file.id}`;
const bytesOf = (files: readonly ModelFilePlan[]): number => files.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
