import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { execa } from "execa";
import { parse, stringify } from "yaml";
import { labels } from "../../../plan/names.ts";
import { prepareModels } from "../../support/models.ts";
import { providerSets } from "../../support/provider-sets.ts";
import { freePort, StackProject } from "../../support/stack-project.ts";
import { buildTestImage, testImage } from "../../support/test-image.ts";

/** Deploys a stack, benches a profile with `--pause` on it, and tells whether the stack stood still meanwhile and serves again. */
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

/** Whether a server of the paused stack runs. */
async function runs(): Promise<boolean> {
  const filters = ["--filter", `label=${labels.stack}=${project.stack}`, "--filter", `label=${labels.role}=server`];
  return (await execa("docker", ["container", "ls", "--quiet", ...filters])).stdout !== "";
}

/** Status of a completion through the paused stack's gateway. */
async function ask(): Promise<number> {
  const body = JSON.stringify({ messages: [{ role: "user", content: "Say yes." }], max_tokens: 2 });
  return (await fetch(`${project.endpoint}/v1/chat/completions`, { method: "POST", headers: { "content-type": "application/json" }, body }))
    .status;
}

check((await ask()) === 200, "it serves before");
const command = ["scripts/cli.ts", "bench", "dev", "--settings", "smoke", "--pause", project.stack, "--json"];
const bench = execa(process.execPath, command, { cwd: project.dir, env: project.env, reject: false });
let stood: boolean | undefined;
for await (const line of bench.iterable({ from: "stderr" })) {
  process.stderr.write(`${line}\n`);
  if (line.includes("benchmark: start 1")) stood = !(await runs());
}
const ended = await bench;
check(stood === true, "its server stood still while the other was measured");
check(ended.exitCode === 0 && ended.stdout.includes('"outcome":"measured"'), `the bench measured (exit code ${ended.exitCode ?? "none"})`);
check((await runs()) && (await ask()) === 200, "it serves again");
process.exitCode = problems.length === 0 ? 0 : 1;
