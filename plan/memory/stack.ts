import type { ImageConfig } from "../config/images.ts";
import type { ResolvedProfile } from "../config/resolve-profile.ts";
import type { StackConfig } from "../config/stack-config.ts";
import { parseHeaderDigest } from "../gguf/digest.ts";
import type { GgufHeader } from "../gguf/types.ts";
import type { ReadText } from "../stack-files.ts";
import { parseComputeTable, type ComputeTable } from "./compute-table.ts";
import { imageBuild } from "./image-build.ts";
import { planForPreview, type PreviewPlan } from "./preview.ts";

/** Path of the committed header digest of a model of `configs/models.yaml`. */
export const headerDigestPath = (model: string): string => `configs/headers/${model}.json`;

/** How many digits of a commit name a compute table's file. */
const shortCommit = 9;

/**
 * Memory of a stack's release from what is committed: header digests and the compute table of its build, so that a preview needs neither model, GPU nor
 * Docker. `unknown` where a digest is missing: nothing is guessed from names or sizes.
 */
export function planStackMemory(resolved: ResolvedProfile, config: StackConfig, read: ReadText): PreviewPlan {
  const { image, profile } = resolved;
  const header = readHeader(profile.model, read);
  if (header === undefined) return unknown(profile.model);
  const draft = profile.draft === undefined ? undefined : readHeader(profile.draft, read);
  if (profile.draft !== undefined && draft === undefined) return unknown(profile.draft);
  const { mmproj } = profile;
  const projector = mmproj === undefined ? undefined : readHeader(mmproj, read);
  const { device } = config;
  const gpus =
    image.backend === "cpu" || device.vramMiB === undefined
      ? []
      : Array.from({ length: Math.max(1, device.gpus.length / config.rollout.replicas) }, () => device.vramMiB ?? 0);
  return planForPreview({
    header,
    flags: resolved.flags,
    budget: { gpus: gpus.map((totalMiB) => ({ totalMiB })), hostMiB: device.memoryMiB },
    build: imageBuild(image),
    backend: image.backend,
    tables: readTables(image, read),
    ...(draft === undefined ? {} : { draft }),
    ...(mmproj === undefined
      ? {}
      : { projector: projector === undefined ? { unknownSize: `no ${headerDigestPath(mmproj)}` } : { header: projector } }),
  });
}

function unknown(model: string): PreviewPlan {
  const reason = `no ${headerDigestPath(model)}; write it with npm run header -- ${model} <file or URL>`;
  return { verdict: "unknown", plan: { kind: "unknown", reason }, lines: [`memory: not planned: ${reason}`] };
}

function readHeader(model: string, read: ReadText): GgufHeader | undefined {
  const text = read(headerDigestPath(model));
  return text === undefined ? undefined : parseHeaderDigest(JSON.parse(text));
}

function readTables(image: ImageConfig, read: ReadText): ComputeTable[] {
  const build = imageBuild(image);
  const name = /^[0-9a-f]{40}$/.test(build) ? build.slice(0, shortCommit) : build;
  const text = read(`configs/compute-tables/${name}-${image.backend}.json`);
  return text === undefined ? [] : [parseComputeTable(JSON.parse(text))];
}
