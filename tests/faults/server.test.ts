/**
 * Faults 7 and 23 to 32 of docs/faults.md: a candidate that can't have its GPU, and candidates with llama-server replaced in their image by what the fault makes of it, beside a
 * release that serves. Cannot prove: what a GPU does. Fault 24 is played by a script that ends as the engine did on a real one, with its log (tests/fixtures/llama-server) and its signal.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { serverName } from "../../plan/names.ts";
import { runningServers } from "../support/killing.ts";
import { describeFaults } from "./describe-faults.ts";

const tool = "/usr/bin/llama-server";

describeFaults("a candidate whose server", (stack) => {
  beforeAll(() => stack.addBrokenImage());
  beforeEach(async () => {
    await stack.use("broken");
    await stack.judges(true);
  });
  afterEach(() => stack.mendImage());
  const runsAs = (...lines: string[]) => stack.replaceTool(tool, `${lines.join("\n")}\n`);
  const state = async (release: string): Promise<string> => {
    const format = "{{.State.Status}} {{.State.ExitCode}}";
    return (await execa("docker", ["inspect", "--format", format, serverName(stack.project.stack, release)])).stdout;
  };

  /** The release that served before takes the traffic again. */
  const putBack = async (release: string): Promise<void> => {
    await stack.mendImage();
    await stack.use("tiny");
    await stack.deploy();
    expect(stack.release).toBe(release);
    await stack.expectServing();
    await stack.expectState();
  };
  /** Servers that run beside the one that takes the traffic. */
  const candidates = async (): Promise<string[]> =>
    (await runningServers(stack.project.stack)).filter((name) => name !== serverName(stack.project.stack, stack.release));

  it("fault 7: is to have a GPU that the host can't give is refused before anything is stopped; it never runs on the CPU instead", async () => {
    await stack.configure((settings) => {
      (settings["device"] as Record<string, unknown>)["gpus"] = ["0"];
    });
    const run = await stack.up();
    await stack.configure((settings) => {
      delete (settings["device"] as Record<string, unknown>)["gpus"];
    });
    await stack.expectRefusedByGate(
      run,
      /the Docker host can't give GPU 0 to a container, so nothing was stopped: .*gpu.*; look with nvidia-smi .* install nvidia-container-toolkit/,
      "no request had to wait",
    );
  });

  it("fault 23: is killed for its memory is noticed at once", async () => {
    await runsAs("#!/bin/sh", "head -c 4000000000 /dev/zero | tail -c 4000000000 > /dev/null", "exit 137");
    const startMs = performance.now();
    await stack.expectRefusedByGate(await stack.up(), /exit code 137, killed by the kernel for its memory/);
    expect(performance.now() - startMs).toBeLessThan(120_000);
  });

  it("fault 24: runs out of memory on its first long prompt meets that in the benchmark, and the end of its log is shown", async () => {
    const log = readFileSync(new URL("../fixtures/llama-server/cuda-first-long-prompt.txt", import.meta.url));
    await runsAs(
      "#!/bin/bash",
      `${tool}-real "$@" 2>&1 | while IFS= read -r line; do`,
      '  echo "$line"',
      "  if [[ $line =~ prompt\\ eval\\ time.*/\\ +([0-9]+)\\ tokens ]] && ((BASH_REMATCH[1] > 300)); then",
      `    base64 -d <<< ${log.toString("base64")}`,
      "    kill -ABRT $(pidof llama-server-real); cat > /dev/null",
      "  fi",
      "done",
      "exit ${PIPESTATUS[0]}",
    );
    await stack.expectRefusedByGate(
      await stack.up(),
      /benchmark gate error: .*exit code 134/,
      "CUDA error: the resource allocation failed",
    );
  });

  it("fault 25: does not know a flag ends at once, and the end of its log is shown", async () => {
    await runsAs("#!/bin/sh", `exec ${tool}-real --no-such-flag "$@"`);
    await stack.expectRefusedByGate(await stack.up(), /invalid argument: --no-such-flag/);
  });

  it("fault 26: ends again and again is not waited for", async () => {
    await runsAs("#!/bin/sh", "echo cannot go on >&2", "exit 3");
    await stack.expectRefusedByGate(await stack.up(), "cannot go on", /exit(?:ed|s)? (?:with )?(?:code )?3|exit code 3/);
  });

  it("fault 27: loads for ever is given up at a deadline", async () => {
    await runsAs("#!/bin/sh", "exec sleep 3600");
    await stack.expectRefusedByGate(await stack.up(), "no completion within 20 s after the start");
  });

  it("fault 28: is healthy, passes its gates and then dies is started again while requests wait, drift says so, and the configuration put back leaves it", async () => {
    const before = stack.release;
    await stack.judges(false);
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
    await putBack(before);
  });

  it("fault 29: is healthy while its generation hangs is given up at the deadline", async () => {
    await runsAs(
      "#!/usr/bin/perl",
      "use IO::Socket::INET;",
      'my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 64, ReuseAddr => 1) or die "no port";',
      "my @kept;",
      "while (my $client = $server->accept) {",
      '  if (<$client> =~ m{^GET /health}) { print $client "HTTP/1.0 200 OK\\r\\n\\r\\n{}"; close $client } else { push @kept, $client }',
      "}",
    );
    const running = stack.up();
    const health = async (): Promise<number> => {
      const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
      const { stdout } = await execa("docker", ["inspect", "--format", format, ...(await candidates())], { reject: false });
      return fetch(`http://${stdout}:8080/health`).then(
        ({ status }) => status,
        () => 0,
      );
    };
    await expect.poll(health, { timeout: 120_000, interval: 500 }).toBe(200);
    await stack.expectRefusedByGate(await running, "no completion within 20 s after the start");
  });

  it("fault 30: ignores SIGTERM is killed when its time is over, and the release that takes its place serves", async () => {
    const before = stack.release;
    await stack.judges(false);
    await runsAs("#!/bin/bash", "trap '' TERM", `(trap - TERM; exec ${tool}-real "$@") &`, "while :; do wait; sleep 1; done");
    await stack.deploy();
    const stubborn = stack.release;
    expect(stubborn).not.toBe(before);
    await putBack(before);
    expect(await state(stubborn)).toBe("exited 137");
  });

  it("fault 31: calls itself by another name than was declared is found by drift", async () => {
    const before = stack.release;
    await stack.judges(false);
    await runsAs("#!/bin/sh", `LLAMA_ARG_ALIAS=somebody-else exec ${tool}-real "$@"`);
    await stack.deploy();
    const { exitCode, output } = await stack.cli(["drift", "--stack", stack.project.stack]);
    expect(exitCode, output).toBe(2);
    const server = serverName(stack.project.stack, stack.release);
    const [expected, found] = ["name tiny, /v1/models tiny", "name somebody-else, /v1/models somebody-else"];
    expect(output).toMatch(
      new RegExp(`ERROR  server ${server}  \\(server-other\\)\n  expected     ${expected}\n  found        ${found}\n`),
    );
    expect(output).toContain("1 difference from what was deployed");
    await putBack(before);
  });

  it("fault 32: listens on another port by default is told its own, and serves", async () => {
    const before = stack.release;
    await stack.judges(false);
    await runsAs("#!/bin/sh", "export LLAMA_ARG_PORT=${LLAMA_ARG_PORT:-9090}", `exec ${tool}-real "$@"`);
    await stack.deploy();
    expect(stack.release).not.toBe(before);
    await stack.expectServing();
    await putBack(before);
  });

  it("fault 32: listens elsewhere whatever it is told is refused, naming the port that nobody answers on and the one in its log", async () => {
    await runsAs("#!/bin/sh", `LLAMA_ARG_PORT=9090 exec ${tool}-real "$@"`);
    await stack.expectRefusedByGate(await stack.up(), /no completion within 20 s after the start, but: .*:8080; its log ends: .*:9090/);
  });
});
