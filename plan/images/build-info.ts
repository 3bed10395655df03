import { z } from "zod";

/** Where an image keeps what its build knew of itself. Labels can't be computed inside a build; this file can. */
export const buildInfoPath = "/usr/share/llm-server/build.json";

/** Label keys of a llama.cpp image beside the OCI ones; their values come from the build's arguments. */
export const imageLabels = {
  /** Full commit, or the tag that was asked for where no commit was pinned beside it. */
  revision: "org.opencontainers.image.revision",
  /** The ref that was asked for. */
  version: "org.opencontainers.image.version",
  source: "org.opencontainers.image.source",
  /** Upstream's build number; empty where nobody wrote it down. */
  buildNumber: "llm-server.build-number",
  backend: "llm-server.backend",
  /** Where the file of {@link buildInfoSchema} is. */
  buildInfo: "llm-server.build-info",
} as const;

/** Schema of the file that `docker/build-llama-cpp.sh` writes. */
export const buildInfoSchema = z.strictObject({
  schema: z.literal(1),
  repo: z.string().min(1),
  ref: z.string().min(1),
  commit: z
    .string()
    .regex(/^[0-9a-f]{40}$/)
    .describe("What was built, as the checkout said"),
  commitTime: z.int().nonnegative().describe("Seconds since 1970; the build's clock too. 0 where the source was no checkout"),
  buildNumber: z.int().nonnegative().describe("Upstream's build number; 0 where it is not known"),
  backend: z.enum(["cpu", "cuda", "vulkan"]),
  compiler: z.string().min(1),
  cmake: z.string().min(1),
  cmakeArguments: z.array(z.string()),
  files: z.record(z.string(), z.string().regex(/^[0-9a-f]{64}$/)).describe("sha256 of each installed file by name"),
  flags: z.array(z.string().startsWith("-")).describe("Every option that llama-server --help lists, short and long, in its order"),
  environment: z
    .array(z.string().regex(/^[A-Z][A-Z0-9_]*$/))
    .describe("Every variable that llama-server --help says it reads, in its order"),
});

/** What an image knows of its own build. */
export type BuildInfo = z.output<typeof buildInfoSchema>;

/** Build info from the file's text. @throws {Error} if it is not such a file. */
export function parseBuildInfo(text: string): BuildInfo {
  const result = buildInfoSchema.safeParse(JSON.parse(text));
  if (result.success) return result.data;
  throw new Error(`${buildInfoPath}: ${z.prettifyError(result.error)}`);
}
