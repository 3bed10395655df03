import { GgufError, type GgufHeader } from "./types.ts";

/**
 * Passes if a file of `fileBytes` can hold every tensor that its header declares. A longer file passes (writers pad the end); the content isn't looked at.
 * @throws {GgufError} with both sizes, where the file is too short.
 */
export function checkTensorExtents(header: Pick<GgufHeader, "requiredFileBytes" | "source">, fileBytes: number): void {
  if (fileBytes >= header.requiredFileBytes) return;
  const missing = header.requiredFileBytes - fileBytes;
  throw new GgufError(
    `${header.source}: got ${fileBytes} bytes, its tensors end at ${header.requiredFileBytes}; ${missing} bytes are missing, fetch the file again`,
  );
}

/**
 * All parts of a split model as one header; a whole file comes back as it is. Metadata is taken from the first part, as llama.cpp does.
 * @param headers the parts at hand, in any order
 * @throws {GgufError} naming the parts that are missing or given twice, or the difference where parts belong to different models.
 */
export function joinSplitHeaders(headers: readonly GgufHeader[]): GgufHeader {
  const [any] = headers;
  if (any === undefined) throw new GgufError("got no GGUF header, expected at least one");
  if (any.split === null && headers.length === 1) return any;
  const parts = new Map<number, GgufHeader>();
  const { count, tensors: expected } = any.split ?? { count: 1, tensors: any.tensors.length };
  for (const header of headers) {
    const { split } = header;
    if (split?.count !== count)
      throw new GgufError(`${header.source}: got part of ${split?.count ?? 1}, the others are of ${count}; they are different models`);
    if (parts.has(split.no)) throw new GgufError(`${header.source}: part ${split.no + 1} of ${count} is given twice`);
    parts.set(split.no, header);
  }
  const missing = Array.from({ length: count }, (_, no) => no).filter((no) => !parts.has(no));
  if (missing.length > 0) {
    throw new GgufError(
      `${any.source}: split model of ${count} files lacks part ${missing.map((no) => no + 1).join(", ")}; fetch every part`,
    );
  }
  const ordered = [...parts.entries()].sort(([a], [b]) => a - b).map(([, header]) => header);
  const tensors = ordered.flatMap((header) => header.tensors);
  if (tensors.length !== expected)
    throw new GgufError(`${any.source}: got ${tensors.length} tensors in ${count} parts, the header says ${expected}`);
  const sum = (pick: (header: GgufHeader) => number): number => ordered.reduce((total, header) => total + pick(header), 0);
  const first = ordered[0] ?? any;
  return { ...first, split: null, tensors, fileBytes: sum((h) => h.fileBytes), requiredFileBytes: sum((h) => h.requiredFileBytes) };
}
