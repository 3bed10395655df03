import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type Docker from "dockerode";
import { containerPeakOf, vramPeakOf } from "../plan/benchmark/memory.ts";
import { measuredSpeeds, measuredVram, parseExpectations, type Expectations } from "../plan/config/expectations.ts";
import { type ImageConfig, type Images, parseImages } from "../plan/config/images.ts";
import { parseProfile, type Profile } from "../plan/config/profile.ts";
import { parseHeaderDigest } from "../plan/gguf/digest.ts";
import type { GgufHeader } from "../plan/gguf/types.ts";
import { encodeDigestModel } from "../plan/gguf/write.ts";
import { type ComputeTable, findComputeTable } from "../plan/memory/compute-table.ts";
import { planMemory } from "../plan/memory/fix.ts";
import { imageBuild } from "../plan/memory/image-build.ts";
import type { Projector } from "../plan/memory/extras.ts";
import { headerDigestPath } from "../plan/memory/stack.ts";
import type { EngineOpinion, MeasuredMemory, PlanRow } from "../plan/memory/table.ts";
import type { MemoryBudget, MemoryPlan } from "../plan/memory/types.ts";
import { llamaImageTag } from "../plan/names.ts";
import { readComputeTable, toArguments } from "./gguf/calibrate.ts";
import { askEngine } from "./gguf/engine.ts";
import { readResult } from "./report/results.ts";

/** Build near which the seed's rows were measured. @see configs/compute-tables/b8149-cuda.json */
const SEED_BUILD = "b8149";

/** What the table is made from. */
export interface PlanTableInput {
  /** The project's folder. */
  readonly folder: string;
  readonly vramMiB: number;
  readonly hostMiB?: number;
  /** Flags that replace the profiles' own, for a what-if. */
  readonly set: Readonly<Record<string, string>>;
  /** Profiles by id; empty: all. */
  readonly profiles: readonly string[];
  /** Null: the engine isn't asked. */
  readonly docker: Docker | null;
  /**
   * Is told of a profile that can't be planned, which then has no row.
   * @default - the first such profile's error is thrown
   */
  readonly onUnreadable?: (file: string, error: unknown) => void;
}

/** The project's files that the rows need. */
interface Surroundings {
  readonly images: Images;
  readonly tables: readonly ComputeTable[];
  readonly expectations: Expectations;
  readonly header: (model: string) => Promise<GgufHeader | null>;
}

/** One row per profile, in the order of their ids. @throws {Error} naming a profile or file that isn't there or doesn't parse. */
export async function readPlanRows(input: PlanTableInput): Promise<PlanRow[]> {
  const ids = await profileIds(input);
  const around = await readSurroundings(input.folder);
  const planned = await Promise.all(ids.map((id) => planProfile(id, around, input)));
  return askForRows(planned.flat(), around.images, input.docker);
}

async function planProfile(id: string, around: Surroundings, input: PlanTableInput): Promise<Planned[]> {
  const file = `configs/llama-cpp-${id}.env`;
  try {
    const profile = parseProfile(await readFile(join(input.folder, file), "utf8"), { id, file });
    return [await planRow(profile, around, input)];
  } catch (error) {
    if (input.onUnreadable === undefined) throw error;
    input.onUnreadable(file, error);
    return [];
  }
}

interface Planned {
  readonly row: PlanRow;
  readonly profile: Profile;
  readonly flags: Readonly<Record<string, string>>;
  readonly header: GgufHeader | null;
}

async function planRow(profile: Profile, around: Surroundings, input: PlanTableInput): Promise<Planned> {
  const image = around.images[profile.image];
  if (image === undefined) throw new Error(`configs/llama-cpp-${profile.id}.env: IMAGE=${profile.image} is not in configs/images.yaml`);
  const build = imageBuild(image);
  const flags = { ...profile.flags, ...input.set };
  const [header, draft, projector] = await Promise.all([
    around.header(profile.model),
    optional(profile.draft, around),
    readProjector(profile.mmproj, around),
  ]);
  const budget: MemoryBudget = {
    gpus: image.backend === "cpu" ? [] : [{ totalMiB: input.vramMiB }],
    ...(input.hostMiB === undefined ? {} : { hostMiB: input.hostMiB }),
  };
  const planFor = (wanted: string): MemoryPlan => {
    if (header === null)
      return {
        kind: "unknown",
        reason: `no ${headerDigestPath(profile.model)}; write it with npm run header -- ${profile.model} <file or URL>`,
      };
    if (draft === null)
      return { kind: "unknown", reason: `no ${headerDigestPath(profile.draft ?? "")} of the draft model; write it with npm run header` };
    const table = findComputeTable(around.tables, wanted, image.backend) ?? null;
    return planMemory({
      header,
      flags,
      budget,
      table,
      ...(draft === undefined ? {} : { draft }),
      ...(projector === undefined ? {} : { projector }),
    });
  };
  const measured = await findMeasured(profile.id, image.backend === "cpu" ? "container" : "vram", around.expectations, input.folder);
  const failure = around.expectations.failures.find((entry) => entry.profile === profile.id)?.outcome ?? null;
  const isOfSeed = measured === null ? failure === "out-of-memory" : measured.statedBy !== null;
  const row: PlanRow = {
    profile: profile.id,
    model: profile.model,
    image: profile.image,
    build,
    plan: planFor(build),
    engine: { notAsked: "no Docker, or --no-engine" },
    measured,
    failure,
    then: isOfSeed && build !== SEED_BUILD ? summarize(planFor(SEED_BUILD)) : null,
    measuredTokensPerSec: Object.values(measuredSpeeds(around.expectations, profile.id)),
  };
  return { row, profile, flags, header };
}

function summarize(plan: MemoryPlan): PlanRow["then"] {
  const gpu = plan.kind === "planned" ? plan.devices.find(({ device }) => device === "gpu0") : undefined;
  return gpu === undefined || plan.kind === "unknown" ? null : { expectedMiB: gpu.expectedMiB, verdict: plan.verdict };
}

async function optional(model: string | undefined, around: Surroundings): Promise<GgufHeader | null | undefined> {
  return model === undefined ? undefined : around.header(model);
}

async function readProjector(model: string | undefined, around: Surroundings): Promise<Projector | undefined> {
  if (model === undefined) return undefined;
  const header = await around.header(model);
  return header === null ? { unknownSize: `no ${headerDigestPath(model)}, so its size isn't known` } : { header };
}

/** The newest result in `benchmarks/` that has it, else the seed's VRAM. A result that doesn't read is none: the report names it. */
async function findMeasured(
  profile: string,
  of: MeasuredMemory["of"],
  expectations: Expectations,
  folder: string,
): Promise<MeasuredMemory | null> {
  const files = (await list(join(folder, "benchmarks"))).filter(
    (file) => file.startsWith(`llama-cpp-${profile}-`) && file.endsWith(".json"),
  );
  for (const file of files.sort().reverse()) {
    const result = await readResult(join(folder, "benchmarks", file)).then(
      (read) => read.result,
      () => null,
    );
    if (result?.subject.profile !== profile) continue; // another profile's id may begin with this one's
    const memoryMiB = of === "vram" ? vramPeakOf(result) : containerPeakOf(result);
    if (memoryMiB !== null) return { memoryMiB, of, source: `benchmarks/${file}`, statedBy: null };
  }
  const stated = of === "vram" ? measuredVram(expectations, profile) : undefined;
  const source = `configs/expectations/${expectations.session}.json`;
  return stated === undefined ? null : { memoryMiB: stated.value, of, source, statedBy: stated.source };
}

/** The engine's opinion on each row that it can be asked about: its image is built here, and a GPU is at hand where the image needs one. */
async function askForRows(planned: readonly Planned[], images: Images, docker: Docker | null): Promise<PlanRow[]> {
  if (docker === null) return planned.map(({ row }) => row);
  return Promise.all(planned.map(async (entry) => ({ ...entry.row, engine: await askAbout(entry, images[entry.profile.image], docker) })));
}

async function askAbout({ profile, flags, header }: Planned, image: ImageConfig | undefined, docker: Docker): Promise<EngineOpinion> {
  if (header === null || image === undefined) return { notAsked: "no header digest" };
  if (flags["LLAMA_ARG_FIT"] === "on") return { notAsked: "with --fit on it decides at its start" };
  const tag = llamaImageTag(profile.image);
  try {
    await docker.getImage(tag).inspect();
  } catch {
    return { notAsked: `${tag} is not built on this Docker host` };
  }
  const info = (await docker.info()) as { Runtimes?: Record<string, unknown> };
  if (image.backend === "cuda" && info.Runtimes?.["nvidia"] === undefined) return { notAsked: "this Docker host has no NVIDIA runtime" };
  const gpus = image.backend === "cuda" ? ["0"] : [];
  const [answer] = await askEngine(
    { docker, image: tag, gpus },
    [{ name: "model", ...encodeDigestModel(header) }],
    [{ tool: "server", model: "model", args: toArguments(flags) }],
  );
  if (answer === undefined || "error" in answer) return { notAsked: `it answered: ${answer?.error ?? "nothing"}` };
  const total = (isHost: boolean): number =>
    answer.devices
      .filter(({ device }) => (device === "host") === isHost)
      .reduce((sum, { modelMiB, contextMiB, computeMiB }) => sum + modelMiB + contextMiB + computeMiB, 0);
  return { gpuMiB: answer.devices.some(({ device }) => device !== "host") ? total(false) : null, hostMiB: total(true) };
}

async function profileIds({ folder, profiles }: PlanTableInput): Promise<string[]> {
  const found = (await list(join(folder, "configs"))).flatMap((file) => /^llama-cpp-(.+)\.env$/.exec(file)?.[1] ?? []).sort();
  const missing = profiles.filter((id) => !found.includes(id));
  if (missing.length > 0) throw new Error(`plan: got profile ${missing.join(", ")}, allowed are ${found.join(", ")}`);
  return profiles.length === 0 ? found : found.filter((id) => profiles.includes(id));
}

async function readSurroundings(folder: string): Promise<Surroundings> {
  const tableFiles = (await list(join(folder, "configs/compute-tables"))).filter((file) => file.endsWith(".json"));
  const expectationsFile = "configs/expectations/s005.json";
  const headers = new Set(await list(join(folder, "configs/headers")));
  return {
    images: parseImages(await readFile(join(folder, "configs/images.yaml"), "utf8")),
    tables: await Promise.all(tableFiles.map((file) => readComputeTable(join(folder, "configs/compute-tables", file)))),
    expectations: parseExpectations(await readFile(join(folder, expectationsFile), "utf8"), expectationsFile),
    header: async (model) => (headers.has(`${model}.json`) ? readHeader(folder, headerDigestPath(model)) : null),
  };
}

async function readHeader(folder: string, file: string): Promise<GgufHeader> {
  try {
    return parseHeaderDigest(JSON.parse(await readFile(join(folder, file), "utf8")));
  } catch (error) {
    throw new Error(`${file}: not a header digest`, { cause: error });
  }
}

async function list(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}
