import { ConfigError, oneOf, quote } from "./config/errors.ts";
import type { ImageConfig, Images } from "./config/images.ts";
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

/** An image that a stack builds although its release doesn't run from it. */
export interface FurtherImage {
  /** Name in `configs/images.yaml`. */
  readonly name: string;
  readonly config: ImageConfig;
  readonly plan: LlamaImagePlan;
}

/**
 * The builds of the images that a stack asks for by name, without the one that its profile runs from: that one is built anyway.
 * @throws {ConfigError} naming each that `configs/images.yaml` has not
 */
export function planFurtherImages(
  names: readonly string[],
  images: Images,
  { profileImage, platform, file }: { readonly profileImage: string; readonly platform: string; readonly file: string },
): FurtherImage[] {
  const issues = names.flatMap((name, index) =>
    Object.hasOwn(images, name)
      ? []
      : [{ file, path: `images.${index}`, got: quote(name), allowed: oneOf(Object.keys(images)), fix: "configs/images.yaml has them" }],
  );
  if (issues.length > 0) throw new ConfigError(issues);
  return [...new Set(names)].flatMap((name) => {
    const config = images[name];
    return config === undefined || name === profileImage ? [] : [{ name, config, plan: planLlamaImage(name, config, platform) }];
  });
}
