/** Wrong configuration and a host that can't serve: each ends in one clear message before anything has changed. One provider set: the messages are ours. */
import { mkdir } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { prepareModels } from "../support/models.ts";
import { providerSets, type ProviderSet } from "../support/provider-sets.ts";
import { StackProject, type PulumiRun } from "../support/stack-project.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";

const [set] = await providerSets();

describe.skipIf(set === undefined)("bad input", () => {
  let project: StackProject;
  beforeAll(async () => {
    await buildTestImage();
    await prepareModels(testImage);
  });
  beforeEach(async () => {
    project = await StackProject.create(set as ProviderSet);
    return async () => {
      expect(await project.onHost("container")).toEqual([]);
      await project[Symbol.asyncDispose]();
    };
  });

  const expectRefusal = ({ exitCode, output }: PulumiRun, ...texts: string[]): void => {
    for (const text of texts) expect(output).toContain(text);
    expect(exitCode).not.toBe(0);
    expect(output).not.toMatch(/\bat .*\.ts:\d+/); // a message, not a stack trace
  };

  it("fails on an unknown key, in preview already, naming the nearest one", async () => {
    await project.set("profil", "dev");
    expectRefusal(
      await project.pulumi("preview", "--stack", project.stack),
      `Pulumi.${project.stack}.yaml: profil: got an unknown key`,
      "did you mean profile?",
    );
  });

  it("fails on a missing key", async () => {
    await project.pulumi("config", "rm", "llm-server:device", "--stack", project.stack);
    expectRefusal(await project.up(), `Pulumi.${project.stack}.yaml: device: got nothing`);
  });

  it("fails on a wrong type", async () => {
    await project.set("gateway.port", "http");
    expectRefusal(await project.up(), 'gateway.port: got "http", expected a number');
  });

  it("fails on a profile that does not exist", async () => {
    await project.set("profile", "no-such");
    expectRefusal(await project.up(), 'profile: got "no-such"', "configs/llama-cpp-no-such.env");
  });

  it("fails on a port that another program holds", async () => {
    const server: Server = createServer();
    await new Promise<void>((resolve) => server.listen(project.port, "127.0.0.1", resolve));
    try {
      expectRefusal(
        await project.up(),
        `llm-server:gateway.port: got ${project.port}, expected a free port on 127.0.0.1: another program on this machine listens there`,
        "pulumi config set",
      );
      expect([...(await project.onHost("network")), ...(await project.onHost("volume"))]).toEqual([]);
    } finally {
      server.close();
    }
  });

  it("fails where no Docker engine answers", async () => {
    const env = { ...project.env, DOCKER_HOST: "unix:///nonexistent/docker.sock" };
    const { exitCode, all } = await execa("pulumi", ["up", "--yes", "--skip-preview", "--non-interactive", "--stack", project.stack], {
      cwd: project.dir,
      env,
      all: true,
      reject: false,
    });
    expectRefusal({ exitCode: exitCode ?? -1, output: all }, "/nonexistent/docker.sock");
  });

  it("fails on a wrong passphrase", async () => {
    await project.pulumi("config", "set", "--secret", "other:secret", "value", "--stack", project.stack);
    const env = { ...project.env, PULUMI_CONFIG_PASSPHRASE: "wrong" };
    const { exitCode, all } = await execa("pulumi", ["up", "--yes", "--skip-preview", "--non-interactive", "--stack", project.stack], {
      cwd: project.dir,
      env,
      all: true,
      reject: false,
    });
    expectRefusal({ exitCode: exitCode ?? -1, output: all }, "incorrect passphrase");
  });

  describe.skipIf(process.getuid?.() !== 0)("with a small disk, which takes root to make", () => {
    let small: string;
    beforeEach(async () => {
      small = join(project.dir, "small");
      await mkdir(small);
      await execa("mount", ["-t", "tmpfs", "-o", "size=16m", "tmpfs", small]);
    });
    afterAll(async () => {
      await execa("umount", [small], { reject: false });
    });

    it("fails on too little room for the model, before it is downloaded", async () => {
      await project.set("models.path", small);
      const run = await project.up();
      expectRefusal(run, "expected at least 241 MiB", "models.path");
      const servers = (await project.onHost("container")).filter((name) => name.startsWith(`llm-server-${project.stack}-server-`));
      expect(servers).toEqual([]);
      await project.pulumi("destroy", "--yes", "--skip-preview", "--stack", project.stack);
      await execa("umount", [small]);
    });
  });
});
