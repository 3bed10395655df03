import { z } from "zod";
import { modelFiles, type Model } from "../config/models.ts";
import { objectLabels, volumeName } from "../names.ts";

/** Where a stack keeps its model files. */
export interface VolumePlan {
  readonly stack: string;
  /** What a container mounts: the volume's name, or the absolute host path. */
  readonly source: string;
  /** Set where the files live in a host folder instead of a Docker volume. */
  readonly hostPath?: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

/** One model file in the volume. */
export interface ModelFilePlan {
  /** Id in `configs/models.yaml`; the parts of a split GGUF are numbered, `<id>-2` for the second. */
  readonly id: string;
  readonly fileName: string;
  /** Path inside the volume: `<model id>/<first 16 hex digits of the sha256>/<file name>`, or `<model id>/unpinned/…` while no checksum is recorded. */
  readonly path: string;
  /** In the order they are tried, as written in `configs/models.yaml`. */
  readonly sources: readonly string[];
  readonly bytes?: number | undefined;
  readonly sha256?: string | undefined;
}

/** What the program that fetches a file prints once it is in the volume and checked; `source` is where it came from, `volume` where it was there already. */
export const fetchedFileSchema = z.strictObject({
  id: z.string(),
  path: z.string(),
  bytes: z.number(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  source: z.string(),
});

/** The managed volume of a stack, or the host folder of its configuration. */
export function planVolume(stack: string, hostPath: string | undefined): VolumePlan {
  return { stack, source: hostPath ?? volumeName(stack, "models"), hostPath, labels: objectLabels(stack, "models") };
}

/**
 * Where the files of a model go, in loading order: the server is given the first. The folder changes with the content, so that a running server keeps
 * the file it opened; parts of a split GGUF share the folder of the first, because llama.cpp looks for them beside it.
 */
export function planModelFiles(id: string, model: Model): ModelFilePlan[] {
  const files = modelFiles(model);
  const folder = `${id}/${files[0]?.sha256?.slice(0, 16) ?? "unpinned"}`;
  return files.map(({ file, sources, bytes, sha256 }, index) => ({
    id: index === 0 ? id : `${id}-${index + 1}`,
    fileName: file,
    path: `${folder}/${file}`,
    sources: sources.map(({ text }) => text),
    bytes,
    sha256,
  }));
}
