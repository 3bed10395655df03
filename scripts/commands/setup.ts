import { Command } from "commander";
import { setUp } from "../setup/index.ts";

/** `npm run setup`: brings Node, Docker, Pulumi and the base image to this machine. */
export function setupCommand(): Command {
  return new Command("setup")
    .description("set up Docker, the Pulumi CLI and plugins, and the base image; changes nothing that is there already")
    .option("--json", "print what was found or brought as JSON")
    .action(async ({ json }: { json?: boolean }) => {
      const setup = await setUp();
      if (json === true) process.stdout.write(`${JSON.stringify(setup, null, 2)}\n`);
    });
}
