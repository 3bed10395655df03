import { Command } from "commander";
import { ensureStack, runPulumi } from "../pulumi.ts";

/** `npm run up -- STACK`: `pulumi up` with the project's own Node and tools. */
export function upCommand(): Command {
  return new Command("up")
    .description("deploy a stack: pulumi up with the project's own Node and tools")
    .argument("<stack>", "stack name, as in Pulumi.<stack>.yaml")
    .argument("[pulumi-options...]", "passed on to pulumi up, after --")
    .option("-y, --yes", "don't ask before changing anything")
    .action(async (stack: string, options: string[], { yes }: { yes?: boolean }) => {
      await ensureStack(stack);
      process.exitCode = await runPulumi(["up", "--stack", stack, ...(yes === true ? ["--yes", "--skip-preview"] : []), ...options]);
    });
}
