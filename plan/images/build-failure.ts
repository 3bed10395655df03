import { describeUntouched } from "../serving.ts";

/** Why an image build failed. `kind` tells the caller whose fault it is: another commit may build, another argument must be given, or nothing will build before somebody acts. */
export interface BuildFailure {
  readonly kind: "arguments" | "source" | "compile" | "host";
  /** One sentence: what went wrong and what to do. */
  readonly message: string;
  /** The builder's own last lines, for people. */
  readonly lastLines: readonly string[];
}

/**
 * What the operator is told of an image that could not be built: why, in the builder's words, and what serves all the same; `serving` as {@link describeUntouched}
 * takes it.
 */
export function describeBuildFailure(tag: string, { message, lastLines }: BuildFailure, serving: string | null | undefined): string {
  return [
    `${tag} could not be built; the builder's last lines:`,
    ...lastLines.map((line) => `  | ${line}`),
    message,
    describeUntouched(serving),
  ].join("\n");
}

const SHOWN_LINES = 15;

/** Lines of BuildKit's plain progress that say nothing of a failure. */
const noise = /^(?:sha256:[0-9a-f]{64}|CACHED|DONE [\d.]+s|-+)$/;

/** BuildKit's plain progress puts `#12 3.456 ` before each line of a step. */
const stepPrefix = /^#\d+ (?:\d+\.\d+ )?/;

const hostTrouble: readonly (readonly [RegExp, string])[] = [
  [/no space left on device/i, "the Docker host has no space left; free some (docker system df, docker builder prune) and build again"],
  [/cannot connect to the docker daemon|error during connect/i, "the Docker daemon can't be reached; start it, or check DOCKER_HOST"],
  [
    /buildkit.*(?:enabled but|missing)|install the buildx component/i,
    "this docker client has no BuildKit; install docker-buildx or use the client of docker.io",
  ],
];

/** What BuildKit says of a Dockerfile that it can't read, after its own words around it. */
const dockerfileTrouble = /(?:dockerfile parse error.*|unknown instruction.*|base name \(.*\) should not be blank)/i;
/** What it says of a base image that it can't get. */
const baseTrouble =
  /(?:pull access denied|failed to (?:resolve source metadata|do request|load metadata).*|manifest unknown|not found: manifest).*/i;
/** The failing step's heading when it is a base image. */
const baseWanted = /> \[internal\] load metadata for (\S+):$/m;

/** What failed, from the output of `docker build --progress=plain`. Lines that start with `error:` are the build script's own and win. */
export function readBuildFailure(output: string): BuildFailure {
  const lines = output
    .split("\n")
    .map((line) => line.replace(stepPrefix, "").trimEnd())
    .filter((line) => line !== "" && !noise.test(line));
  const lastLines = lines.slice(-SHOWN_LINES);
  const own = [...new Set(lines.filter((line) => line.startsWith("error: ")).map((line) => line.slice("error: ".length)))];
  if (own.some((line) => line.startsWith("no space"))) return { kind: "host", message: own.join("; "), lastLines };
  if (own.some((line) => /^LLAMA_CPP_REPO: .* can't be reached/.test(line))) return { kind: "host", message: own.join("; "), lastLines };
  if (own.length > 0) return { kind: kindOfOwn(own), message: own.join("; "), lastLines };
  const trouble = hostTrouble.find(([pattern]) => pattern.test(output));
  if (trouble !== undefined) return { kind: "host", message: trouble[1], lastLines };
  const dockerfile = dockerfileTrouble.exec(output);
  if (dockerfile !== null)
    return { kind: "arguments", message: `the Dockerfile or its arguments can't be read: ${dockerfile[0]}`, lastLines };
  const base = baseTrouble.exec(output);
  if (base !== null) {
    const image = baseWanted.exec(output)?.[1] ?? "a base image";
    return { kind: "host", message: `${image} can't be had: ${base[0]}; load it on the Docker host, or name another base`, lastLines };
  }
  return { kind: "compile", message: "the image build failed; the builder's last lines say where", lastLines };
}

function kindOfOwn(own: readonly string[]): BuildFailure["kind"] {
  if (own.some((line) => /failed while|--help failed|lacks libraries/.test(line))) return "compile";
  return own.some((line) => /^LLAMA_CPP_REF: .*(?:not found in|is a branch|asked for|the pin says)/.test(line)) ? "source" : "arguments";
}
