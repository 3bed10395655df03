import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Folder of the project. */
export const projectDir = fileURLToPath(new URL("..", import.meta.url));
/** What set-up puts into the project; ignored by git, and can be removed at any time. */
export const toolsDir = join(projectDir, ".tools");
/** The `pulumi` that set-up made: the chosen CLI with this project's Node and plugins. */
export const pulumiCommand = join(toolsDir, "bin", "pulumi");

/** Folder for what is costly to get and the same for every checkout; `XDG_CACHE_HOME` moves it. */
export function cacheDir(): string {
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "llm-server");
}
