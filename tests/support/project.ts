import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { parseStackConfig, type StackConfig } from "../../plan/config/stack-config.ts";
import { planStack, type StackPlan } from "../../plan/stack.ts";

/** Text of a file of the project; undefined where there is none. */
export function readProjectFile(path: string): string | undefined {
  try {
    return readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  } catch {
    return undefined;
  }
}

/** Configuration of a committed stack, as Pulumi hands it over: objects as JSON text. */
export function pulumiConfig(stack: string): Record<string, string> {
  const { config } = parse(readProjectFile(`Pulumi.${stack}.yaml`) ?? "") as { config: Record<string, unknown> };
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]));
}

/** The committed dev stack, with changes to its parsed configuration. */
export function planDev(change: (config: StackConfig) => StackConfig = (config) => config, stack = "dev"): StackPlan {
  return planStack(stack, change(parseStackConfig("dev", pulumiConfig("dev"))), readProjectFile);
}
