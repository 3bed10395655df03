/**
 * `npm run bisect` on llama.cpp itself: real commits are built, served and measured by the benchmark gate, and the one that slows decoding down is found. About ten minutes on
 * two cores with a warm compiler cache, twenty without. The slow commit waits on purpose and grossly: how small a loss the gate can see is shown in tests/bench/gates.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { baseImage } from "../../plan/stack.ts";
import { GitServer } from "../support/git-server.ts";
import { removeImagesOf } from "../support/image-tags.ts";
import { llamaRepository, realCommits, slowChange } from "../support/llama-sources.ts";
import { prepareModels } from "../support/models.ts";
import { providerSets } from "../support/provider-sets.ts";
import { StackProject } from "../support/stack-project.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";

const [set] = await providerSets();
const good = realCommits.newer.commit;

describe.skipIf(set === undefined)("npm run bisect", () => {
  let folder: string;
  let server: GitServer;
  let project: StackProject;
  let slow: Awaited<ReturnType<typeof slowChange>>;

  beforeAll(async () => {
    if (set === undefined) return;
    await buildTestImage();
    await prepareModels(testImage);
    folder = await mkdtemp(join(tmpdir(), "llm-server-bisect-"));
    const repository = await llamaRepository();
    slow = await slowChange(repository, folder);
    server = await GitServer.start(repository);
    project = await StackProject.create(set, { fast: true });
    const entry = {
      kind: "source",
      description: "a real commit",
      dockerfile: "docker/Dockerfile.llama-cpp",
      backend: "cpu",
      source: { repo: server.url, ref: good, pinnedAt: "2026-11-23" },
      baseImages: { build: baseImage, runtime: baseImage },
      cpuVariants: "x86-64-v3",
      capabilities: "b11312",
    };
    expect(await project.up()).toMatchObject({ exitCode: 0 }); // puts the model where servers look for it
    const images = join(project.dir, "configs", "images.yaml");
    const others = parse(await readFile(images, "utf8")) as Record<string, unknown>;
    await writeFile(images, stringify({ ...others, [project.stack]: entry }));
    await project.writeProfile("source", (text) => text.replace("IMAGE=debian", `IMAGE=${project.stack}`));
    await project.set("accept.advisories[0]", "CVE-2026-107183"); // open in this commit; callers are this test's
    await project.set("gates.benchmark.thresholds.metrics[0].marginPercent", "40");
  });

  afterAll(async () => {
    await project[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await removeImagesOf(server.url);
    await rm(folder, { recursive: true });
  });

  /** Runs the command; `stderr` without the builders' own lines. */
  async function bisect(bad: string): Promise<{ exitCode: number | undefined; stdout: string; stderr: string }> {
    const args = ["--good", good, "--bad", bad, "--profile", "source", "--stack", project.stack, "--json"];
    const options = { cwd: project.dir, env: project.env, reject: false } as const;
    const { exitCode, stdout, stderr } = await execa("node", ["scripts/cli.ts", "bisect", ...args], options);
    return { exitCode, stdout, stderr: stderr.replace(/^#\d+ .*\n/gm, "") };
  }

  it("names the commit that made the profile slower, and leaves nothing running", async () => {
    const { stdout, stderr } = await bisect(slow.commits.at(-1) ?? "");
    expect(stderr).toMatch(new RegExp(`${slow.culprit.slice(0, 9)}: failed`));
    expect(JSON.parse(stdout)).toEqual({ suspects: [slow.culprit] });
    const filter = "label=llm-server.bisect";
    expect((await execa("docker", ["container", "ls", "--all", "--quiet", "--filter", filter])).stdout).toBe("");
    expect((await execa("docker", ["volume", "ls", "--quiet", "--filter", "name=llm-server-bisect"])).stdout).toBe("");
  });

  it("refuses to look for a culprit where the bad end is no slower", async () => {
    const { exitCode, stderr } = await bisect(slow.commits[0] ?? "");
    expect(stderr).toMatch(/is within the gate's margins of the good one: nothing to search for/);
    expect(exitCode).toBe(1);
  });
});
