import { parseModels } from "../config/models.ts";
import { rewriteMapping } from "../config/yaml-edit.ts";

/** What a model file in a volume turned out to be. */
export interface MeasuredFile {
  readonly bytes: number;
  /** 64 hex digits. */
  readonly sha256: string;
}

const file = "configs/models.yaml";

/**
 * `configs/models.yaml` with the size and checksum of a model; undefined when the file says so already.
 * @throws {Error} if there is no such model with one file, or it is pinned to another checksum: a pin is moved by hand, after a look at why
 */
export function pinModel(text: string, id: string, measured: MeasuredFile): string | undefined {
  const models = parseModels(text, file);
  const entry = Object.hasOwn(models, id) ? models[id] : undefined;
  if (entry?.file === undefined) {
    const known = Object.entries(models).flatMap(([name, model]) => (model.file === undefined ? [] : [name]));
    throw new Error(`model: got ${id}, expected one of ${known.join(", ")}`);
  }
  if (entry.sha256 === measured.sha256 && entry.bytes === measured.bytes) return undefined;
  if (entry.sha256 !== undefined && entry.sha256 !== measured.sha256)
    throw new Error(
      `${file}: ${id}.sha256: got ${entry.sha256}, and the file in the volume has ${measured.sha256}; if the new file is meant, remove the old checksum there first`,
    );
  const pinned = rewriteMapping(text, file, [id], "sources", { bytes: measured.bytes, sha256: measured.sha256 });
  parseModels(pinned, file);
  return pinned;
}
