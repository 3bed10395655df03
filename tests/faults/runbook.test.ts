/**
 * The commands of docs/runbook.md, each after the fault that it is for, on one deployed stack with a managed volume of models. Cannot prove: states that no test has thought of; for
 * those `npm run drift` says what differs.
 */
import { existsSync } from "node:fs";
import { copyFile, cp, mkdir, readdir, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { gatewayName, serverName, volumeName } from "../../plan/names.ts";
import { processesIn, processesUnder, type Process } from "../support/processes.ts";
import { describeFaults } from "./describe-faults.ts";
import type { FaultStack } from "./fault-stack.ts";

const docker = (...args: string[]) => execa("docker", args);

const withManagedVolume = (stack: FaultStack): Promise<void> =>
  stack.configure((settings) => {
    settings["models"] = {};
  });

function runbook(stack: FaultStack): void {
  const name = (): string => stack.project.stack;
  const stateFile = (): string => join(stack.project.dir, "state", ".pulumi", "stacks", "llm-server", `${name()}.json`);

  it("fault 51: a server that was stopped by hand is degraded in the status, and recovered by the command that it names", async () => {
    await docker("stop", serverName(name(), stack.release));
    const status = await stack.cli(["status", name()]);
    expect(status.exitCode).toBe(2);
    expect(status.output).toMatch(/degraded.*npm run recover/is);
    const recovered = await stack.cli(["recover", name()]);
    expect(recovered).toMatchObject({ exitCode: 0, output: expect.stringContaining(`release ${stack.release} serves`) as string });
    await stack.expectServing();
  });

  it.each(["recover", "status"])("%s of a stack that is not there fails, and names those that are", async (command) => {
    const { exitCode, output } = await stack.cli([command, "no-such"]);
    expect(exitCode).toBe(1);
    expect(output).toMatch(new RegExp(`stack: got "no-such", expected one that was made; there are .*${name()}`));
  });

  it("a gateway that was stopped by hand is started again by a refreshed deployment", async () => {
    await docker("stop", gatewayName(name()));
    expect((await stack.cli(["status", name()])).exitCode).not.toBe(0);
    const { exitCode, output } = await stack.project.up("--refresh");
    expect(exitCode, output).toBe(0);
    await stack.expectServing();
  });

  it("fault 48: a lock that a killed CLI left on the state is named, and taken away by recover", async () => {
    await stack.addProfile("killed", "tiny", "debian", 2048);
    await stack.use("killed");
    const locks = join(stack.project.dir, "state", ".pulumi", "locks", "organization", "llm-server", name());
    const held = async (): Promise<number> =>
      existsSync(locks) ? (await readdir(locks)).filter((file) => file.endsWith(".json")).length : 0;
    const up = stack.project.start("up", "--yes", "--skip-preview", "--stack", name());
    await expect.poll(held, { timeout: 60_000, interval: 50 }).toBe(1);
    await sleep(2_000);
    process.kill(up.pid ?? 0, "SIGKILL");
    await up;
    await stack.use("tiny");
    const refused = await stack.up();
    expect(refused.output).toContain("the stack is currently locked by 1 lock(s)");
    expect(refused.exitCode).not.toBe(0);
    const plugins = async (): Promise<Process[]> =>
      (await processesIn(stack.project.dir)).filter(({ command }) => /\/pulumi-(resource|language)-/.test(command));
    expect(await plugins()).not.toEqual([]);
    const theirs = async (): Promise<Process[]> => (await Promise.all((await plugins()).map(({ pid }) => processesUnder(pid)))).flat();
    await expect.poll(theirs, { timeout: 60_000 }).toEqual([]);
    const recovered = await stack.cli(["recover", name()]);
    expect(recovered.exitCode, recovered.output).toBe(0);
    expect(await held()).toBe(0);
    expect(recovered.output).toMatch(/ended pulumi-\S+ \(process \d+\), which a killed pulumi command left/);
    expect(await plugins()).toEqual([]);
    const { exitCode, output } = await stack.up();
    expect(exitCode, output).toBe(0);
    await stack.expectServing();
  });

  it("fault 50: a state file that was cut off is replaced by the copy that lies beside it", async () => {
    await truncate(stateFile(), 1000);
    const refused = await stack.up();
    expect(refused.output).toMatch(/unexpected end of JSON|could not unmarshal|invalid character|unmarshal/i);
    expect(refused.exitCode).not.toBe(0);
    await stack.expectServing();
    await copyFile(`${stateFile()}.bak`, stateFile());
    const { exitCode, output } = await stack.project.up("--refresh");
    expect(exitCode, output).toBe(0);
    await stack.expectServing();
  });

  it.each([
    ["", "recover", () => [name()]],
    ['{"user.cache_control":', "drift", () => ["--redeploy", "--stack", name()]],
  ])(
    "fault 50: attributes of the state that a killed CLI left as %j are named by status, and taken away by %s",
    async (left, command, args) => {
      await writeFile(`${stateFile()}.attrs`, left);
      const refused = await stack.up();
      expect(refused.output).toMatch(/failed to load checkpoint: (.* unexpected )?EOF/);
      expect(refused.exitCode).not.toBe(0);
      await stack.expectServing();
      const status = await stack.cli(["status", name()]);
      expect(status.exitCode).not.toBe(0);
      expect(status.output).toContain("run: npm run recover");
      const mended = await stack.cli([command, ...args()]);
      expect(mended.exitCode, mended.output).toBe(0);
      expect(mended.output).toContain(`removed ${name()}.json.attrs, which a killed pulumi command never wrote whole`);
      const { exitCode, output } = await stack.up({}, "--expect-no-changes");
      expect(exitCode, output).toBe(0);
    },
  );

  it("fault 50: a wrong passphrase is refused, nothing is touched, and the right one works", async () => {
    await stack.project.pulumi("config", "set", "--secret", "other:secret", "value", "--stack", name());
    const refused = await stack.up({ PULUMI_CONFIG_PASSPHRASE: "wrong" });
    expect(refused.output).toContain("incorrect passphrase");
    expect(refused.exitCode).not.toBe(0);
    await stack.expectServing();
    expect((await stack.up()).exitCode).toBe(0);
  });

  describe.skipIf(process.getuid?.() !== 0)("with a small disk, which takes root to make", () => {
    it.each([
      ["the lock on the state", 0],
      ["the state", 32],
    ])(
      "fault 6: a disk too full for %s fails the deployment, and is mended by room, a cancel and the last whole state",
      async (_what, leftKiB) => {
        const small = join(stack.project.dir, "small");
        const filler = join(small, "filler");
        const env = { PULUMI_BACKEND_URL: `file://${small}` };
        await mkdir(small, { recursive: true });
        await execa("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", small]);
        try {
          await cp(join(stack.project.dir, "state"), small, { recursive: true });
          await execa("dd", ["if=/dev/zero", `of=${filler}`, "bs=1k"], { reject: false });
          await truncate(filler, (await stat(filler)).size - leftKiB * 1024);
          const refused = await stack.up(env);
          expect(refused.output).toContain("no space left on device");
          expect(refused.exitCode).not.toBe(0);
          await stack.expectServing();
          await rm(filler);
          // what could not be written whole may lie there as a lock, which every command stumbles over; some seconds later it is old enough to be known for one
          const locks = join(small, ".pulumi", "locks", "organization", "llm-server", name());
          for (const file of existsSync(locks) ? await readdir(locks) : []) await utimes(join(locks, file), new Date(0), new Date(0));
          const recovered = await stack.cli(["recover", name()], env);
          expect(recovered.exitCode, recovered.output).toBe(0);
          expect(existsSync(locks) ? await readdir(locks) : []).toEqual([]);
          // and state and history may be cut off: the newest that is whole
          const state = join(small, ".pulumi");
          const isWhole = `node -e 'JSON.parse(require("fs").readFileSync(process.argv[1]))' "$file" 2>&-`;
          const copy = `cp "$file" ${state}/stacks/llm-server/${name()}.json && break`;
          await execa("sh", [
            "-c",
            `for file in $(ls -t ${state}/history/llm-server/${name()}/*.checkpoint.json); do ${isWhole} && ${copy}; done`,
          ]);
          const { exitCode, output } = await stack.up(env);
          expect(exitCode, output).toBe(0);
          await stack.expectServing();
        } finally {
          await execa("umount", [small]);
        }
      },
    );
  });

  it("fault 50: a stack whose state is lost is deployed anew beside its models and its evidence", async () => {
    await rm(join(stack.project.dir, "state"), { recursive: true });
    await mkdir(join(stack.project.dir, "state"));
    await stack.project.pulumi("stack", "init", name());
    const label = `label=llm-server.stack=${name()}`;
    const containers = (await docker("ps", "--all", "--quiet", "--filter", label)).stdout.split("\n");
    await docker("rm", "--force", ...containers);
    const networks = (await docker("network", "ls", "--quiet", "--filter", label)).stdout.split("\n");
    await docker("network", "rm", ...networks);
    await stack.deploy();
    expect(stack.output).toMatch(/tiny: .*in the volume|already there|verified/);
    await stack.expectServing();
  });

  it("fault 52: destroy leaves the models and the evidence", async () => {
    const { exitCode } = await stack.project.pulumi("destroy", "--yes", "--skip-preview", "--stack", name());
    expect(exitCode).toBe(0);
    expect(await stack.project.onHost("container")).toEqual([]);
    expect(await stack.project.onHost("volume")).toEqual([volumeName(name(), "evidence"), volumeName(name(), "models")]);
  });
}

describeFaults("the runbook", runbook, withManagedVolume);
