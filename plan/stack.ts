import { scenarioSetOf } from "./benchmark/protocol.ts";
import { benchmarkProtocolSchema } from "./benchmark/protocol.ts";
import { parseCorpora } from "./config/corpora.ts";
import { ConfigError, oneOf, quote } from "./config/errors.ts";
import { parseImages } from "./config/images.ts";
import { parseModels } from "./config/models.ts";
import { parseProfile, type Profile } from "./config/profile.ts";
import type { StackConfig } from "./config/stack-config.ts";
import { parseYamlWith } from "./config/yaml.ts";
import { planBenchmark, planPerplexity, type BenchmarkPlan, type PerplexityPlan } from "./gates/gate-plan.ts";
import { planGateway, type GatewayPlan } from "./gateway.ts";
import { planLlamaImage, type LlamaImagePlan } from "./llama-image.ts";
import { planModelFiles, planVolume, type ModelFilePlan, type VolumePlan } from "./models/store.ts";
import { networkName, objectLabels, serverName, volumeName } from "./names.ts";
import { hashOf, releaseId } from "./release.ts";
import { modelsDir, planServerContainer, serverFlags, type ServerContainerPlan } from "./server-container.ts";

/** Text of a file of the project by its path, e.g. `configs/models.yaml`; undefined where there is none. */
export type ReadText = (path: string) => string | undefined;

/** Everything that a stack consists of, as plain values: what `LlmStack` turns into resources. */
export interface StackPlan {
  readonly stack: string;
  readonly profile: string;
  readonly releaseId: string;
  readonly image: LlamaImagePlan;
  readonly volume: VolumePlan;
  readonly files: readonly ModelFilePlan[];
  readonly server: {
    readonly containerName: string;
    readonly plan: ServerContainerPlan;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly gateway: GatewayPlan;
  readonly serversNetwork: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly evidence: { readonly volume: string; readonly labels: Readonly<Record<string, string>> };
  readonly benchmark: BenchmarkPlan;
  readonly perplexity: PerplexityPlan;
  readonly drainSec: number;
  /** What must be true of the host before anything changes. */
  readonly preflight: {
    readonly stack: string;
    readonly bind: string;
    readonly port: number;
    readonly room: { readonly image: string; readonly imageBytes: number; readonly volume: string; readonly modelBytes: number };
  };
}

/** Image of helper containers and of the gateway's build: small, and there before anything is built. */
export const baseImage = "debian:forky";

/** Room that the images of a stack take on the Docker host, bytes: the dev stack's two are 0.5 GiB, a CUDA image about 6 GiB. */
const imageBytes = { cpu: 2 ** 30, vulkan: 2 ** 31, cuda: 8 * 2 ** 30 } as const;

/**
 * The whole stack from its configuration and the files that it names.
 * @throws {ConfigError} with every issue of the first file that has some
 */
export function planStack(stack: string, config: StackConfig, read: ReadText): StackPlan {
  const profile = readProfile(stack, config, read);
  const image = lookUp(parseImages(required(read, "configs/images.yaml")), profile.image, "IMAGE", profile, "configs/images.yaml");
  const models = parseModels(required(read, "configs/models.yaml"));
  const model = lookUp(models, profile.model, "MODEL", profile, "configs/models.yaml");
  const imagePlan = planLlamaImage(profile.image, image, config.device.platform);
  const volume = planVolume(stack, config.models.path);
  const files = planModelFiles(profile.model, model);
  const path = `${modelsDir}/${files[0]?.path ?? ""}`;
  const flags = serverFlags(profile.flags, path, profile.model);
  const container = planServerContainer(flags, config.device);
  const imageInputs = hashOf({ ...imagePlan, dockerfile: required(read, imagePlan.dockerfile), script: read("docker/build-llama-cpp.sh") });
  const id = releaseId({ image: imageInputs, models: { model: files.map(identityOf).join(",") }, flags, container: { ...container } });
  const common = { stack, profile: profile.id, flags, device: config.device };
  const protocol = parseYamlWith(benchmarkProtocolSchema, required(read, "configs/benchmark.yaml"), { file: "configs/benchmark.yaml" });
  const corpora = parseCorpora(required(read, "configs/corpora.yaml"));
  return {
    stack,
    profile: profile.id,
    releaseId: id,
    image: imagePlan,
    volume,
    files,
    server: { containerName: serverName(stack, id), plan: container, labels: objectLabels(stack, "server", id) },
    gateway: planGateway(stack, { ...config.gateway, replicas: 1 }, { base: baseImage, platform: config.device.platform }),
    serversNetwork: { name: networkName(stack, "servers"), labels: objectLabels(stack, "network") },
    evidence: { volume: volumeName(stack, "evidence"), labels: objectLabels(stack, "evidence") },
    benchmark: planBenchmark(common, config.gates.benchmark, scenarioSetOf(protocol, config.gates.benchmark.scenarioSet)),
    perplexity: planPerplexity({ ...common, imageInputs, family: model.family, files }, config.gates.perplexity, corpora),
    drainSec: config.gateway.drainSec,
    preflight: {
      stack,
      bind: config.gateway.bind,
      port: config.gateway.port,
      room: { image: imagePlan.tag, imageBytes: imageBytes[image.backend], volume: volume.source, modelBytes: bytesOf(files) },
    },
  };
}

function readProfile(stack: string, config: StackConfig, read: ReadText): Profile {
  const id = config.profile;
  const file = `configs/llama-cpp-${id}.env`;
  const text = read(file);
  if (text === undefined)
    throw new ConfigError([
      {
        file: `Pulumi.${stack}.yaml`,
        path: "profile",
        got: quote(id),
        allowed: `the <id> of a file configs/llama-cpp-<id>.env`,
        fix: `write ${file}, or name one that there is`,
      },
    ]);
  return parseProfile(text, { id, file });
}

function lookUp<T>(entries: Readonly<Record<string, T>>, name: string, key: string, profile: Profile, where: string): T {
  const entry = Object.hasOwn(entries, name) ? entries[name] : undefined;
  if (entry !== undefined) return entry;
  const file = `configs/llama-cpp-${profile.id}.env`;
  throw new ConfigError([
    { file, path: key, got: quote(name), allowed: oneOf(Object.keys(entries)), fix: `name an entry of ${where}, or add one there` },
  ]);
}

function required(read: ReadText, path: string): string {
  const text = read(path);
  if (text === undefined)
    throw new ConfigError([
      { file: path, path: "", got: "no such file", allowed: "the file of the project", fix: `git checkout -- ${path}` },
    ]);
  return text;
}

const identityOf = (file: ModelFilePlan): string => file.sha256 ?? `unpinned:${file.id}`;
const bytesOf = (files: readonly ModelFilePlan[]): number => files.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
