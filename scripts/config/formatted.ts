import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { format, resolveConfig } from "prettier";

/** Writes a JSON file as the project formats it, so that a generated file passes `npm run format:check`; its folder is made. */
export async function writeFormattedJson(file: string, value: unknown): Promise<void> {
  const text = await format(JSON.stringify(value), { ...(await resolveConfig(file)), parser: "json" });
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}
