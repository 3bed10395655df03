/**
 * A marked API key and a private key through all that a stack goes through: a rollout, a failing gate, a gateway that can't take them, a deployment that is
 * killed, drift, status and report. Afterwards each lies in one file of the gateway's volume and nowhere else. Cannot prove: what the memory of processes, swap or a
 * core dump hold, and what a process shows that lives for less than some 40 ms.
 */
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { gatewayName, labels, volumeName } from "../../plan/names.ts";
import { baseImage } from "../../plan/stack.ts";
import { exchange } from "../../scripts/gates/chat-client.ts";
import { issueCertificate } from "../support/certificate.ts";
import { prepareModels } from "../support/models.ts";
import { mainProviderSets, type ProviderSet } from "../support/provider-sets.ts";
import { dockerWith, EventWatch, filesWith, formsOf, ProcessWatch, type ProcessFound } from "../support/secret-scan.ts";
import { StackProject, type PulumiRun } from "../support/stack-project.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";

const sets = await mainProviderSets();
const marked = (): string => `canary-${randomBytes(24).toString("hex")}`;

describe.each(sets)("a marked API key and a private key, $name providers", (set: ProviderSet) => {
  const [first, second, planted] = [marked(), marked(), marked()];
  const secrets = [first, second].flatMap(formsOf);
  const said: { what: string; output: string }[] = [];
  let project: StackProject;
  /** Folder beside the project: the private key, and temporary files. */
  let outside: string;
  let ca: string;
  let processes: readonly ProcessFound[];
  let events: { readonly found: readonly string[]; readonly count: number };
  beforeAll(async () => {
    await buildTestImage();
    await prepareModels(testImage);
    outside = await mkdtemp(join(tmpdir(), "llm-server-canary-"));
    await mkdir(join(outside, "tmp"));
    project = await StackProject.create(set, { fast: true, env: { TMPDIR: join(outside, "tmp") } });
    const [certificate, key] = [join(outside, "chain.pem"), join(outside, "key.pem")];
    ca = await issueCertificate(key, "IP:127.0.0.1");
    await writeFile(certificate, ca);
    const lines = (await readFile(key, "utf8")).split("\n").slice(1, 3); // the third has the public part only
    secrets.push(...lines.flatMap(formsOf));
    const tls = { mode: "files", names: ["127.0.0.1"], certificate, key };
    await project.changeConfig(({ gateway, ...config }) => ({ ...config, gateway: { ...(gateway as object), tls } }));
  });
  afterAll(async () => {
    const made = await execa("docker", ["image", "ls", "--quiet", "--filter", `label=${labels.stack}=${project.stack}`]);
    await project[Symbol.asyncDispose]();
    if (made.stdout !== "") await execa("docker", ["rmi", ...made.stdout.split("\n")]);
    await rm(outside, { recursive: true });
  });

  const setKey = async (index: number, key: string): Promise<void> => {
    const args = ["config", "set", "--secret", "--path", `llm-server:apiKeys[${index}]`, "--stack", project.stack, "--non-interactive"];
    await execa("pulumi", args, { cwd: project.dir, env: project.env, input: key });
  };
  const run = async (what: string, done: Promise<PulumiRun>): Promise<PulumiRun> => {
    const { exitCode, output } = await done;
    said.push({ what, output });
    return { exitCode, output };
  };
  /** What stops at once says nothing either way. */
  const expectDone = async (what: string, done: Promise<PulumiRun>): Promise<void> => {
    const { exitCode, output } = await run(what, done);
    expect({ what, exitCode }, output).toEqual({ what, exitCode: 0 });
  };
  const askWith = async (key: string): Promise<number> => {
    const server = { url: `https://127.0.0.1:${project.port}`, headers: { authorization: `Bearer ${key}` }, tls: { ca } };
    const body = { messages: [{ role: "user", content: "Say yes." }], max_tokens: 2 };
    return (await exchange(server, "/v1/chat/completions", body, AbortSignal.timeout(60_000))).status;
  };
  /** A deployment that is killed, with all that it started, while it measures. */
  const killInTheMiddle = async (): Promise<void> => {
    const up = project.start("up", "--yes", "--skip-preview", "--stack", project.stack);
    let output = "";
    up.all.on("data", (chunk: Buffer) => (output += chunk.toString()));
    while (!/rollout of release/.test(output)) await sleep(50);
    process.kill(-(up.pid ?? 0), "SIGKILL");
    await up;
    said.push({ what: "the killed deployment", output });
  };

  it("goes through everything", async () => {
    const watch = new ProcessWatch(secrets);
    const listened = new EventWatch();
    await setKey(0, first);
    expect((await run("the first deployment", project.up())).output).toContain("takes traffic");
    expect(await askWith(first)).toBe(200);

    await project.useCtxSize(5120);
    await project.refuseCandidates(true);
    expect((await run("the failing gate", project.up())).output).toContain("benchmark gate: FAILED");
    await project.refuseCandidates(false);

    await setKey(1, second);
    await execa("docker", ["stop", gatewayName(project.stack)]);
    expect((await run("the gateway that is stopped", project.up())).exitCode).not.toBe(0);
    await execa("docker", ["start", gatewayName(project.stack)]);

    await project.useCtxSize(6144);
    await killInTheMiddle();
    for (let tries = 0; (await run("recover", project.cli("recover", project.stack))).exitCode !== 0; tries += 1) {
      expect(tries, said.at(-1)?.output).toBeLessThan(30); // a guard may be at it
      await sleep(1000);
    }
    await expectDone("the deployment after it", project.up("--refresh"));
    expect(await askWith(second)).toBe(200);
    expect(await askWith(planted)).toBe(401);

    const all = ["drift -s", "status", "status --json", "report", "baseline show"].map((line) => line.split(" "));
    for (const [command = "", ...options] of all)
      await expectDone(command, project.cli(command, ...options, ...(command === "report" ? [] : [project.stack])));
    for (const args of ["stack export", "stack output --json --show-secrets", "stack history", "config", "preview --diff"])
      await expectDone(args, project.pulumi(...args.split(" "), "--stack", project.stack));
    processes = await watch.stop();
    events = await listened.stop(secrets);
    expect(watch.seen).toBeGreaterThan(50);
  });

  it("are in no output, of commands that failed neither", () => {
    expect(said.length).toBeGreaterThan(12);
    expect(said.filter(({ output }) => secrets.some((text) => output.includes(text))).map(({ what }) => what)).toEqual([]);
  });

  it("are in no file that a deployment writes: state, its history, configuration, results, what Pulumi keeps, temporary ones", async () => {
    const { output } = await project.pulumi("config", "--show-secrets", "--stack", project.stack);
    expect(output).toContain(first); // it is there, encrypted
    expect(await filesWith(project.dir, secrets, ["models", "node_modules"])).toEqual([]);
    expect(await filesWith(set.env["PULUMI_HOME"] ?? "", secrets, ["bin", "plugins"])).toEqual([]);
    expect(await filesWith(outside, secrets)).toEqual(["key.pem"]);
  });

  it("are in one file each of the gateway's volume, and nothing else of Docker shows them", async () => {
    const volume = `volume ${volumeName(project.stack, "gateway")}`;
    const found = await dockerWith(project.stack, secrets, baseImage);
    expect(found.sort()).toEqual([`${volume}: access/certificate.pem`, `${volume}: access/keys`]);
  });

  it("were in nothing that Docker told of while it did it, such as a command that is run in a container", () => {
    expect(events.found).toEqual([]);
    expect(events.count).toBeGreaterThan(50);
  });

  it("were on no command line and in no environment but, the API keys, that of Pulumi's own program, which Pulumi hands its configuration in that way", () => {
    expect(processes).toEqual([{ program: "node @pulumi/pulumi/cmd/run", where: "PULUMI_CONFIG" }]);
  });

  it("would have been found in each of these places", async () => {
    const texts = formsOf(planted);
    const name = `llm-server-${project.stack}-planted`;
    const image = `llm-server/test:planted-${project.stack}`;
    const watch = new ProcessWatch(texts);
    await execa("sh", ["-c", "sleep 0.5; :", planted], { env: { PLANTED: planted } });
    expect(await watch.stop()).toEqual(
      expect.arrayContaining([expect.objectContaining({ where: "PLANTED" }), expect.objectContaining({ where: "cmdline" })]) as unknown,
    );
    await writeFile(join(project.dir, "planted.json"), JSON.stringify({ key: Buffer.from(`:${planted}`).toString("base64") }));
    expect(await filesWith(project.dir, texts, ["models", "node_modules"])).toEqual(["planted.json"]);
    const label = ["--label", `${labels.stack}=${project.stack}`];
    await execa("docker", ["build", "--quiet", "--tag", image, ...label, "-"], { input: `FROM ${baseImage}\nRUN : ${planted}\n` });
    const volume = `${volumeName(project.stack, "evidence")}:/v`;
    const script = 'echo "$PLANTED"; echo "$PLANTED" > /v/planted';
    await execa("docker", ["run", "--name", name, ...label, "--env", `PLANTED=${planted}`, "--volume", volume, image, "sh", "-c", script]);
    const listened = new EventWatch();
    await sleep(500);
    await execa("docker", ["exec", gatewayName(project.stack), "sh", "-c", `: ${planted}`]);
    expect((await listened.stop(texts)).found).toContain("exec_create");
    const found = await dockerWith(project.stack, texts, baseImage);
    await execa("docker", ["rm", name]);
    expect(found.map((what) => what.replace(/sha256:.*/, "planted"))).toEqual([
      `inspect of container ${name}`,
      `log of container ${name}`,
      "history of image planted",
      `volume ${volumeName(project.stack, "evidence")}: planted`,
    ]);
  });
});

if (sets.length === 0) it.skip("needs a provider set: install Go for toolchain/, or name a folder of archives in PULUMI_PLUGIN_ARCHIVES");
