/**
 * The policy pack on the real CLI: what it lets through and what it stops. It takes Pulumi's own Node host, because the stand-in runs no policy packs.
 * That a deployed stack passes too, with every value known, is shown in hardening.test.ts.
 */
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectDir } from "../../scripts/paths.ts";
import { prepareModels } from "../support/models.ts";
import { providerSets, type ProviderSet } from "../support/provider-sets.ts";
import { StackProject } from "../support/stack-project.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";

const official = (await providerSets()).find(({ name }) => name === "official");
const policyPack = join(projectDir, "policy");

/** A program of somebody who puts a stack together from the components and resources of their own. */
const ownProgram = (resources: string): string => `
import * as docker from "@pulumi/docker";
import { hardened } from "${projectDir}components/hardening.ts";
const provider = new docker.Provider("docker", {}, { version: "5.1.0" });
const good = {
  ...hardened,
  image: "sha256:${"0".repeat(64)}",
  user: "10001:10001",
  memory: 64,
  memorySwap: 64,
  networkMode: "bridge",
  ports: [{ internal: 80, external: 8099, ip: "127.0.0.1" }],
};
${resources}
`;

const openResources = `
new docker.Container("as-it-should-be", good, { provider });
new docker.Container("open", { ...good, ports: [{ internal: 80, external: 8098 }], image: "debian:forky", privileged: true, usernsMode: "host" }, { provider });
new docker.Volume("host", { driverOpts: { type: "none", o: "bind", device: "/var/run" } }, { provider });
new docker.Service("beside", { taskSpec: { containerSpec: { image: "debian:forky" } } }, { provider });
`;

/** Where Docker keeps a volume is known once it has made it. */
const lateResources = `
const volume = new docker.Volume("data", {}, { provider });
new docker.Container("late", { ...good, mounts: [{ type: "bind", source: volume.mountpoint, target: "/data" }] }, { provider });
`;

describe.skipIf(official === undefined)("the policy pack", () => {
  const set = official as ProviderSet;
  let project: StackProject;
  let own: string;
  const runOwn = (...args: string[]) => {
    const env = { ...set.env, PULUMI_BACKEND_URL: project.env["PULUMI_BACKEND_URL"] };
    return execa("pulumi", [...args, "--non-interactive"], { cwd: own, env, all: true, reject: false });
  };
  /** Lines of the pack's findings at a level, e.g. `no-privileges (docker:index:Container: open)`. */
  const findings = (output: string, level: string): string[] =>
    [...output.matchAll(new RegExp(`\\[${level}\\] (.*)$`, "gm"))].map(([, line = ""]) => line.replace(/\s+/g, " ").trim());
  beforeAll(async () => {
    await buildTestImage();
    await prepareModels(testImage);
    project = await StackProject.create(set);
    own = await mkdtemp(join(tmpdir(), "llm-server-policy-"));
    await symlink(join(projectDir, "node_modules"), join(own, "node_modules"));
    await writeFile(join(own, "package.json"), JSON.stringify({ name: "own", version: "1.0.0", type: "module" }));
    await writeFile(join(own, "Pulumi.yaml"), "name: own\nruntime: { name: nodejs, options: { typescript: false } }\nmain: index.ts\n");
    await runOwn("stack", "init", "own");
  });
  afterAll(async () => {
    await project[Symbol.asyncDispose]();
    await rm(own, { recursive: true, force: true });
  });

  it("lets the dev stack through", async () => {
    const { exitCode, output } = await project.pulumi("preview", "--stack", project.stack, "--policy-pack", policyPack);
    expect(output).toContain("llm-server@v0.1.0 (local: ");
    expect(output).not.toContain("[mandatory]");
    // what is not known before the deployment waits for it
    expect(output.match(/\[advisory\] .*$/gm)?.map((line) => line.replace(/-[0-9a-f]{10}\)/, ")").replace(/\s+/g, " "))).toEqual([
      "[advisory] image-pinned (docker:index:Container: gateway)",
      "[advisory] image-pinned (docker:index:Container: server)",
      "[advisory] no-engine-socket (docker:index:Container: server)",
    ]);
    expect(exitCode).toBe(0);
  });

  it("stops a program whose resources are open, and names each line of them; the container beside them is not touched", async () => {
    await writeFile(join(own, "index.ts"), ownProgram(openResources));
    const { exitCode, all } = await runOwn("preview", "--stack", "own", "--policy-pack", policyPack);
    expect(all).toContain("❌ llm-server@v0.1.0");
    expect(findings(all, "mandatory")).toEqual([
      "containers-only (docker:index:Service: beside)",
      "image-pinned (docker:index:Container: open)",
      "no-engine-socket (docker:index:Volume: host)",
      "no-privileges (docker:index:Container: open)",
      "no-privileges (docker:index:Container: open)",
      "published-on-loopback (docker:index:Container: open)",
    ]);
    expect(all).toContain("ports: got port 80 on 0.0.0.0, expected 127.0.0.1 or ::1");
    expect(all).toContain('image: got "debian:forky", expected an image id (sha256:…) or a digest (name@sha256:…): a tag moves');
    expect(all).toContain("privileged: got true, expected false");
    expect(all).toContain("usernsMode: expected it unset");
    expect(all).toContain('driverOpts: got device "/var/run"');
    expect(exitCode).not.toBe(0);
  });

  it("waits for a value that is known late, and judges it before its container is made", async () => {
    await writeFile(join(own, "index.ts"), ownProgram(lateResources));
    const { exitCode, all } = await runOwn("up", "--yes", "--stack", "own", "--policy-pack", policyPack);
    const stack = await runOwn("stack", "--stack", "own");
    await runOwn("destroy", "--yes", "--stack", "own");
    expect(findings(all, "advisory")).toEqual(["no-engine-socket (docker:index:Container: late)"]);
    expect(findings(all, "mandatory")).toEqual(["no-engine-socket (docker:index:Container: late)"]);
    expect(all).toMatch(/mounts: got \/var\/lib\/docker\/volumes\/\S+ at \/data/);
    expect(exitCode).not.toBe(0);
    expect(stack.all).toContain("docker:index/volume:Volume");
    expect(stack.all).not.toContain("docker:index/container:Container");
  });
});

if (official === undefined) it.skip("needs Pulumi's own Node host: name a folder of the official archives in PULUMI_PLUGIN_ARCHIVES");
