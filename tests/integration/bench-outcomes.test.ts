import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { benchRecordSchema, type BenchRecord } from "../../plan/bench/record.ts";
import { llamaImageTag } from "../../plan/names.ts";
import { runBench, type BenchSummary } from "../../scripts/bench/run.ts";
import { BenchProject, testBase } from "../support/bench-project.ts";
import { prepareModels } from "../support/models.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";

// Proves on real Pulumi, Docker and llama.cpp what a matrix says of profiles that come to nothing. The causes are real (a build that fails, the kernel's
// killing, an output that does not read), but made: images whose tools are scripts. A GPU without memory can't be shown on a host that has none.

const tool = (name: string, script: string): string => {
  const base64 = Buffer.from(script).toString("base64");
  return `mv /usr/bin/${name} /usr/bin/${name}-real && echo ${base64} | base64 -d > /usr/bin/${name} && chmod 755 /usr/bin/${name}`;
};
const images = {
  "no-build": "echo the compiler gave up >&2 && exit 7",
  hungry: tool("llama-server", "#!/bin/sh\nhead -c 4000000000 /dev/zero | tail -c 4000000000 > /dev/null\nexit 137\n"),
  babble: tool("llama-perplexity", '#!/bin/sh\necho "[1]much better than before,[2]22"\n'),
};
const profiles = ["gone", ...Object.keys(images)];

describe("a matrix of profiles that come to nothing", () => {
  let project: BenchProject;
  let summary: BenchSummary;

  beforeAll(async () => {
    await buildTestImage();
    await prepareModels(testImage);
    project = await BenchProject.create([], true);
    for (const [id, command] of Object.entries(images)) await project.addImage(id, command);
    summary = await runBench(project.request(profiles), new AbortController().signal);
  });
  afterAll(async () => {
    await project[Symbol.asyncDispose]();
    for (const id of Object.keys(images))
      for (const tag of [llamaImageTag(id), `${testBase}:${id}`]) await execa("docker", ["rmi", tag], { reject: false });
  });

  const recordOf = async (profile: string): Promise<BenchRecord> => {
    const file = summary.done.find((entry) => entry.profile === profile)?.record ?? "";
    return benchRecordSchema.parse(JSON.parse(await readFile(join(project.dir, "benchmarks", file), "utf8")));
  };

  it("calls each by its cause, and goes on to the one whose speed can be measured", () => {
    expect(Object.fromEntries(summary.done.map(({ profile, outcome }) => [profile, outcome]))).toEqual({
      gone: "unreadable",
      "no-build": "failed-build",
      hungry: "out-of-memory",
      babble: "measured",
    });
  });

  it.each([
    ["no-build", /the compiler gave up/],
    ["hungry", /the kernel ended the server for its memory limit/],
    ["babble", /^measured; then perplexity: .*much better than before/],
    ["gone", /llama-cpp-gone\.env/],
  ])("says of %s what there is to know", async (profile, reason) => {
    expect((await recordOf(profile)).reason).toMatch(reason);
  });

  it("leaves nothing on the Docker host", async () => {
    expect(await project.onHost(profiles)).toEqual([]);
  });
});
