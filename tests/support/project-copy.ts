import { cp, mkdtemp, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectDir } from "../../scripts/paths.ts";

/** What a deployment needs of the project. */
const parts = [
  "Pulumi.yaml",
  "package.json",
  "index.ts",
  "components",
  "plan",
  "scripts",
  "configs",
  "docker",
  "toolchain/versions.env",
] as const;

/** A copy of the project in a new folder that begins with `prefix`; packages are those of the project. */
export async function copyProject(prefix: string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), prefix));
  for (const part of parts) await cp(join(projectDir, part), join(dir, part), { recursive: true });
  await symlink(join(projectDir, "node_modules"), join(dir, "node_modules"));
  return dir;
}
