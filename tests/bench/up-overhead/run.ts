/**
 * `pulumi up` with nothing to change: this project's dev stack against empty TypeScript programs with the same providers, in turn, so that a slow minute
 * slows all. Prints each run and the median ratios. Needs a deployed dev stack (`npm run quickstart`).
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

/** One resource per provider, so that both plugins start. */
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

/** An empty program deployed once: as `pulumi new typescript` makes it, or run by Node itself as this project is. */
async function deployEmpty(stripsTypes: boolean): Promise<{ cwd: string; env: Record<string, string> }> {
  const cwd = await mkdtemp(join(tmpdir(), "llm-server-bench-"));
  const env = { PULUMI_BACKEND_URL: `file://${cwd}` };
  const runtime = stripsTypes ? "{ name: nodejs, options: { typescript: false } }" : "nodejs";
  await writeFile(join(cwd, "Pulumi.yaml"), `name: empty\nruntime: ${runtime}\n${stripsTypes ? "main: index.ts\n" : ""}`);
  await writeFile(
    join(cwd, "package.json"),
    JSON.stringify({ name: "empty", main: "index.ts", ...(stripsTypes ? { type: "module" } : {}) }),
  );
  const compilerOptions = {
    strict: true,
    target: "es2020",
    module: "commonjs",
    moduleResolution: "node10",
    ignoreDeprecations: "6.0",
    skipLibCheck: true,
  };
  if (!stripsTypes) await writeFile(join(cwd, "tsconfig.json"), JSON.stringify({ compilerOptions }));
  await writeFile(join(cwd, "index.ts"), emptyProgram);
  await symlink(join(projectDir, "node_modules"), join(cwd, "node_modules"));
  await execa(pulumiCommand, ["stack", "init", "empty"], { cwd, env });
  await seconds(cwd, [...up.slice(0, 4), "--stack", "empty"], env);
  return { cwd, env };
}

const rivals = {
  "empty program as `pulumi new typescript` makes it": await deployEmpty(false),
  "empty program made as fast as this one": await deployEmpty(true),
};
const ratios: Record<string, number[]> = {};
try {
  for (let pair = 1; pair <= pairs; pair++) {
    const ours = await seconds(projectDir, [...up, "--stack", "dev"]);
    for (const [name, { cwd, env }] of Object.entries(rivals)) {
      const theirs = await seconds(cwd, [...up, "--stack", "empty"], env);
      (ratios[name] ??= []).push(ours / theirs);
      process.stdout.write(
        `${pair}: dev stack ${ours.toFixed(2)} s, ${name} ${theirs.toFixed(2)} s, ratio ${(ours / theirs).toFixed(2)}\n`,
      );
    }
  }
  for (const [name, values] of Object.entries(ratios))
    process.stdout.write(`median ratio to the ${name}: ${median(values).toFixed(2)} over ${pairs} runs\n`);
} finally {
  for (const { cwd, env } of Object.values(rivals)) {
    await execa(pulumiCommand, ["destroy", "--yes", "--skip-preview", "--stack", "empty"], { cwd, env, reject: false });
    await rm(cwd, { recursive: true, force: true });
  }
}
