import { Command } from "commander";
import { describeServing } from "../../plan/serving.ts";
import { connectDocker } from "../docker/host.ts";
import { log } from "../program.ts";
import { ensureStack, readPromotion, runPulumi } from "../pulumi.ts";
import { seeServing } from "../serving.ts";

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
      if (process.exitCode !== 0) log(`up: not done; why stands above, under Diagnostics. ${await readLastLine(stack)}`);
    });
}

/** The last line on the screen: outputs, which Pulumi prints below what failed, are those of the release before. */
async function readLastLine(stack: string): Promise<string> {
  const promoted = await readPromotion(stack).then(
    (promotion) => promotion?.releaseId ?? null,
    () => undefined, // a damaged state is why nothing was deployed; what serves is on the host
  );
  return describeServing(stack, await seeServing(connectDocker(null), stack, promoted));
}
