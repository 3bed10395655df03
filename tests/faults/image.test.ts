/**
 * Faults 4, 5 and 46 of docs/faults.md: images that can't be built, whose base moved, or that were pruned together with the release that was kept for a way back. Cannot prove: what a
 * registry does; a tag that is moved by hand stands for one that was moved there.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeAll, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { serverName } from "../../plan/names.ts";
import { baseImage } from "../../plan/stack.ts";
import { describeFaults } from "./describe-faults.ts";

const tag = "llm-server/llama-cpp:broken";
const docker = async (...args: string[]): Promise<string> => (await execa("docker", args)).stdout;

describeFaults("an image", (stack) => {
  beforeAll(() => stack.addBrokenImage());
  afterEach(async () => {
    await stack.mendImage();
    await stack.use("tiny");
  });

  it.each([
    ["with a package that is gone", "apt-get install --yes no-such-package", "Unable to locate package no-such-package"],
    ["with a step that fails", "echo this is why >&2; exit 7", "this is why"],
  ])("fault 4: %s is refused with the builder's words", async (_what, step, words) => {
    await stack.changeImage(step);
    await stack.use("broken");
    await stack.expectRefusedBefore(await stack.up(), `${tag} could not be built; the builder's last lines:`, words);
  });

  it("fault 5: whose base moved under its tag is another one, and the server that runs is left alone", async () => {
    const before = stack.release;
    const base = `llm-server/test:base-${stack.project.stack}`;
    await stack.judges(false);
    await docker("tag", baseImage, base);
    const images = join(stack.project.dir, "configs", "images.yaml");
    const all = parse(await readFile(images, "utf8")) as { broken: object };
    await writeFile(images, stringify({ ...all, broken: { ...all.broken, baseImages: { runtime: base } } }));
    await stack.use("broken");
    await stack.deploy();
    const [image, served] = [await docker("image", "inspect", "--format", "{{.Id}}", tag), await stack.served()];
    const dockerfile = `FROM ${baseImage}\nLABEL moved=yes\n`;
    await execa("docker", ["build", "--tag", base, "-"], { input: dockerfile, env: { DOCKER_BUILDKIT: "0" } });
    await stack.deploy({}, "--refresh");
    expect(await docker("image", "inspect", "--format", "{{.Config.Labels.moved}}", tag)).toBe("yes");
    expect(await docker("image", "inspect", "--format", "{{.Id}}", tag)).not.toBe(image);
    expect(await stack.served()).toBe(served);
    await stack.expectServing();
    await writeFile(images, stringify(all));
    await stack.use("tiny");
    await stack.deploy();
    expect(stack.release).toBe(before);
    await docker("image", "rm", base);
    await stack.expectServing();
  });

  it("fault 46: of a retained release that was pruned is missed before anything is stopped, and made anew through the gates by a refreshed deployment", async () => {
    const step = "true";
    await stack.judges(false);
    await stack.changeImage(step);
    await stack.use("broken");
    await stack.deploy();
    const retained = stack.release;
    await stack.mendImage();
    await stack.use("tiny");
    await stack.deploy();
    const image = await docker("inspect", "--format", "{{.Image}}", serverName(stack.project.stack, retained));
    await docker("rm", serverName(stack.project.stack, retained));
    await docker("image", "rm", "--force", image);
    const before = await stack.served();
    await stack.changeImage(step);
    await stack.use("broken");
    await stack.setStrategy("recreate");
    const wayBack = await stack.up();
    const missed = `no container of release ${retained} is there, so nothing was stopped`;
    const next = `make it again: npm run up -- ${stack.project.stack} -- --refresh`;
    await stack.expectRefused(wayBack, `${missed}; ${next}`, `release ${stack.release} serves; no request had to wait`);
    expect(await stack.served()).toBe(before);
    await stack.deploy({}, "--refresh");
    expect(stack.output).toMatch(/benchmark gate: \w+ \(dry run/);
    expect(stack.release).toBe(retained);
    await stack.expectServing();
    await stack.setStrategy("auto");
  });
});
