/**
 * Rollouts with good and bad candidates on the real CLI, Docker and llama.cpp, with something killed at a random moment: a release that passed its gates serves
 * afterwards, and nothing is left behind. `npm run test:chaos` does 100 of them. Gates are as short as they can be: their decisions are shown elsewhere.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { labels } from "../../plan/names.ts";
import { chat, underLoad } from "../support/load.ts";
import { prepareModels } from "../support/models.ts";
import { processesUnder } from "../support/processes.ts";
import { providerSets } from "../support/provider-sets.ts";
import { randomFrom } from "../support/random.ts";
import { StackProject } from "../support/stack-project.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";

const rollouts = Number(process.env["CHAOS_ROLLOUTS"] ?? 6);
const random = randomFrom(Number(process.env["CHAOS_SEED"] ?? 6));
const [set] = await providerSets();
await buildTestImage();
await prepareModels(testImage);

/** What is killed, by a part of its command line; `cli` is the process that the test started. */
const targets = {
  gate: "scripts/gates/",
  promote: "scripts/promote.ts",
  program: "pulumi-language-nodejs",
  provider: "pulumi-resource-command",
  cli: "",
};
type Target = keyof typeof targets | "interrupt" | "nothing";
const allTargets: readonly Target[] = ["gate", "gate", "promote", "program", "provider", "cli", "cli", "interrupt", "nothing"];
/** Seconds within which a rollout of these tests ends by itself, so that a kill falls into it. */
const spanSec = 10;

describe.skipIf(set === undefined)("rollouts in which something is killed", () => {
  let project: StackProject;
  const good = new Set<string>();
  beforeAll(async () => {
    if (set === undefined) throw new Error("no provider set");
    project = await StackProject.create(set, { fast: true });
    await project.set("rollout.strategy", "recreate");
    const { exitCode, output } = await project.up();
    expect(exitCode, output).toBe(0);
    good.add(String((await project.outputs())["activeRelease"]));
  });
  afterAll(async () => {
    await project[Symbol.asyncDispose]();
  });

  it.each(Array.from({ length: rollouts }, (_, index) => index))("rollout %i", async (index) => {
    const isGood = random() < 0.6;
    const target = allTargets[Math.floor(random() * allTargets.length)] ?? "nothing";
    const afterSec = random() * spanSec;
    const name = `n${index}`;
    await project.writeProfile(name, (text) => text.replace("LLAMA_ARG_CTX_SIZE=4096", `LLAMA_ARG_CTX_SIZE=${4096 + 256 * (index + 1)}`));
    await project.set("profile", name);
    await project.refuseCandidates(!isGood);
    const { load } = await underLoad(project.endpoint, async () => {
      const up = project.start("up", "--yes", "--skip-preview", "--stack", project.stack);
      const { pid } = up;
      if (pid === undefined) throw new Error("pulumi did not start");
      await Promise.race([sleep(afterSec * 1000), up]);
      await kill(target, pid);
      const { exitCode, all } = await up;
      const what = `${target} killed after ${afterSec.toFixed(1)} s, ${isGood ? "good" : "bad"} candidate, exit code ${exitCode ?? "none"}`;
      await untilQuiet();
      const recovered = await project.cli("recover", project.stack);
      expect(recovered.exitCode, `${what}\n${all}\n${recovered.output}`).toBe(0);
      const { upstream } = await chat(project.endpoint);
      const release = /server-([0-9a-f]{10})/.exec(upstream)?.[1] ?? upstream;
      if (isGood) good.add(release);
      expect([...good], `${what}\n${all}\n${recovered.output}`).toContain(release);
      expect(await running(), what).toEqual([`llm-server-${project.stack}-server-${release}`]);
      expect(await leftovers(), what).toEqual([]);
    });
    expect(load.failures).toEqual([]);
    // and the project goes on from there
    const next = await project.up();
    expect(next.exitCode === 0, next.output).toBe(isGood);
    if (isGood) good.add(String((await project.outputs())["activeRelease"]));
  });

  async function kill(target: Target, cli: number): Promise<void> {
    if (target === "nothing") return;
    if (target === "interrupt") process.kill(cli, "SIGINT");
    else if (target === "cli") process.kill(cli, "SIGKILL");
    else
      for (const { pid } of (await processesUnder(cli)).filter(({ command }) => command.includes(targets[target])))
        process.kill(pid, "SIGKILL");
  }

  /** Until no rollout holds a device any more. */
  async function untilQuiet(): Promise<void> {
    for (const end = Date.now() + 60_000; (await locks()).length > 0;) {
      if (Date.now() > end) throw new Error(`still there after a minute: ${(await locks()).join(", ")}`);
      await sleep(200);
    }
  }

  const list = async (...filters: string[]): Promise<string[]> => {
    const args = filters.flatMap((filter) => ["--filter", filter]);
    const { stdout } = await execa("docker", ["ps", ...args, "--format", "{{.Names}}"]);
    return stdout.split("\n").filter((name) => name !== "");
  };
  const own = (): string => `label=${labels.stack}=${project.stack}`;
  const locks = async (): Promise<string[]> => {
    const { stdout } = await execa("docker", [
      "ps",
      "--all",
      "--filter",
      own(),
      "--filter",
      `label=${labels.role}=lock`,
      "--format",
      "{{.Names}}",
    ]);
    return stdout.split("\n").filter((name) => name !== "");
  };
  const running = (): Promise<string[]> => list(own(), `label=${labels.role}=server`);
  const leftovers = async (): Promise<string[]> => [...(await locks()), ...(await list(own(), `label=${labels.role}=helper`))];
});

if (set === undefined) it.skip("needs a provider set: install Go for toolchain/, or name a folder of archives in PULUMI_PLUGIN_ARCHIVES");
