/**
 * Rollouts with good and bad candidates on the real CLI, Docker and llama.cpp, with something killed at a random moment: a release that passed its gates serves
 * afterwards, and nothing is left behind. `npm run test:chaos` does 100 of them. Gates are as short as they can be: their decisions are shown elsewhere.
 */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFailed } from "vitest";
import { eachTarget, killPart, leftoversOf, recover, runningServers, untilAtWork, untilQuiet, type Target } from "../support/killing.ts";
import { chat, underLoad } from "../support/load.ts";
import { prepareModels } from "../support/models.ts";
import { providerSets } from "../support/provider-sets.ts";
import { randomFrom } from "../support/random.ts";
import { StackProject } from "../support/stack-project.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";

const rollouts = Number(process.env["CHAOS_ROLLOUTS"] ?? 6);
const random = randomFrom(Number(process.env["CHAOS_SEED"] ?? 11));
const [set] = await providerSets();
await buildTestImage();
await prepareModels(testImage);

/** Seconds within which a rollout of these tests ends by itself, so that a kill falls into it. */
const spanSec = 10;
/** Seconds that `promote` takes. */
const promoteSec = 0.5;

/** What is killed in each rollout: every part once, in a random order, and then again. */
function dealTargets(count: number): Target[] {
  const deal = (): Target[] =>
    eachTarget
      .map((target) => ({ target, place: random() }))
      .sort((a, b) => a.place - b.place)
      .map(({ target }) => target);
  return Array.from({ length: Math.ceil(count / eachTarget.length) }, deal)
    .flat()
    .slice(0, count);
}

describe.skipIf(set === undefined)("rollouts in which something is killed", () => {
  let project: StackProject;
  const good = new Set<string>();
  beforeAll(async () => {
    if (set === undefined) throw new Error("no provider set");
    project = await StackProject.create(set, { fast: true });
    await project.set("rollout.strategy", "recreate");
    good.add(await project.deploy());
  });
  afterAll(async () => {
    await project[Symbol.asyncDispose]();
  });

  const cases = dealTargets(rollouts).map((target, index) => {
    // only a good candidate comes as far as `promote`, which is at work for a moment
    const isPromote = target === "promote";
    return { index, target, isGood: isPromote || random() < 0.6, afterSec: random() * (isPromote ? promoteSec : spanSec) };
  });

  it.each(cases)("rollout $index: $target is killed", async ({ index, target, isGood, afterSec }) => {
    // at once: a hundred of them take an hour
    onTestFailed(
      ({ task }) => void process.stderr.write(`${(task.result?.errors ?? []).flatMap(({ stack, diff }) => [stack, diff]).join("\n")}\n`),
    );
    await project.useCtxSize(4096 + 256 * (index + 1));
    await project.refuseCandidates(!isGood);
    const { load } = await underLoad(project.endpoint, async () => {
      const up = project.start("up", "--yes", "--skip-preview", "--stack", project.stack);
      const { pid } = up;
      if (pid === undefined) throw new Error("pulumi did not start");
      let isOver = false;
      void up.then(() => (isOver = true));
      if (target === "promote") await untilAtWork(target, pid, () => isOver);
      await Promise.race([sleep(afterSec * 1000), up]);
      await untilAtWork(target, pid, () => isOver);
      await killPart(target, pid);
      const { exitCode, all } = await up;
      const what = `${target} killed after ${afterSec.toFixed(1)} s, ${isGood ? "good" : "bad"} candidate, exit code ${exitCode ?? "none"}`;
      await untilQuiet(project.stack);
      const recovered = await recover(project);
      expect(recovered.exitCode, `${what}\n${all}\n${recovered.output}`).toBe(0);
      const { upstream } = await chat(project.endpoint);
      const release = /server-([0-9a-f]{10})/.exec(upstream)?.[1] ?? upstream;
      if (isGood) good.add(release);
      expect([...good], `${what}\n${all}\n${recovered.output}`).toContain(release);
      expect(await runningServers(project.stack), what).toEqual([`llm-server-${project.stack}-server-${release}`]);
      expect(await leftoversOf(project), what).toEqual([]);
    });
    expect(load.failures).toEqual([]);
    // and the project goes on from there
    const next = await project.up();
    expect(next.exitCode === 0, next.output).toBe(isGood);
    if (isGood) good.add(await project.activeRelease());
  });
});

if (set === undefined) it.skip("needs a provider set: install Go for toolchain/, or name a folder of archives in PULUMI_PLUGIN_ARCHIVES");
