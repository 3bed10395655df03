import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { encodeGguf, type HeaderOnlyModel } from "../../plan/gguf/write.ts";

/** Writes the header and makes the file as long as the real one would be; the weights are a hole that takes no disk. Answers with its bytes. */
export function writeSparseGguf(path: string, model: HeaderOnlyModel): number {
  const { header, fileBytes } = encodeGguf(model);
  const file = openSync(path, "w");
  try {
    writeSync(file, header);
    ftruncateSync(file, fileBytes);
  } finally {
    closeSync(file);
  }
  return fileBytes;
}
