import { enableCompileCache } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { Command, CommanderError } from "commander";
import { projectDir } from "./paths.ts";
import { describeError, log } from "./program.ts";

/** Exit codes: 0 fine, 1 failed, 2 drift or inconclusive, 3 usage. */
const usageExitCode = 3;

/** Every command in the order of the help. They are loaded by name: the libraries of all of them take Node a second. */
const commands = new Map<string, () => Promise<() => Command>>(
  Object.entries({
    quickstart: async () => (await import("./commands/quickstart.ts")).quickstartCommand,
    setup: async () => (await import("./commands/setup.ts")).setupCommand,
    up: async () => (await import("./commands/up.ts")).upCommand,
    status: async () => (await import("./commands/status.ts")).statusCommand,
    recover: async () => (await import("./commands/recover.ts")).recoverCommand,
    drift: async () => (await import("./commands/drift.ts")).driftCommand,
    models: async () => (await import("./commands/models.ts")).modelsCommand,
    baseline: async () => (await import("./commands/baseline.ts")).baselineCommand,
    quality: async () => (await import("./commands/quality.ts")).qualityCommand,
    plan: async () => (await import("./gguf/plan-command.ts")).planCommand,
    header: async () => (await import("./gguf/digest-command.ts")).headerCommand,
    pin: async () => (await import("./images/pin.ts")).pinCommand,
    bisect: async () => (await import("./images/bisect.ts")).bisectCommand,
    sbom: async () => (await import("./images/sbom.ts")).sbomCommand,
    report: async () => (await import("./commands/report.ts")).reportCommand,
    compare: async () => (await import("./commands/compare.ts")).compareCommand,
    bench: async () => (await import("./commands/bench.ts")).benchCommand,
    tune: async () => (await import("./commands/tune.ts")).tuneCommand,
  }),
);

enableCompileCache(join(projectDir, "node_modules", ".cache", "node")); // as scripts/run-program.sh does

const program = new Command("llm-server")
  .description("Serves GGUF models with llama.cpp in Docker; a benchmark and a perplexity check gate each rollout.")
  .addHelpText(
    "after",
    "\nExit codes: 0 fine, 1 failed, 2 drift or inconclusive, 3 usage. `pulumi` itself works too: .tools/bin/pulumi up -s dev",
  )
  .exitOverride()
  .showHelpAfterError("(add --help for what there is)");
// the one that is asked for; all where it is not said which, for the help, or said wrongly, for what else it might be
const asked = commands.get(process.argv[2] ?? "");
for (const load of asked === undefined ? commands.values() : [asked]) program.addCommand((await load())().copyInheritedSettings(program));

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : usageExitCode;
  else {
    log(`llm-server: ${describeError(error)}`);
    process.exitCode = 1;
  }
}
