import { open, rename } from "node:fs/promises";

/** Writes a file whole or not at all: beside it, synced, then renamed; `mode` is set whatever the umask, `@default` 0o666 less the umask. */
export async function writeWhole(file: string, text: string, mode?: number): Promise<void> {
  const handle = await open(`${file}.part`, "w");
  await handle.writeFile(text);
  if (mode !== undefined) await handle.chmod(mode);
  await handle.sync();
  await handle.close();
  await rename(`${file}.part`, file);
}
