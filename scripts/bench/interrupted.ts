import { benchStack } from "../../plan/bench/settings.ts";
import type { Variant } from "../../plan/bench/variants.ts";
import { JournalFile, journalNames, journalOf } from "./journal-file.ts";
import { endOrphans } from "./orphans.ts";
import { removeStack } from "./profile-run.ts";
import type { BenchRequest } from "./request.ts";
import { findPulumi } from "./stack-run.ts";
import { prepareWorkDir, workDirOf } from "./work-dir.ts";

/** Where a bench is at home. */
type Home = Pick<BenchRequest, "projectDir" | "docker" | "pulumi">;

/**
 * Ends and removes what a killed bench or search left: its processes, its server, its stack. Comes before any look at who uses the devices, because that
 * server does.
 * @throws {Error} if a bench is alive
 */
export async function removeInterrupted({ projectDir, docker, pulumi }: Home, say: (line: string) => void): Promise<void> {
  const workDir = workDirOf(projectDir);
  for (const name of journalNames) {
    await using journal = await JournalFile.open(journalOf(projectDir, name));
    const { interrupted } = journal.state;
    if (interrupted === null) continue;
    if ((await endOrphans(workDir)) > 0) say("ended what the killed run had left running");
    say(`removing what the interrupted ${name} of ${interrupted.profile} left`);
    await prepareWorkDir(projectDir, workDir, []);
    await removeStack(interrupted.stack, { ...pulumi, command: await findPulumi(), workDir }, docker);
    await journal.append({ kind: "removed", stack: interrupted.stack, at: new Date().toISOString() });
  }
}

/** Takes away stacks that `--keep` left up. @throws {Error} if a bench is alive */
export async function removeKept(
  { projectDir, docker, pulumi }: Home,
  variants: readonly Variant[],
  say: (line: string) => void,
): Promise<void> {
  await using journal = await JournalFile.open(journalOf(projectDir, "bench"));
  const place = { ...pulumi, command: await findPulumi(), workDir: workDirOf(projectDir) };
  await prepareWorkDir(projectDir, place.workDir, variants);
  for (const { id } of variants) {
    const was = await removeStack(benchStack(id), place, docker);
    await journal.append({ kind: "removed", stack: benchStack(id), at: new Date().toISOString() });
    say(`${id}: ${was ? "its stack is taken away" : "it had no stack"}`);
  }
}
