import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { execa, type ResultPromise } from "execa";
import { parse, stringify } from "yaml";
import { labels } from "../../../plan/names.ts";
import { prepareModels } from "../../support/models.ts";
import { providerSets } from "../../support/provider-sets.ts";
import { freePort, StackProject } from "../../support/stack-project.ts";
import { buildTestImage, testImage } from "../../support/test-image.ts";

/**
 * Deploys a stack, benches a profile with `--pause` on it, and tells whether the stack stood still meanwhile and serves again; then once more with Ctrl-C in
 * the middle and with kill -9, and whether the same command goes on.
 */
const problems: string[] = [];
const check = (is: boolean, what: string): void => {
  process.stdout.write(`${is ? "yes" : "NO "}  ${what}\n`);
  if (!is) problems.push(what);
};

await buildTestImage();
await prepareModels(testImage);
const [set] = await providerSets();
if (set === undefined) throw new Error("no provider set; run: npm run setup");
await using project = await StackProject.create(set, { fast: true });
const { exitCode, output } = await project.up();
check(exitCode === 0, `the stack came up${exitCode === 0 ? "" : `: ${output.slice(-2000)}`}`);

const { config } = parse(await readFile(join(project.dir, `Pulumi.${project.stack}.yaml`), "utf8")) as { config: Record<string, object> };
const settings = { ...config, "llm-server:gateway": { port: await freePort() } };
await writeFile(join(project.dir, "Pulumi.smoke.yaml"), stringify({ config: settings }));

/** Ids of the containers that pass all of these filters, running or not. */
const containers = async (...filters: readonly string[]): Promise<string> =>
  (await execa("docker", ["container", "ls", "--all", "--quiet", ...filters.flatMap((filter) => ["--filter", filter])])).stdout;

/** Whether a server of a stack runs. */
const runs = async (stack: string): Promise<boolean> =>
  (await containers(`label=${labels.stack}=${stack}`, `label=${labels.role}=server`, "status=running")) !== "";

/** Status of a completion through the paused stack's gateway. */
async function ask(): Promise<number> {
  const body = JSON.stringify({ messages: [{ role: "user", content: "Say yes." }], max_tokens: 2 });
  return (await fetch(`${project.endpoint}/v1/chat/completions`, { method: "POST", headers: { "content-type": "application/json" }, body }))
    .status;
}

check((await ask()) === 200, "it serves before");

/** Benches with the stack paused; `at` is called at the first start of the measured server. */
async function benchPaused(
  at: (bench: ResultPromise) => void | Promise<void>,
): Promise<{ exitCode: number; stdout: string; said: string }> {
  const command = ["scripts/cli.ts", "bench", "dev", "--settings", "smoke", "--pause", project.stack, "--json"];
  const bench = execa(process.execPath, command, { cwd: project.dir, env: project.env, reject: false, detached: true });
  const said: string[] = [];
  for await (const line of bench.iterable({ from: "stderr" })) {
    process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
    said.push(line);
    if (line.includes("benchmark: start 1")) await at(bench);
  }
  const { exitCode, stdout } = await bench;
  return { exitCode: exitCode ?? -1, stdout, said: said.join("\n") };
}

let stood: boolean | undefined;
const whole = await benchPaused(async () => {
  stood = !(await runs(project.stack));
});
check(stood === true, "its server stood still while the other was measured");
check(whole.exitCode === 0 && whole.stdout.includes('"outcome":"measured"'), `the bench measured (exit code ${whole.exitCode})`);
check((await runs(project.stack)) && (await ask()) === 200, "it serves again");

const stopped = await benchPaused(({ pid }) => void process.kill(-(pid ?? 0), "SIGINT")); // the whole group, as a terminal's Ctrl-C
check(
  stopped.exitCode === 1 && stopped.said.includes("the same command goes on from here"),
  "Ctrl-C ends a bench, which says how to go on",
);
check((await runs(project.stack)) && (await ask()) === 200, "it serves again after Ctrl-C");
check(!(await runs("bench-dev")), "no server of the stopped bench runs");
const locks = await containers(`label=${labels.role}=lock`, `label=${labels.stack}=${project.stack}`);
check(locks === "", "its devices are free");

let atOnce: boolean | undefined;
const killed = await benchPaused(async ({ pid }) => {
  process.kill(pid ?? 0, "SIGKILL");
  atOnce = (await ask()) === 200 && !(await runs("bench-dev")); // the gateway holds the request until the stack serves
});
check(killed.exitCode !== 0 && atOnce === true, "it serves again after kill -9 of the bench, whose server is gone by then");
await sleep(20_000);
check(!(await runs("bench-dev")) && (await ask()) === 200, "Pulumi, which outlives the bench, starts no server beside it");

const further = await benchPaused(() => undefined);
check(further.exitCode === 0 && further.said.includes("removing what the interrupted bench of dev left"), "the same command goes on");
check((await containers(`label=${labels.stack}=bench-dev`)) === "", "nothing of the benched stack is left");
process.exitCode = problems.length === 0 ? 0 : 1;
