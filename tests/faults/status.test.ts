/**
 * Every degraded state that `status` knows but a killed rollout (tests/integration/chaos.test.ts), made by hand on one deployed stack and mended by the very command that it names. Cannot
 * prove: two of them at once.
 */
import { execa } from "execa";
import { expect, it } from "vitest";
import { holdScript, stateDir, switchScript } from "../../plan/gateway.ts";
import { gatewayName, serverName } from "../../plan/names.ts";
import type { PulumiRun } from "../support/stack-project.ts";
import { describeFaults } from "./describe-faults.ts";

describeFaults("a degraded stack", (stack) => {
  const name = (): string => stack.project.stack;
  const server = (): string => serverName(name(), stack.release);
  const docker = (...args: string[]) => execa("docker", args);
  const inGateway = (script: string) => docker("exec", gatewayName(name()), "sh", "-c", script);

  /** Runs a command as `status` names it. */
  const run = (command: string): Promise<PulumiRun> => {
    const [words, pulumiWords = ""] = command
      .replaceAll("'", "")
      .replace("npm run ", "")
      .split(/ -- -(?=-)/);
    const [program = "", ...args] = (words ?? "").split(" ").filter((word) => word !== "--");
    return stack.cli([
      program,
      ...args,
      ...(program === "up" ? ["--yes", "--", ...(pulumiWords === "" ? [] : `-${pulumiWords}`.split(" "))] : []),
    ]);
  };

  it.each<[string, () => Promise<unknown>, RegExp, string]>([
    ["whose gateway was stopped", () => docker("stop", gatewayName(name())), /the gateway is stopped/, "recover"],
    ["whose gateway was removed", () => docker("rm", "--force", gatewayName(name())), /the gateway is missing/, "up"],
    ["whose server was stopped", () => docker("stop", server()), /does not run/, "recover"],
    ["whose server was removed", () => docker("rm", "--force", server()), /the server of release \w+ is gone/, "up"],
    ["whose gateway holds requests for nobody", () => inGateway(holdScript), /makes requests wait although/, "recover"],
    [
      "whose gateway routes nowhere",
      () => inGateway(`ln -sfn none ${stateDir}/next && mv -T ${stateDir}/next ${stateDir}/active`),
      /routes to no release/,
      "up",
    ],
    [
      "whose gateway routes to a release that is gone",
      () => inGateway(switchScript("ffffffffff", ["nowhere"])),
      /routes to ffffffffff/,
      "up",
    ],
  ])("%s says so and names the command, which mends it", async (_state, fault, trouble, program) => {
    await fault();
    const { exitCode, output } = await stack.cli(["status", name()]);
    expect(exitCode).toBe(2);
    const [, why = "", command = ""] = /degraded: (.*); run: (.*)$/m.exec(output) ?? [];
    expect(why).toMatch(trouble);
    expect(command).toContain(`npm run ${program} -- ${name()}`);
    const mended = await run(command);
    expect(mended.exitCode, mended.output).toBe(0);
    expect(await stack.cli(["status", name()])).toMatchObject({ exitCode: 0, output: expect.stringContaining("state     ok") as string });
    await stack.expectServing();
  });
});
