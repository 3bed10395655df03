/**
 * `pulumi up` with nothing to change: this project's dev stack against an empty TypeScript program with the same providers, in turn, so that a slow minute
 * slows both. Prints each pair and the median ratio. Needs a deployed dev stack (`npm run quickstart`).
 *
 *   node tests/bench/up-overhead/run.ts [pairs]
 */
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { median } from "simple-statistics";
import { projectDir, pulumiCommand } from "../../../scripts/paths.ts";

const pairs = Number(process.argv[2] ?? 7);
const up = ["up", "--yes", "--skip-preview", "--non-interactive", "--expect-no-changes"];

/** The program of `pulumi new typescript` with one resource per provider, so that both plugins start. */
const emptyProgram = `import * as command from "@pulumi/command";
import * as docker from "@pulumi/docker";
const provider = new docker.Provider("docker", {}, { version: "5.1.0" });
new docker.Volume("volume", { name: "llm-server-bench-empty" }, { provider });
new command.local.Command("command", { create: "true" });
`;

async function seconds(cwd: string, args: readonly string[], env: Record<string, string> = {}): Promise<number> {
  const began = performance.now();
  await execa(pulumiCommand, [...args], { cwd, env });
  return (performance.now() - began) / 1000;
}

const empty = await mkdtemp(join(tmpdir(), "llm-server-bench-"));
const env = { PULUMI_BACKEND_URL: `file://${empty}` };
try {
  await writeFile(join(empty, "Pulumi.yaml"), "name: empty\nruntime: nodejs\n");
  await writeFile(join(empty, "package.json"), '{ "name": "empty", "main": "index.ts" }\n');
  await writeFile(
    join(empty, "tsconfig.json"),
    '{ "compilerOptions": { "strict": true, "target": "es2020", "module": "commonjs", "moduleResolution": "node10", "ignoreDeprecations": "6.0", "skipLibCheck": true } }\n',
  );
  await writeFile(join(empty, "index.ts"), emptyProgram);
  await symlink(join(projectDir, "node_modules"), join(empty, "node_modules"));
  await execa(pulumiCommand, ["stack", "init", "empty"], { cwd: empty, env });
  await seconds(empty, [...up.slice(0, 4), "--stack", "empty"], env);
  const ratios: number[] = [];
  for (let pair = 1; pair <= pairs; pair++) {
    const ours = await seconds(projectDir, [...up, "--stack", "dev"]);
    const theirs = await seconds(empty, [...up, "--stack", "empty"], env);
    ratios.push(ours / theirs);
    process.stdout.write(
      `pair ${pair}: dev stack ${ours.toFixed(2)} s, empty program ${theirs.toFixed(2)} s, ratio ${(ours / theirs).toFixed(2)}\n`,
    );
  }
  process.stdout.write(`median ratio ${median(ratios).toFixed(2)} over ${pairs} pairs (at most 1.30 is the aim)\n`);
} finally {
  await execa(pulumiCommand, ["destroy", "--yes", "--skip-preview", "--stack", "empty"], { cwd: empty, env, reject: false });
  await rm(empty, { recursive: true, force: true });
}
