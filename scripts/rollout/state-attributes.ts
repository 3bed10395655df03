import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { projectName } from "../../plan/config/stack-config.ts";
import { backendFolder } from "./state-lock.ts";

/**
 * Takes away attributes of states that a killed `pulumi` never wrote whole, and says so. Its file backend replaces a state by one rename, but empties and
 * rewrites `<state>.attrs` beside it in place; a kill between the two makes each later command fail with `failed to load checkpoint: EOF`. Without that file it reads the
 * state with its defaults, and writes a new one with the next state. So nothing is lost, also where one is being written at this moment.
 * @see setAttrs and getAttrs in blob/fileblob/attrs.go of gocloud.dev 0.46
 */
export async function removeTornAttributes(progress: (line: string) => void): Promise<void> {
  const root = await backendFolder();
  if (root === undefined) return; // another backend has no such files
  const folder = join(root, ".pulumi", "stacks", projectName);
  const files = (await readdir(folder).catch(() => [])).filter((file) => file.endsWith(".attrs"));
  for (const file of files) {
    if (await isWhole(join(folder, file))) continue;
    await rm(join(folder, file), { force: true });
    progress(`removed ${file}, which a killed pulumi command never wrote whole`);
  }
}

async function isWhole(file: string): Promise<boolean> {
  const text = await readFile(file, "utf8").catch(() => undefined);
  if (text === undefined) return true; // gone since it was listed
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
