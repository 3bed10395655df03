import process from "node:process";
import { Command, InvalidArgumentError } from "commander";
import type { ComputeTable } from "../../plan/memory/compute-table.ts";
import { imageBuild } from "../../plan/memory/image-build.ts";
import { formatPlanTable } from "../../plan/memory/table.ts";
import { parseImages } from "../../plan/config/images.ts";
import { llamaImageTag } from "../../plan/names.ts";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { connectDocker } from "../docker/host.ts";
import { projectDir } from "../paths.ts";
import { log } from "../program.ts";
import { readPlanRows } from "../plan-table.ts";
import { parseHeaderDigest } from "../../plan/gguf/digest.ts";
import { calibrateCompute, readComputeTable, writeComputeTable } from "./calibrate.ts";

interface PlanOptions {
  readonly json?: boolean;
  readonly vram: number;
  readonly ram?: number;
  readonly set: Readonly<Record<string, string>>;
  readonly engine: boolean;
  readonly calibrate?: string;
}

/** `plan`: one memory table for all profiles, or those named; `--calibrate IMAGE` fills a build's compute table by asking the engine. */
export function planCommand(): Command {
  return new Command("plan")
    .description("memory that each profile will need, before anything starts: planned, the engine's own answer, and measured")
    .argument("[profiles...]", "profile ids; all of them if none is named")
    .option("--json", "print it as JSON")
    .option("--vram <MiB>", "memory of the GPU", parseMiB, 16_384)
    .option("--ram <MiB>", "memory of the host that servers may use; not judged if it isn't given", parseMiB)
    .option("--set <KEY=VALUE>", "plan with another value of a flag, e.g. LLAMA_ARG_CTX_SIZE=131072; may be repeated", collectFlag, {})
    .option("--no-engine", "don't ask the engine")
    .option("--calibrate <image>", "fill the compute table of an image of configs/images.yaml that is built here, then print the table")
    .action(async (profiles: string[], options: PlanOptions) => {
      if (options.calibrate !== undefined) log(`plan: wrote ${await calibrate(options.calibrate)}`);
      const rows = await readPlanRows({
        folder: projectDir,
        vramMiB: options.vram,
        set: options.set,
        profiles,
        docker: options.engine ? await dockerAtHand() : null,
        ...(options.ram === undefined ? {} : { hostMiB: options.ram }),
      });
      process.stdout.write(options.json === true ? `${JSON.stringify(rows, null, 2)}\n` : `${formatPlanTable(rows)}\n`);
    });
}

function parseMiB(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("expected a number of MiB, e.g. 16384");
  return Number(text);
}

function collectFlag(text: string, before: Readonly<Record<string, string>>): Record<string, string> {
  const [, name, value] = /^(LLAMA_ARG_[A-Z0-9_]+)=(.*)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError("expected LLAMA_ARG_NAME=VALUE");
  return { ...before, [name]: value };
}

async function dockerAtHand(): Promise<ReturnType<typeof connectDocker> | null> {
  const docker = connectDocker(null);
  try {
    await docker.ping();
    return docker;
  } catch {
    return null;
  }
}

/** Asks the image's engine about every committed model, on a GPU where its backend has one, and writes the table. */
async function calibrate(imageName: string): Promise<string> {
  const images = parseImages(await readFile(join(projectDir, "configs/images.yaml"), "utf8"));
  const image = images[imageName];
  if (image === undefined) throw new Error(`plan --calibrate: got ${imageName}, allowed are ${Object.keys(images).join(", ")}`);
  if (image.backend === "cpu")
    throw new Error(`plan --calibrate: image ${imageName} has no GPU backend; the host's memory follows from the formula`);
  const build = imageBuild(image);
  const table = await calibrateCompute({
    host: { docker: connectDocker(null), image: llamaImageTag(imageName), gpus: ["0"] },
    build,
    backend: image.backend,
    headers: await committedHeaders(),
    base: await baseTerms(build, image.backend),
    source: `image ${imageName} of this Docker host`,
  });
  return writeComputeTable(table, projectDir);
}

async function committedHeaders(): Promise<ReturnType<typeof parseHeaderDigest>[]> {
  const folder = join(projectDir, "configs/headers");
  const files = (await readdir(folder)).filter((file) => file.endsWith(".json"));
  return Promise.all(files.map(async (file) => parseHeaderDigest(JSON.parse(await readFile(join(folder, file), "utf8")))));
}

/** Terms that the engine doesn't print: those of the same build's table, else of another table of the backend, which says so. */
async function baseTerms(
  build: string,
  backend: ComputeTable["backend"],
): Promise<Pick<ComputeTable, "context" | "fitReserve" | "peaksFor" | "peaks" | "boundKibPerToken">> {
  const folder = join(projectDir, "configs/compute-tables");
  const tables = await Promise.all((await readdir(folder)).map((file) => readComputeTable(join(folder, file))));
  const same = tables.filter((table) => table.backend === backend);
  const base = same.find((table) => table.build === build) ?? same[0];
  if (base === undefined)
    throw new Error(
      `plan --calibrate: no table of backend ${backend} to take the driver's own memory from; add one to configs/compute-tables/`,
    );
  const { context, fitReserve, peaksFor, peaks, boundKibPerToken } = base;
  return base.build === build
    ? { context, fitReserve, peaksFor, peaks, boundKibPerToken }
    : { context, fitReserve, peaksFor: [], peaks: [], boundKibPerToken: null };
}
