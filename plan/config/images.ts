import { z } from "zod";
import { parseYamlWith } from "./yaml.ts";

const COMMIT = /^[0-9a-f]{40}$/;

const source = z
  .strictObject({
    repo: z
      .string()
      .regex(/^(https|http|git|file):\/\/\S+$/, "a git URL (https, http, git or file)")
      .refine((url) => !url.includes("@"), {
        error: "a git URL without credentials: it is kept in images, labels and the state",
        params: {
          got: "one with credentials (not shown)",
          fix: "remove what stands before @, and make another one, because this was readable",
        },
      })
      .describe("Repository that the ref is fetched from"),
    ref: z
      .string()
      .regex(/^[A-Za-z0-9][\w.-]*$/, "a full commit (40 hex digits) or a tag such as b8149")
      .describe("What is built: a full commit or a tag. Never a branch, because branches move"),
    commit: z.string().regex(COMMIT, "40 hex digits").optional().describe("Commit that a tag must resolve to; a moved tag stops the build"),
    build: z.int().positive().optional().describe("Upstream's build number, where it is known; a tag bNNNN holds it"),
    pinnedAt: z.iso.date("a date, YYYY-MM-DD").describe("Day on which this ref was chosen"),
    replaces: z.string().min(1).optional().describe("The ref that this one took the place of"),
  })
  .superRefine(({ ref, commit }, context) => {
    if (COMMIT.test(ref) && commit !== undefined && commit !== ref) {
      context.addIssue({ code: "custom", path: ["commit"], message: `${ref}, as ref says`, params: { fix: "remove it: ref is a commit" } });
    }
  });

const imageReference = z.string().regex(/^[a-z0-9][\w./:@-]*$/, "an image reference, e.g. debian:forky or name@sha256:…");

const common = {
  capabilities: z
    .string()
    .regex(/^[a-z0-9][\w.-]*$/)
    .describe("Which configs/capabilities/<name>.json lists the flags of this build"),
  description: z.string().min(1).describe("What the image is for, and why this build"),
};

const sourceBuild = z.strictObject({
  kind: z.literal("source").describe("Built from a git repository"),
  dockerfile: z.literal("docker/Dockerfile.llama-cpp"),
  backend: z.enum(["cpu", "cuda", "vulkan"]).describe("What llama.cpp computes on"),
  source,
  baseImages: z
    .strictObject({ build: imageReference, runtime: imageReference })
    .describe("Bases of the build stage and of the image itself"),
  cudaArchitectures: z
    .string()
    .regex(/^\d+(;\d+)*$/, "compute capabilities without dots split by semicolons, e.g. 89;120")
    .optional()
    .describe("For the cuda backend: GPUs that it is built for; `nvidia-smi --query-gpu=compute_cap --format=csv` prints yours"),
  cpuVariants: z.enum(["all", "x86-64-v3"]).default("all").describe("For which x86-64 levels the CPU side is built"),
  ...common,
});

const debianBuild = z.strictObject({
  kind: z.literal("debian").describe("Put together from Debian's packages of llama.cpp"),
  dockerfile: z.literal("docker/Dockerfile.llama-cpp-debian"),
  backend: z.literal("cpu"),
  build: z.int().positive().describe("Upstream's build number of the packages"),
  baseImages: z.strictObject({ runtime: imageReference }),
  ...common,
});

const image = z.discriminatedUnion("kind", [sourceBuild, debianBuild], { error: "kind source or debian" }).superRefine((entry, context) => {
  if (entry.kind !== "source") return;
  if (entry.backend === "cuda" && entry.cudaArchitectures === undefined) {
    const params = { fix: "list the compute capabilities of your GPUs, e.g. 89;120" };
    context.addIssue({ code: "custom", path: ["cudaArchitectures"], message: "CUDA architectures with backend cuda", params });
  }
  if (entry.backend !== "cuda" && entry.cudaArchitectures !== undefined) {
    context.addIssue({
      code: "custom",
      path: ["cudaArchitectures"],
      message: `nothing with backend ${entry.backend}`,
      params: { fix: "remove it" },
    });
  }
});

const imageName = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, "a name in lower case (a-z, 0-9, dot, dash, underscore)");

/** Schema of `configs/images.yaml`: entries by name; the name is the tag, `llm-server/llama-cpp:<name>`. */
export const imagesSchema = z.record(imageName, image).describe("llama.cpp images by name: the name is the tag of llm-server/llama-cpp");

/** All images by name. */
export type Images = z.output<typeof imagesSchema>;
/** One entry of `configs/images.yaml`. */
export type ImageConfig = z.output<typeof image>;

/** Images from the text of `configs/images.yaml`. @throws {ConfigError} with every issue of the file. */
export const parseImages = (text: string, file = "configs/images.yaml"): Images => parseYamlWith(imagesSchema, text, { file });

/** Upstream build number of an image; a tag `bNNNN` holds it. Undefined where nobody wrote it down: it is not guessed from dates. */
export function buildNumber(entry: ImageConfig): number | undefined {
  if (entry.kind === "debian") return entry.build;
  const tag = /^b(\d+)$/.exec(entry.source.ref);
  return entry.source.build ?? (tag?.[1] === undefined ? undefined : Number(tag[1]));
}

/** What an image is pinned to, as text: the ref of a source build, `bNNNN` of Debian's packages. */
export const pinnedRef = (entry: ImageConfig): string => (entry.kind === "source" ? entry.source.ref : `b${entry.build}`);
