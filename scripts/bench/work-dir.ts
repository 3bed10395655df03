import { cp, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { projectName } from "../../plan/config/stack-config.ts";
import { deriveProfile, type Variant } from "../../plan/bench/variants.ts";
import type { StackSettings } from "../../plan/bench/settings.ts";

/** What the Pulumi program and its programs need of the project. */
const parts = ["Pulumi.yaml", "package.json", "index.ts", "components", "plan", "scripts", "configs", "docker", "toolchain/versions.env"];
const links = ["node_modules", ".tools", "benchmarks"];

/** Where benches of a project run. */
export const workDirOf = (projectDir: string): string => join(projectDir, ".tools", "bench", "work");

const profileFile = (dir: string, id: string): string => join(dir, "configs", `llama-cpp-${id}.env`);

/**
 * A copy of the project in which a matrix runs: what is edited meanwhile changes nothing, and made-up profiles and stack files never show in the checkout.
 * Stack files of an earlier run stay, because they hold the salt of their stack's state. Results go through a link into the project's own `benchmarks/`.
 */
export async function prepareWorkDir(projectDir: string, dir: string, variants: readonly Variant[]): Promise<void> {
  await mkdir(join(projectDir, "benchmarks"), { recursive: true });
  for (const part of [...parts, ...links]) await rm(join(dir, part), { recursive: true, force: true });
  await mkdir(dir, { recursive: true });
  for (const part of parts) await cp(join(projectDir, part), join(dir, part), { recursive: true });
  for (const link of links) await symlink(join(projectDir, link), join(dir, link));
  for (const variant of variants.filter(({ id, basedOn }) => id !== basedOn))
    await writeFile(profileFile(dir, variant.id), deriveProfile(await readFile(profileFile(dir, variant.basedOn), "utf8"), variant));
}

/** The part of a stack's file that its state depends on. */
const saltSchema = z.object({ encryptionsalt: z.string().optional() });

const profileSchema = z.object({ config: z.object({ [`${projectName}:profile`]: z.string() }) });

/** Profile that a stack of this work dir is the bench of; null where it is none of them. */
export async function benchedProfile(dir: string, stack: string): Promise<string | null> {
  const text = await readFile(join(dir, `Pulumi.${stack}.yaml`), "utf8").catch(() => "{}");
  const { data } = profileSchema.safeParse(parse(text));
  return data?.config[`${projectName}:profile`] ?? null;
}

/** A stack's file in the work dir, with the salt that it had. */
export async function writeStackFile(dir: string, stack: string, config: StackSettings): Promise<void> {
  const file = join(dir, `Pulumi.${stack}.yaml`);
  const text = await readFile(file, "utf8").catch(() => "{}");
  const { encryptionsalt } = saltSchema.parse(parse(text));
  await writeFile(file, stringify({ ...(encryptionsalt === undefined ? {} : { encryptionsalt }), config }));
}
