/**
 * Faults 7 and 23 to 30 of docs/faults.md: a candidate that can't have its GPU, and candidates with llama-server replaced in their image by what the fault makes of it, beside a
 * release that serves. Cannot prove: what a GPU does. Fault 24 is played by a script that ends as the engine does, with its words and its signal.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { serverName } from "../../plan/names.ts";
import { describeFaults } from "./describe-faults.ts";

const tool = "/usr/bin/llama-server";

describeFaults("a candidate whose server", (stack) => {
  beforeAll(() => stack.addBrokenImage());
  beforeEach(async () => {
    await stack.use("broken");
    await judges(true);
  });
  afterEach(() => stack.mendImage());
  /** Whether the benchmark decides: not where a candidate is to be promoted, whose thousands of tokens a second can't be timed one by one. */
  const judges = (isJudge: boolean) =>
    stack.configure((settings) => {
      (settings["llm-server:gates"]?.["benchmark"] as Record<string, unknown>)["dryRun"] = !isJudge;
    });
  const runsAs = (...lines: string[]) => stack.replaceTool(tool, `${lines.join("\n")}\n`);
  const state = async (release: string): Promise<string> => {
    const format = "{{.State.Status}} {{.State.ExitCode}}";
    return (await execa("docker", ["inspect", "--format", format, serverName(stack.project.stack, release)])).stdout;
  };

  it("fault 7: is to have a GPU that the host can't give is refused before anything is stopped; it never runs on the CPU instead", async () => {
    await stack.configure((settings) => {
      (settings["llm-server:device"] as Record<string, unknown>)["gpus"] = ["0"];
    });
    const run = await stack.up();
    await stack.configure((settings) => {
      delete (settings["llm-server:device"] as Record<string, unknown>)["gpus"];
    });
    await stack.expectRefused(
      run,
      /the Docker host can't give GPU 0 to a container, so nothing was stopped: .*gpu.*; look with nvidia-smi .* install nvidia-container-toolkit/,
      new RegExp(`release ${stack.release}`),
    );
  });

  it("fault 23: is killed for its memory is noticed at once", async () => {
    await runsAs("#!/bin/sh", "head -c 4000000000 /dev/zero | tail -c 4000000000 > /dev/null", "exit 137");
    const startMs = performance.now();
    await stack.expectRefused(await stack.up(), /memory|OOM/i);
    expect(performance.now() - startMs).toBeLessThan(120_000);
  });

  it("fault 24: runs out of memory on its first long prompt meets that in the benchmark, and the end of its log is shown", async () => {
    await runsAs(
      "#!/bin/bash",
      `${tool}-real "$@" 2>&1 | while IFS= read -r line; do`,
      '  echo "$line"',
      "  if [[ $line =~ prompt\\ eval\\ time.*/\\ +([0-9]+)\\ tokens ]] && ((BASH_REMATCH[1] > 300)); then",
      '    echo "CUDA error: out of memory"',
      "    kill -ABRT $(pidof llama-server-real); cat > /dev/null",
      "  fi",
      "done",
      "exit ${PIPESTATUS[0]}",
    );
    await stack.expectRefused(await stack.up(), /benchmark gate error: .*exit code 134/, "CUDA error: out of memory");
  });

  it("fault 25: does not know a flag ends at once, and the end of its log is shown", async () => {
    await runsAs("#!/bin/sh", `exec ${tool}-real --no-such-flag "$@"`);
    await stack.expectRefused(await stack.up(), /invalid argument: --no-such-flag/);
  });

  it("fault 26: ends again and again is not waited for", async () => {
    await runsAs("#!/bin/sh", "echo cannot go on >&2", "exit 3");
    await stack.expectRefused(await stack.up(), "cannot go on", /exit(?:ed|s)? (?:with )?(?:code )?3|exit code 3/);
  });

  it("fault 27: loads for ever is given up at a deadline", async () => {
    await runsAs("#!/bin/sh", "exec sleep 3600");
    await stack.expectRefused(await stack.up(), "no completion within 20 s after the start");
  });

  it("fault 28: is healthy, passes its gates and then dies is started again while requests wait, drift says so, and the configuration put back leaves it", async () => {
    const before = stack.release;
    await judges(false);
    await runsAs("#!/bin/sh", `timeout --signal=ABRT 20 ${tool}-real "$@"`, "exit 134");
    await stack.deploy();
    const restarts = async (): Promise<string> =>
      (await execa("docker", ["inspect", "--format", "{{.RestartCount}}", serverName(stack.project.stack, stack.release)])).stdout;
    const statuses: number[] = [];
    for (const end = Date.now() + 60_000; (await restarts()) === "0" && Date.now() < end;) {
      statuses.push((await stack.ask()).status);
      await sleep(100);
    }
    expect(await restarts()).not.toBe("0");
    // one request may have been with the server when it died; no other one is lost
    const lost = statuses.filter((status) => status !== 200);
    expect([[], [502]]).toContainEqual(lost);
    expect(await stack.ask()).toMatchObject({ status: 200 }); // waits for the start
    const drift = await stack.cli(["drift", "--stack", stack.project.stack]);
    expect(drift.output).toMatch(/server-died|died/);
    expect(drift.exitCode, drift.output).toBe(2);
    await stack.mendImage();
    await stack.use("tiny");
    await stack.deploy();
    expect(stack.release).toBe(before);
    await stack.expectServing();
  });

  it("fault 30: ignores SIGTERM is killed when its time is over, and the release that takes its place serves", async () => {
    const before = stack.release;
    await judges(false);
    await runsAs("#!/bin/bash", "trap '' TERM", `(trap - TERM; exec ${tool}-real "$@") &`, "while :; do wait; sleep 1; done");
    await stack.deploy();
    const stubborn = stack.release;
    expect(stubborn).not.toBe(before);
    await stack.mendImage();
    await stack.use("tiny");
    await stack.deploy();
    expect(stack.release).toBe(before);
    expect(await state(stubborn)).toBe("exited 137");
    await stack.expectServing();
  });
});
