/**
 * A stack's life on the real CLI, Docker, llama.cpp and model, with each provider set. Margins of speed are wide here: that the gates' decisions are
 * right is shown elsewhere, and what two releases on one GPU do cannot be shown on a host without one.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { QualityRow } from "../../plan/gates/quality.ts";
import { perplexityReferenceSchema } from "../../plan/gates/reference.ts";
import { chat, underLoad } from "../support/load.ts";
import { badModel, prepareModels } from "../support/models.ts";
import { providerSets } from "../support/provider-sets.ts";
import { StackProject } from "../support/stack-project.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";

const sets = await providerSets();
await buildTestImage();
await prepareModels(testImage);

describe.each(sets)("with the $name providers", (set) => {
  /** What is this project's own work, whoever the providers are, is shown once. */
  const isMain = set === sets[0];
  let project: StackProject;
  let first: string;
  beforeAll(async () => {
    project = await StackProject.create(set);
    // beside each other, as on a host with room: recreate.test.ts is about one that has none
    await project.set("rollout.strategy", "bluegreen");
    if (!isMain) await project.shortenBenchmark(); // the dev stack's own gates run once
  });
  afterAll(async () => {
    await project[Symbol.asyncDispose]();
  });
  const serverOf = (release: string): string => `llm-server-${project.stack}-server-${release}`;
  const startedAt = async (name: string): Promise<string> =>
    (await execa("docker", ["inspect", "--format", "{{.State.StartedAt}}", name])).stdout;

  it("shows in a preview what would be made, and makes nothing", async () => {
    const { exitCode, output } = await project.pulumi("preview", "--stack", project.stack);
    expect(output).toContain("promote create");
    expect(exitCode).toBe(0);
    expect(await project.onHost("container")).toEqual([]);
  });

  it("serves a release that passed its gates", async () => {
    const { exitCode, output } = await project.up();
    expect(output).toMatch(/perplexity gate: PASSED/);
    expect(output).toMatch(/benchmark gate: PASSED/);
    expect(exitCode).toBe(0);
    first = await project.activeRelease();
    expect(await project.outputs()).toMatchObject({
      endpoint: project.endpoint,
      profile: "dev",
      verdicts: {
        perplexity: expect.arrayContaining([expect.stringContaining("PASSED")]) as string[],
        benchmark: expect.arrayContaining([expect.stringContaining("PASSED")]) as string[],
      },
    });
    const answer = await chat(project.endpoint);
    expect(answer.text).toContain("Paris");
    expect(answer.upstream).toBe(`${serverOf(first)}:8080`);
  });

  it("finds nothing to change in a second up, a preview and a refresh", async () => {
    const before = await startedAt(serverOf(first));
    expect((await project.up("--expect-no-changes")).output).not.toMatch(/\d+ (created|updated|replaced|deleted)/);
    expect(await project.pulumi("preview", "--expect-no-changes", "--stack", project.stack)).toMatchObject({ exitCode: 0 });
    expect(await project.pulumi("refresh", "--preview-only", "--expect-no-changes", "--stack", project.stack)).toMatchObject({
      exitCode: 0,
    });
    expect(await startedAt(serverOf(first))).toBe(before);
  });

  if (isMain)
    it("records another perplexity reference on request, and compares quants with it", async () => {
      const model = "gemma-3-270m-q4_k_m";
      const file = "configs/references/short.json";
      const [short, stack] = [
        ["--chunks", "2", "--context", "64"],
        ["--stack", project.stack],
      ];
      const recorded = await project.cli("models", "reference", model, ...short, ...stack, "--write", file, "--note", "two chunks");
      expect(recorded).toMatchObject({
        exitCode: 0,
        output: expect.stringContaining(`is the reference of stack ${project.stack} now`) as string,
      });
      const written = perplexityReferenceSchema.parse(JSON.parse(await readFile(join(project.dir, file), "utf8")));
      expect(written).toMatchObject({ family: "gemma-3-270m", ctxSize: 64, note: "two chunks" });
      expect((await project.cli("baseline", "show", project.stack)).output).toContain(String(written.finalPerplexity));
      const quality = await project.cli(
        "quality",
        model,
        join(project.dir, "models", badModel),
        "--recorded",
        ...short,
        ...stack,
        "--json",
      );
      const { rows } = JSON.parse(quality.output.slice(quality.output.indexOf("{"))) as { rows: QualityRow[] };
      expect(rows.map(({ differencePercent }) => differencePercent)).toEqual([
        expect.closeTo(0, 2),
        expect.toSatisfy((d: number) => d > 5),
      ]);
    });

  it("refuses a worse quant: up fails with the numbers, the old release serves without a failed request", async () => {
    await project.set("profile", "q2");
    const { result, load } = await underLoad(project.endpoint, () => project.up());
    expect(result.exitCode).not.toBe(0);
    expect(result.output).toMatch(/perplexity gate: FAILED/);
    expect(result.output).toMatch(/perplexity gate failed: .*\+\d+\.\d+ %/);
    expect(load.failures).toEqual([]);
    expect(load.answered).toBeGreaterThan(0);
    expect(load.upstreams).toEqual([`${serverOf(first)}:8080`]);
    expect(await project.activeRelease()).toBe(first);
  });

  if (isMain)
    it("refuses it again when nothing was changed", async () => {
      expect(await project.up()).toMatchObject({ exitCode: expect.not.toSatisfy((code: number) => code === 0) as number });
      expect((await chat(project.endpoint)).upstream).toBe(`${serverOf(first)}:8080`);
    });

  it("reverts by removing the candidate only: nothing that serves is restarted or measured again", async () => {
    const before = await startedAt(serverOf(first));
    await project.set("profile", "dev");
    const { exitCode, output } = await project.up();
    expect(exitCode).toBe(0);
    expect(output).not.toMatch(/Command (benchmark|perplexity)-\S+ (creat|updat)/);
    expect(await startedAt(serverOf(first))).toBe(before);
    expect(await project.onHost("container")).toEqual([`llm-server-${project.stack}-gateway`, serverOf(first)]);
  });

  it("switches to a good release without a failed request, and stops the old one", async () => {
    await project.useCtxSize(8192);
    const { result, load } = await underLoad(project.endpoint, () => project.up());
    expect(result.output).toContain("takes traffic");
    expect(result.exitCode).toBe(0);
    const second = await project.activeRelease();
    expect(second).not.toBe(first);
    expect(load.failures).toEqual([]);
    expect(load.upstreams).toEqual([`${serverOf(first)}:8080`, `${serverOf(second)}:8080`]);
    // the old one is kept, stopped, for a way back (tests/integration/recreate.test.ts takes it)
    const containers = [`llm-server-${project.stack}-gateway`, ...[serverOf(first), serverOf(second)].sort()];
    expect(await project.onHost("container")).toEqual(containers);
    const { stdout: running } = await execa("docker", ["inspect", "--format", "{{.State.Running}}", serverOf(first)]);
    expect(running).toBe("false");
  });

  it("brings back a server that was removed by hand, through its gates", async () => {
    const release = await project.activeRelease();
    await execa("docker", ["rm", "--force", serverOf(release)]);
    const { exitCode, output } = await project.up("--refresh");
    expect(output).toMatch(/benchmark gate: PASSED/);
    expect(exitCode).toBe(0);
    expect((await chat(project.endpoint)).upstream).toBe(`${serverOf(release)}:8080`);
  });

  it("is destroyed without a trace but the evidence", async () => {
    expect(await project.pulumi("destroy", "--yes", "--skip-preview", "--stack", project.stack)).toMatchObject({ exitCode: 0 });
    expect(await project.onHost("container")).toEqual([]);
    expect(await project.onHost("network")).toEqual([]);
    expect(await project.onHost("volume")).toEqual([`llm-server-${project.stack}-evidence`]);
  });
});

if (sets.length === 0) it.skip("needs a provider set: install Go for toolchain/, or name a folder of archives in PULUMI_PLUGIN_ARCHIVES");
