import { join, resolve } from "node:path";
import process from "node:process";
import { Command, InvalidArgumentError } from "commander";
import { connectDocker } from "../docker/host.ts";
import { projectDir } from "../paths.ts";
import { log } from "../program.ts";
import { readReportInput } from "../report/read.ts";
import { writeReport } from "../report/write.ts";

interface ReportOptions {
  readonly out: string;
  readonly vram: number;
  readonly engine?: boolean;
  readonly json?: boolean;
}

/** `npm run report`: one page and its Markdown twin from the result files. */
export function reportCommand(): Command {
  return new Command("report")
    .description("one HTML page and its Markdown twin from benchmarks/ and the hand-over: speed, memory, quality, decision, history")
    .option("-o, --out <folder>", "where report.html and report.md go", join(projectDir, "benchmarks"))
    .option("--vram <MiB>", "memory of the GPU that profiles are planned for", parseMiB, 16_384)
    .option("--engine", "ask the engine too what memory it would reserve (needs Docker and the built images)")
    .option("--json", "print where the files are as JSON")
    .action(async ({ out, vram, engine, json }: ReportOptions) => {
      const docker = engine === true ? connectDocker(null) : null;
      const input = await readReportInput({ folder: projectDir, vramMiB: vram, docker });
      const written = await writeReport(input, projectDir, resolve(out));
      for (const { file, reason } of written.unreadable) log(`report: ${file} does not read and is named in the report: ${reason}`);
      const size = `${(written.bytes / 1024).toFixed(0)} KiB`;
      process.stdout.write(
        json === true
          ? `${JSON.stringify(written)}\n`
          : `${written.html}\n${written.markdown}\n${written.results} result${written.results === 1 ? "" : "s"}, ${size}\n`,
      );
    });
}

function parseMiB(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("expected a number of MiB, e.g. 16384");
  return Number(text);
}
