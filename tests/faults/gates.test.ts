/**
 * Faults 34 to 39 of docs/faults.md, with llama-perplexity replaced in a candidate's image by what the fault makes of it, and 42, with neighbours on the same CPUs: none is ever a pass, the
 * message says what came, and the release that passed its gates serves. Cannot prove: that a tool which prints a wrong, well-formed number is found out; how rarely a benchmark errs beside
 * neighbours of every kind (tests/bench/gates).
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { runningServers } from "../support/killing.ts";
import { processesIn } from "../support/processes.ts";
import { testImage } from "../support/test-image.ts";
import { describeFaults } from "./describe-faults.ts";
import { plantBaselines } from "./planted-baselines.ts";

const tool = "/usr/bin/llama-perplexity";

describeFaults("a gate that can't tell", (stack) => {
  beforeAll(() => stack.addBrokenImage());
  beforeEach(() => stack.use("broken"));
  afterEach(() => stack.mendImage());

  const toolIs = (script: string) => stack.replaceTool(tool, script);
  const hanging = "#!/bin/sh\nexec sleep 600\n";
  /** Prints what the real tool prints, changed by sed. */
  const printing = (change: string): string => `#!/bin/bash\nset -o pipefail\n${tool}-real "$@" 2>&1 | sed -E -u '${change}'\n`;
  const perplexityPids = async (): Promise<number[]> =>
    (await processesIn(stack.project.dir))
      .filter(({ command }) => command.startsWith("node scripts/gates/perplexity.ts"))
      .map(({ pid }) => pid);

  /** A container that keeps eight processes busy, with eight times a server's share of the CPUs: the benchmark lasts until the load average tells of it. */
  const startNeighbour = async (): Promise<string> => {
    const busy = "for one in 1 2 3 4 5 6 7 8; do while :; do :; done & done; wait";
    const options = ["--detach", "--rm", "--cpu-shares", "8192", "--network", "none", "--entrypoint", "sh"];
    return (await execa("docker", ["run", ...options, testImage, "-c", busy])).stdout;
  };

  /** What was measured of the release that serves, this many times as fast and on an idle host, is what candidates are compared with. */
  const expectSpeed = (times: number): Promise<unknown> =>
    plantBaselines(stack, (result) => ({
      ...result,
      starts: result.starts.map((start) => ({
        ...start,
        loadAverage: 0,
        requests: start.requests.map((request) => ({
          ...request,
          decodeTokensPerSec: request.decodeTokensPerSec * times,
          serverDecodeTokensPerSec: request.serverDecodeTokensPerSec * times,
        })),
      })),
    }));

  it("fault 34: a gate that is killed with SIGKILL fails the deployment and leaves no container", async () => {
    await toolIs(hanging);
    const running = stack.up();
    await expect.poll(perplexityPids, { timeout: 60_000, interval: 200 }).toHaveLength(1);
    await sleep(2_000); // its container is being made
    for (const pid of await perplexityPids()) process.kill(pid, "SIGKILL");
    const run = await running;
    await sleep(3_000); // the guard looks once a second
    await stack.expectRefused(run, /perplexity\.ts was killed \(signal 9\)/, /npm run status/);
  });

  it("fault 35: a gate that hangs ends at its deadline", async () => {
    await toolIs(hanging);
    await stack.project.set("gates.perplexity.timeoutSec", "6");
    const run = await stack.up();
    await stack.project.set("gates.perplexity.timeoutSec", "120");
    await stack.expectRefusedByGate(run, "perplexity gate error: deadline of 6 s passed");
  });

  it.each([
    ["NaN", "s/^[[]1[]][0-9.]*/[1]nan/", /perplexity gate error: .*got "\[1\]nan"/],
    ["infinity", "s/PPL = [0-9.]*/PPL = inf/", /perplexity gate error: .*got "inf", expected a positive decimal number/],
    ["zero", "s/PPL = [0-9.]*/PPL = 0.0000/", /perplexity gate error: .*got "0.0000", expected a positive decimal number/],
    ["a negative number", "s/PPL = /PPL = -/", /perplexity gate error: .*expected a positive decimal number/],
  ])("fault 36: %s in the output is an error, not a number", async (_what, change, message) => {
    await toolIs(printing(change));
    await stack.expectRefusedByGate(await stack.up(), message);
  });

  it("fault 37: an image without the tool is refused before anything is stopped, by its name", async () => {
    await stack.changeImage(`rm ${tool}`);
    const missing = /perplexity gate error: the candidate's image has no llama-perplexity in .*, so nothing was stopped/;
    await stack.expectRefusedByGate(await stack.up(), missing, "no request had to wait");
  });

  it.each([
    ["a decimal comma", "s/([0-9])[.]([0-9])/\\1,\\2/g", /perplexity gate error: /],
    ["other words", "s/Final estimate/Result/", /perplexity gate error: llama-perplexity: got 0 final estimates, expected one/],
  ])("fault 38: output with %s is an error", async (_what, change, message) => {
    await toolIs(printing(change));
    await stack.expectRefusedByGate(await stack.up(), message);
  });

  it("fault 39: a corpus that changed is refused with both checksums, one that is missing with its name", async () => {
    const corpora = join(stack.project.dir, "configs", "corpora.yaml");
    const before = await readFile(corpora, "utf8");
    await stack.use("tiny");
    await stack.addProfile("again", "tiny");
    await writeFile(corpora, before.replace(/sha256: \w{64}(?=\s+license: none)/, `sha256: ${"f".repeat(64)}`));
    await stack.expectRefusedByGate(
      await stack.up(),
      /perplexity gate error: corpus own can't be had: .*got sha256 \w{64}, expected f{64}/,
    );
    await writeFile(corpora, before);
    await stack.project.set("gates.perplexity.corpus", "no-such");
    await stack.expectRefused(await stack.up(), "no-such", "configs/corpora.yaml");
    await stack.project.set("gates.perplexity.corpus", "own");
  });

  it("fault 42: neighbours that begin to work in the middle of a benchmark leave it undecided, and the same candidate passes without them", async () => {
    await stack.use("tiny");
    await stack.setStrategy("bluegreen");
    await expectSpeed(100); // out of reach, so that how much neighbours slow a server and when it was measured decide nothing
    const judged = {
      metrics: [{ scenario: "medium", metric: "decode" }],
      ...{ marginPercent: 80, looks: [3], startLevel: "mean", maxVariationPercent: 99, timingsTolerancePercent: 99 },
    };
    await stack.configure((settings) => {
      settings["gates"] = {
        ...settings["gates"],
        benchmark: { ...settings["gates"]?.["benchmark"], thresholds: judged, dryRun: false },
      };
    });
    await stack.addProfile("beside", "tiny", "debian", 3072);
    await stack.use("beside");
    const running = stack.up();
    await expect.poll(() => runningServers(stack.project.stack), { timeout: 120_000, interval: 100 }).toHaveLength(2);
    const neighbours = await Promise.all(Array.from({ length: 8 }, () => startNeighbour()));
    const run = await running.finally(() => execa("docker", ["rm", "--force", ...neighbours]));
    await stack.expectRefusedByGate(
      run,
      /benchmark gate inconclusive: .*; the host's load average was up to/,
      /next: wait until the host has less to do/,
    );
    expect(run.output).not.toMatch(/benchmark gate(:| )(passed|failed)/i);
    const before = stack.release;
    await expectSpeed(1);
    await stack.deploy();
    expect(stack.output).toMatch(/benchmark gate: PASSED/);
    await stack.use("tiny");
    await stack.deploy();
    expect(stack.release).toBe(before);
  });
});
