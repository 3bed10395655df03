/**
 * Faults 9 to 22, 40, 41 and 45 of docs/faults.md that a model file, a name or a port on the host, or what was measured before brings, on the real CLI, Docker and llama.cpp with a tiny model: each is refused in words before what
 * serves is touched. Cannot prove: that a file with the right checksum is a good model; that is the gates' part.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createHash } from "node:crypto";
import { execa } from "execa";
import { beforeEach, expect, it } from "vitest";
import { freePort } from "../support/stack-project.ts";
import { testImage } from "../support/test-image.ts";
import { writeTinyModel } from "../support/tiny-model.ts";
import { describeFaults } from "./describe-faults.ts";
import type { FaultStack } from "./fault-stack.ts";
import { plantBaselines } from "./planted-baselines.ts";

/** The tiny model with a change to its bytes. */
const tinyWith =
  (change: (content: Buffer) => Buffer) =>
  (path: string): void => {
    writeTinyModel(path);
    writeFileSync(path, change(readFileSync(path)));
  };

describeFaults("beside a release that serves", (stack) => {
  beforeEach(() => stack.use("tiny"));

  /** An `up` of a profile that serves this model. */
  const upWith = async (id: string, model: Parameters<FaultStack["addModel"]>[1]) => {
    await stack.addModel(id, model);
    await stack.addProfile(id, id);
    await stack.use(id);
    return stack.up();
  };
  const folder = (): string => join(stack.project.dir, "models");

  it("fault 40: a first deployment has no baseline, and says that only floors decide", () => {
    expect(stack.output).toMatch(/no baseline for this host \(\w+\), model and protocol: only floors decide/);
  });

  it("fault 9: a port that a container holds is refused with the container's name", async () => {
    const port = await freePort();
    const name = `stranger-${stack.project.stack}`;
    const sleeping = ["--entrypoint", "sleep", testImage, "600"];
    await execa("docker", ["run", "--detach", "--rm", "--name", name, "--publish", `127.0.0.1:${port}:80`, ...sleeping]);
    await stack.project.set("gateway.port", String(port));
    try {
      await stack.expectRefusedBefore(await stack.up(), `got ${port}, expected a free port on 127.0.0.1: container ${name} listens there`);
    } finally {
      await stack.project.set("gateway.port", String(stack.project.port));
      await execa("docker", ["rm", "--force", name]);
    }
  });

  it("fault 10: a container of the server's name that is a stranger's is named and left alone", async () => {
    await stack.addProfile("next", "tiny", "debian", 2048);
    await stack.use("next");
    const preview = await stack.project.pulumi("preview", "--stack", stack.project.stack);
    const release = /Container server-([0-9a-f]{10}) create/.exec(preview.output)?.[1] ?? "";
    const name = `llm-server-${stack.project.stack}-server-${release}`;
    await execa("docker", ["create", "--name", name, testImage]);
    try {
      await stack.expectRefused(await stack.up(), name, /in use|is there already/);
      expect((await execa("docker", ["inspect", "--format", "{{.State.Status}}", name])).stdout).toBe("created");
    } finally {
      await execa("docker", ["rm", name]);
    }
  });

  it("fault 11: without a network a new release of local files goes through its gates", async () => {
    const before = stack.release;
    await stack.addProfile("offline", "tiny", "debian", 3072);
    await stack.use("offline");
    const nowhere = "http://127.0.0.1:9";
    await stack.deploy({ HF_ENDPOINT: nowhere, PIP_INDEX_URL: nowhere, HTTPS_PROXY: nowhere, HTTP_PROXY: nowhere });
    expect(stack.release).not.toBe(before);
    await stack.expectServing();
    await stack.use("tiny");
    await stack.deploy();
    expect(stack.release).toBe(before);
  });

  it("fault 12: a file that was cut off is refused before a server sees it", async () => {
    await stack.expectRefusedBefore(
      await upWith("cut", { write: tinyWith((content) => content.subarray(0, content.length - 4096)) }),
      /cut\.gguf: got \d+ bytes, its tensors end at \d+; \d+ bytes are missing, fetch the file again/,
    );
  });

  it("fault 13: a file with another checksum is refused and set aside", async () => {
    await stack.expectRefusedBefore(
      await upWith("other", { write: writeTinyModel, sha256: "0".repeat(64) }),
      /sha256/,
      `expected ${"0".repeat(64)}`,
    );
  });

  it("fault 14: a flipped byte in a file of the right size is found", async () => {
    const path = join(folder(), "tiny.gguf");
    const whole = readFileSync(path);
    const sha256 = createHash("sha256").update(whole).digest("hex");
    const flip = tinyWith((content) => {
      content.writeUInt8(content.readUInt8(content.length - 100) ^ 1, content.length - 100);
      return content;
    });
    await stack.expectRefusedBefore(await upWith("flipped", { write: flip, bytes: whole.length, sha256 }), /sha256/, `expected ${sha256}`);
  });

  it("fault 15: a header that claims absurd counts is refused at once", async () => {
    const header = Buffer.alloc(64);
    header.write("GGUF");
    header.writeUInt32LE(3, 4);
    header.writeBigUInt64LE(2n ** 62n, 8);
    header.writeBigUInt64LE(2n ** 62n, 16);
    await stack.expectRefusedBefore(
      await upWith("hostile", { write: (path) => writeFileSync(path, header) }),
      "hostile.gguf: tensor count: got 4611686018427387904",
    );
  });

  it("fault 16: a file that is replaced in the folder does not change what a running server answers", async () => {
    const ask = async (): Promise<string> => {
      const body = JSON.stringify({ prompt: "once", n_predict: 16, temperature: 0, cache_prompt: false });
      const response = await fetch(`${stack.project.endpoint}/completion`, { method: "POST", body });
      return ((await response.json()) as { content: string }).content;
    };
    const answer = await ask();
    const { stdout } = await execa("find", [folder(), "-path", "*/tiny/*", "-name", "tiny.gguf"]);
    renameSync(stdout, `${stdout}.kept`);
    writeFileSync(stdout, "another file");
    expect(await ask()).toBe(answer);
    renameSync(`${stdout}.kept`, stdout);
  });

  it("fault 19: a split model with a part missing is refused, naming the part", async () => {
    writeTinyModel(join(folder(), "tiny-00001-of-00002.gguf"));
    const part = (number: number) => {
      const file = `tiny-0000${number}-of-00002.gguf`;
      return { file, sources: [`file:${join(folder(), file)}`] };
    };
    await stack.expectRefusedBefore(await upWith("split", { parts: [part(1), part(2)] }), /tiny-00002-of-00002\.gguf/);
  });

  it("fault 21: a model larger than the memory is refused in the preview", async () => {
    await stack.use("s005-c7-q4km-partial24");
    const run = await stack.project.pulumi("preview", "--stack", stack.project.stack);
    await stack.expectRefused(run, "refused", "npm run plan -- s005-c7-q4km-partial24");
  });

  it("fault 22: an architecture that the build does not know is found before the old release is stopped", async () => {
    const renamed = tinyWith((content) => {
      content.write("llamx", content.indexOf("llama"));
      return content;
    });
    await stack.setStrategy("recreate");
    const before = await stack.served();
    const run = await upWith("unknown", { write: renamed });
    await stack.setStrategy("auto");
    await stack.expectRefusedByGate(run, /so nothing was stopped: (\S.*)?unknown model architecture: 'llamx'/, "no request had to wait");
    expect(run.output).not.toContain("stopping release");
    expect(await stack.served()).toBe(before);
  });

  it("fault 41: a baseline of another host or another model is not compared with, and the release's own is", async () => {
    const first = stack.release;
    const { measured, count } = await plantBaselines(
      stack,
      (result) => ({ ...result, host: { ...result.host, fingerprint: "another-host" } }),
      (result) => ({ ...result, subject: { ...result.subject, modelSha256: "f".repeat(64) } }),
    );
    expect(count).toBe(2);
    const deployed = async (ctxSize: number): Promise<string> => {
      await stack.addProfile(`ctx${ctxSize}`, "tiny", "debian", ctxSize);
      await stack.use(`ctx${ctxSize}`);
      await stack.deploy();
      return stack.output;
    };
    expect(await deployed(3328)).toContain(
      `no baseline for this host (${measured.host.fingerprint}), model and protocol: only floors decide`,
    );
    await plantBaselines(stack, (result) => result);
    const own = stack.release;
    const compared = await deployed(3584);
    expect(compared).toMatch(new RegExp(`compared with stored \\w+ of release ${own}`));
    expect(compared).not.toContain("benchmark: no baseline for this host"); // what the outputs were before has the rest of it
    await stack.use("tiny");
    await stack.deploy();
    expect(stack.release).toBe(first);
    await stack.expectServing();
  });

  it("fault 45: what serves already is deployed again by doing nothing", async () => {
    await stack.use("tiny");
    expect((await stack.up()).exitCode).toBe(0); // removes what the candidates left
    const { exitCode, output } = await stack.project.up("--expect-no-changes");
    expect(output).toMatch(/\d+ unchanged/);
    expect(exitCode).toBe(0);
    await stack.expectServing();
  });
});
