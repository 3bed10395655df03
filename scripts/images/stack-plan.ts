import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import { parseStackConfig, withheldKeys } from "../../plan/config/stack-config.ts";
import { planStack } from "../../plan/stack.ts";
import type { StackPlan } from "../../plan/stack.ts";
import { projectDir } from "../paths.ts";
import { readPulumi } from "../pulumi.ts";

/** `pulumi config --json`: values as text, objects as JSON text. */
const pulumiConfigSchema = z.record(z.string(), z.object({ value: z.string().optional(), secret: z.boolean().default(false) }));

/** Text of a file of the project by its path; undefined where there is none. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(resolve(projectDir, path), "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Stack configuration as Pulumi has it, secrets withheld; `profile` replaces its own. */
export async function readStackPlan(stack: string, profile?: string): Promise<StackPlan> {
  const config = pulumiConfigSchema.parse(JSON.parse(await readPulumi(["config", "--json", "--stack", stack])));
  const values = Object.entries(config).flatMap(([key, { value, secret }]) =>
    value !== undefined ? [[key, value] as const] : secret && key === "llm-server:apiKeys" ? [[key, withheldKeys] as const] : [],
  );
  const changed: Record<string, string> = profile === undefined ? {} : { "llm-server:profile": profile };
  return planStack(stack, parseStackConfig(stack, { ...Object.fromEntries(values), ...changed }), readText);
}
