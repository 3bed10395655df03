import { appendFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { parse, stringify } from "yaml";
import { scaleToDev } from "../../plan/bench/scale.ts";
import { benchStack, type StackSettings } from "../../plan/bench/settings.ts";
import { planVariants } from "../../plan/bench/variants.ts";
import { labels } from "../../plan/names.ts";
import { requestKey } from "../../scripts/bench/journal-file.ts";
import type { BenchRequest } from "../../scripts/bench/request.ts";
import { connectDocker } from "../../scripts/docker/host.ts";
import { projectDir } from "../../scripts/paths.ts";
import { freePort } from "./stack-project.ts";
import { testModels } from "./models.ts";
import { copyProject } from "./project-copy.ts";

/** Image that does not know the flags of the build that C4 failed on; its profile keeps it, so it is refused as then. */
const unknownImage = "before-fit";

/** Repository of the base images' other names. */
export const testBase = "llm-server/test-base";

/** The least that is a benchmark. */
const smokeSet = `  smoke:
    seed: 5
    requestTimeoutSec: 300
    readyTimeoutSec: 120
    scenarios:
      - { kind: single, name: short, promptTokens: 32, generateTokens: 16, requests: 2 }
`;

/** A copy of the project with the seed's profiles scaled down to the dev model, a state of its own and short gates. */
export class BenchProject implements AsyncDisposable {
  readonly dir: string;
  readonly settings: StackSettings;

  private constructor(dir: string, settings: StackSettings) {
    this.dir = dir;
    this.settings = settings;
  }

  /** `isShort`: as few starts and chunks as there can be; else those of the dev stack. */
  static async create(profiles: readonly string[], isShort: boolean): Promise<BenchProject> {
    const dir = await copyProject("llm-server-bench-");
    for (const folder of ["benchmarks", "state", ".tools"]) await mkdir(join(dir, folder));
    const dev = await readFile(join(projectDir, "configs", "llama-cpp-dev.env"), "utf8");
    for (const id of profiles) {
      const file = join(dir, "configs", `llama-cpp-${id}.env`);
      await writeFile(
        file,
        scaleToDev(await readFile(file, "utf8"), dev, (image) => image !== unknownImage),
      );
    }
    const protocol = join(dir, "configs", "benchmark.yaml");
    await writeFile(protocol, `${await readFile(protocol, "utf8")}${smokeSet}`);
    return new BenchProject(dir, await settingsOf(isShort));
  }

  /** A profile that is the dev profile on an image of its own: the dev profile's with one more command in its build, told by another name of the same base. */
  async addImage(id: string, command: string): Promise<void> {
    const [images, profile] = ["images.yaml", "llama-cpp-dev.env"].map((name) => join(this.dir, "configs", name)) as [string, string];
    const { debian } = parse(await readFile(images, "utf8")) as { debian: { dockerfile: string; baseImages: { runtime: string } } };
    const runtime = `${testBase}:${id}`;
    await execa("docker", ["tag", debian.baseImages.runtime, runtime]);
    const more = ["USER root", "ARG RUNTIME_BASE", `RUN case "$RUNTIME_BASE" in ${runtime}) ${command} ;; esac`, "USER 10001:10001"];
    await appendFile(join(this.dir, debian.dockerfile), `${more.join("\n")}\n`);
    await appendFile(images, `\n${stringify({ [id]: { ...debian, baseImages: { runtime } } })}`);
    const own = (await readFile(profile, "utf8")).replace("IMAGE=debian", `IMAGE=${id}`);
    await writeFile(join(this.dir, "configs", `llama-cpp-${id}.env`), own);
  }

  /** What a run of some profiles asks for. */
  request(profiles: readonly string[]): BenchRequest {
    const variants = planVariants(profiles, []);
    const { settings } = this;
    return {
      projectDir: this.dir,
      variants,
      settings,
      modelsPath: testModels(),
      key: requestKey([variants, settings]),
      journal: "bench",
      goesOn: false,
      isKept: false,
      isFresh: false,
      docker: connectDocker(null),
      pulumi: { env: { PULUMI_BACKEND_URL: `file://${join(this.dir, "state")}` } },
      expected: new Map(),
    };
  }

  /** Names of everything on the Docker host that belongs to a bench stack of these profiles. */
  async onHost(profiles: readonly string[]): Promise<string[]> {
    const filters = profiles.flatMap((id) =>
      [["container", "--all"], ["volume"], ["network"]].map((kind) => ({ kind, filter: `label=${labels.stack}=${benchStack(id)}` })),
    );
    const found = await Promise.all(
      filters.map(({ kind: [kind = "", ...all], filter }) => execa("docker", [kind, "ls", ...all, "--quiet", "--filter", filter])),
    );
    return found.flatMap(({ stdout }) => stdout.split("\n").filter((name) => name !== ""));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.dir, { recursive: true, force: true });
  }
}

async function settingsOf(isShort: boolean): Promise<StackSettings> {
  const { config } = parse(await readFile(join(projectDir, "Pulumi.dev.yaml"), "utf8")) as {
    config: Record<string, Record<string, object>>;
  };
  const gates = config["llm-server:gates"] as { benchmark: { thresholds: object }; perplexity: object };
  const short = { metrics: [{ scenario: "short", metric: "decode" }], looks: [2], timingsTolerancePercent: 50 };
  return {
    ...config,
    "llm-server:gateway": { port: await freePort(), holdSec: 30, drainSec: 5 },
    "llm-server:gates": {
      benchmark: {
        ...gates.benchmark,
        scenarioSet: isShort ? "smoke" : "dev",
        thresholds: isShort ? short : { ...gates.benchmark.thresholds, timingsTolerancePercent: 50 },
      },
      perplexity: { ...gates.perplexity, chunks: isShort ? 2 : 8 },
    },
  };
}
