import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "dotenv";
import { z } from "zod";
import { projectDir } from "../paths.ts";

const versionsSchema = z.object({
  PULUMI_CLI_VERSION: z.string(),
  DOCKER_PROVIDER_VERSION: z.string(),
  COMMAND_PROVIDER_VERSION: z.string(),
});

/** Versions that every way of setting up ends in. */
export interface Versions {
  readonly cli: string;
  /** Provider plugins by name. */
  readonly plugins: Readonly<Record<"docker" | "command", string>>;
}

/** The versions of `toolchain/versions.env`, the one place where they stand. */
export async function readVersions(): Promise<Versions> {
  const text = await readFile(join(projectDir, "toolchain", "versions.env"), "utf8");
  const { PULUMI_CLI_VERSION, DOCKER_PROVIDER_VERSION, COMMAND_PROVIDER_VERSION } = versionsSchema.parse(parse(text));
  return { cli: PULUMI_CLI_VERSION, plugins: { docker: DOCKER_PROVIDER_VERSION, command: COMMAND_PROVIDER_VERSION } };
}
