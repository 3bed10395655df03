import { benchmarkProtocolSchema, type BenchmarkProtocol } from "./benchmark/protocol.ts";
import { capabilitiesPath, parseCapabilities } from "./config/capabilities.ts";
import { parseCorpora, type Corpora } from "./config/corpora.ts";
import { parseAdvisories, type Advisories } from "./config/advisories.ts";
import { ConfigError, quote } from "./config/errors.ts";
import { parseImages, type Images } from "./config/images.ts";
import { parseModels } from "./config/models.ts";
import { parseProfile } from "./config/profile.ts";
import { resolveProfile, type ResolvedProfile } from "./config/resolve-profile.ts";
import { parseSampling } from "./config/sampling.ts";
import { parseYamlWith } from "./config/yaml.ts";
import { parseQuestions, type Questions } from "./gates/answers-questions.ts";

/** Text of a file of the project by its path, e.g. `configs/models.yaml`; undefined where there is none. */
export type ReadText = (path: string) => string | undefined;

/** Everything that a stack's configuration refers to, parsed. */
export interface StackFiles {
  readonly resolved: ResolvedProfile;
  readonly images: Images;
  readonly advisories: Advisories;
  readonly protocol: BenchmarkProtocol;
  readonly corpora: Corpora;
  readonly questions: Questions;
}

/**
 * The files that a stack with this profile needs.
 * @throws {ConfigError} with every issue of the first file that has some
 */
export function readStackFiles(stack: string, profileId: string, read: ReadText): StackFiles {
  const profileFile = `configs/llama-cpp-${profileId}.env`;
  const profileText = read(profileFile);
  if (profileText === undefined) {
    const allowed = "the <id> of a file configs/llama-cpp-<id>.env";
    const fix = `write ${profileFile}, or name one that there is`;
    throw new ConfigError([{ file: `Pulumi.${stack}.yaml`, path: "profile", got: quote(profileId), allowed, fix }]);
  }
  const profile = parseProfile(profileText, { id: profileId, file: profileFile });
  const images = parseImages(required(read, "configs/images.yaml"));
  const surroundings = {
    images,
    models: parseModels(required(read, "configs/models.yaml")),
    sampling: parseSampling(required(read, "configs/sampling.yaml")),
    capabilities: Object.fromEntries(
      [...new Set(Object.values(images).map(({ capabilities }) => capabilities))].flatMap((name) => {
        const file = capabilitiesPath(name);
        const text = read(file);
        return text === undefined ? [] : [[name, parseCapabilities(text, file)]];
      }),
    ),
  };
  return {
    resolved: resolveProfile(profile, surroundings, profileFile),
    images,
    advisories: parseAdvisories(required(read, "configs/advisories.yaml")),
    protocol: parseYamlWith(benchmarkProtocolSchema, required(read, "configs/benchmark.yaml"), { file: "configs/benchmark.yaml" }),
    corpora: parseCorpora(required(read, "configs/corpora.yaml")),
    questions: parseQuestions(required(read, "configs/answers.yaml")),
  };
}

/** @throws {ConfigError} if a file of the project is missing */
export function required(read: ReadText, path: string): string {
  const text = read(path);
  if (text !== undefined) return text;
  throw new ConfigError([
    { file: path, path: "", got: "no such file", allowed: "the file of the project", fix: `git checkout -- ${path}` },
  ]);
}
