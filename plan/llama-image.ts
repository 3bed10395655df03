import type { ImageConfig } from "./config/images.ts";
import { llamaImageTag } from "./names.ts";

/** Build of one llama.cpp image. */
export interface LlamaImagePlan {
  /** Tag for people; containers refer to the image id. */
  readonly tag: string;
  readonly dockerfile: string;
  readonly context: string;
  readonly platform: string;
  /** Build arguments, without the ids of the bases, which only the Docker host knows. */
  readonly buildArgs: Readonly<Record<string, string>>;
  /** Base images by the build argument that takes their reference; `<argument>_ID` takes the id. */
  readonly bases: Readonly<Record<string, string>>;
}

/** The build of the entry `name` of `configs/images.yaml`. */
export function planLlamaImage(name: string, image: ImageConfig, platform: string): LlamaImagePlan {
  const { dockerfile } = image;
  const common = { tag: llamaImageTag(name), dockerfile, context: "docker", platform };
  if (image.kind === "debian") return { ...common, buildArgs: {}, bases: { RUNTIME_BASE: image.baseImages.runtime } };
  const { repo, ref, commit, build } = image.source;
  const optional = { LLAMA_CPP_COMMIT: commit, LLAMA_BUILD_NUMBER: build?.toString(), CUDA_ARCHITECTURES: image.cudaArchitectures };
  const given = Object.entries(optional).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return {
    ...common,
    buildArgs: {
      LLAMA_CPP_REPO: repo,
      LLAMA_CPP_REF: ref,
      BACKEND: image.backend,
      CPU_VARIANTS: image.cpuVariants,
      ...Object.fromEntries(given),
    },
    bases: { BUILD_BASE: image.baseImages.build, RUNTIME_BASE: image.baseImages.runtime },
  };
}
