import process from "node:process";
import { Command, CommanderError } from "commander";
import { baselineCommand } from "./commands/baseline.ts";
import { driftCommand } from "./commands/drift.ts";
import { modelsCommand } from "./commands/models.ts";
import { qualityCommand } from "./commands/quality.ts";
import { quickstartCommand } from "./commands/quickstart.ts";
import { recoverCommand } from "./commands/recover.ts";
import { tuneCommand } from "./commands/tune.ts";
import { benchCommand } from "./commands/bench.ts";
import { compareCommand } from "./commands/compare.ts";
import { reportCommand } from "./commands/report.ts";
import { setupCommand } from "./commands/setup.ts";
import { statusCommand } from "./commands/status.ts";
import { upCommand } from "./commands/up.ts";
import { headerCommand } from "./gguf/digest-command.ts";
import { planCommand } from "./gguf/plan-command.ts";
import { bisectCommand } from "./images/bisect.ts";
import { pinCommand } from "./images/pin.ts";
import { sbomCommand } from "./images/sbom.ts";
import { describeError, log } from "./program.ts";

/** Exit codes: 0 fine, 1 failed, 2 drift or inconclusive, 3 usage. */
const usageExitCode = 3;

const program = new Command("llm-server")
  .description("Serves GGUF models with llama.cpp in Docker; a benchmark and a perplexity check gate each rollout.")
  .addHelpText(
    "after",
    "\nExit codes: 0 fine, 1 failed, 2 drift or inconclusive, 3 usage. `pulumi` itself works too: .tools/bin/pulumi up -s dev",
  )
  .exitOverride()
  .showHelpAfterError("(add --help for what there is)");
for (const make of [
  quickstartCommand,
  setupCommand,
  upCommand,
  statusCommand,
  recoverCommand,
  driftCommand,
  modelsCommand,
  baselineCommand,
  qualityCommand,
  planCommand,
  headerCommand,
  pinCommand,
  bisectCommand,
  sbomCommand,
  reportCommand,
  compareCommand,
  benchCommand,
  tuneCommand,
])
  program.addCommand(make().copyInheritedSettings(program));

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : usageExitCode;
  else {
    log(`llm-server: ${describeError(error)}`);
    process.exitCode = 1;
  }
}
