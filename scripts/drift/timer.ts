import { execFile } from "node:child_process";
import { mkdir, readFile } from "node:fs/promises";
import { homedir, userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Command, InvalidArgumentError, Option } from "commander";
import { isTimeSpan, renderUnit, type UnitSettings } from "../../plan/drift/timer-units.ts";
import { writeWhole } from "../files.ts";
import { projectDir } from "../paths.ts";

interface TimerOptions {
  readonly stack: string;
  readonly every: string;
  readonly redeploy?: boolean;
  readonly user?: boolean;
  readonly print?: boolean;
  readonly environmentFile?: string;
}

const units = ["llm-server-drift@.service", "llm-server-drift@.timer"] as const;

/** `npm run drift -- install-timer`: a systemd timer that checks a stack again and again. */
export function timerCommand(): Command {
  return (
    new Command("install-timer")
      .description("install and start a systemd timer that runs this check; again, it changes the settings")
      .option("-s, --stack <stack>", "stack name", "dev")
      .addOption(new Option("--every <time>", "time between two checks, as systemd writes it").default("15min").argParser(timeSpan))
      .option("--redeploy", "let the timer bring the stack back, too")
      .addOption(
        new Option("--environment-file <path>", "file with LLM_SERVER_NOTIFY_URL, PULUMI_CONFIG_PASSPHRASE_FILE and the like, mode 0600"),
      )
      .option("--user", "install for the calling user instead of the machine")
      .option("--print", "print the two units and change nothing")
      .exitOverride()
      // options that the check has too are taken by it wherever they stand
      .action((_, command: Command) => install(command.optsWithGlobals()))
  );
}

function timeSpan(text: string): string {
  if (!isTimeSpan(text)) throw new InvalidArgumentError("expected a time of systemd, e.g. 15min or 1h");
  return text;
}

async function install(options: TimerOptions): Promise<void> {
  const isUser = options.user === true;
  const settings: UnitSettings = {
    projectDir,
    every: options.every,
    arguments: options.redeploy === true ? ["--redeploy"] : [],
    environmentFile: options.environmentFile ?? null,
    user: isUser ? null : userInfo().username,
  };
  const rendered = await Promise.all(
    units.map(async (name) => ({ name, text: renderUnit(await readFile(join(projectDir, "deploy", "systemd", name), "utf8"), settings) })),
  );
  if (options.print === true) {
    for (const { name, text } of rendered) process.stdout.write(`# ${name}\n${text}\n`);
    return;
  }
  const folder = isUser ? join(process.env["XDG_CONFIG_HOME"] ?? join(homedir(), ".config"), "systemd", "user") : "/etc/systemd/system";
  await mkdir(folder, { recursive: true });
  for (const { name, text } of rendered) await writeWhole(join(folder, name), text, 0o644);
  const systemctl = (...args: string[]) => promisify(execFile)("systemctl", [...(isUser ? ["--user"] : []), ...args]);
  await systemctl("daemon-reload");
  await systemctl("enable", "--now", `llm-server-drift@${options.stack}.timer`);
  process.stdout.write(
    `stack ${options.stack} is checked every ${options.every}; see: journalctl ${isUser ? "--user " : ""}-u llm-server-drift@${options.stack}\n`,
  );
}
