/** Fault 33 of docs/faults.md: a gateway that starts without the file of the keys that it is to ask for. Cannot prove: what a caller on another machine sees. */
import { randomBytes } from "node:crypto";
import { execa } from "execa";
import { expect, it } from "vitest";
import { keysFile } from "../../plan/access.ts";
import { gatewayName } from "../../plan/names.ts";
import { describeFaults } from "./describe-faults.ts";
import type { FaultStack } from "./fault-stack.ts";

const key = randomBytes(32).toString("hex");

/** Sets a key as an operator does: by standard input. */
async function wantKey(stack: FaultStack): Promise<void> {
  const args = ["config", "set", "--secret", "--path", "llm-server:apiKeys[0]", "--stack", stack.project.stack, "--non-interactive"];
  await execa("pulumi", args, { cwd: stack.project.dir, env: stack.project.env, input: key });
  stack.headers = { authorization: `Bearer ${key}` };
}

describeFaults(
  "a gateway that wants a key",
  (stack) => {
    it("fault 33: and lost the file of its keys starts and lets nobody in, drift says so and brings them back", async () => {
      const gateway = gatewayName(stack.project.stack);
      await execa("docker", ["exec", gateway, "rm", "-f", keysFile]);
      await execa("docker", ["restart", "--time", "5", gateway]);
      const statuses = async (): Promise<number[]> => {
        const without = await fetch(`${stack.project.endpoint}/v1/models`).catch(() => ({ status: 0 }));
        return [without.status, (await stack.ask().catch(() => ({ status: 0 }))).status];
      };
      await expect.poll(statuses, { timeout: 30_000 }).toEqual([401, 401]);
      const found = await stack.cli(["drift", "--stack", stack.project.stack]);
      expect(found.output).toMatch(/gateway-unanswering[\s\S]*status 401/);
      expect(found.exitCode, found.output).toBe(2);
      const mended = await stack.cli(["drift", "--stack", stack.project.stack, "--redeploy"]);
      expect(mended.exitCode, mended.output).toBe(0);
      expect(`${found.output}${mended.output}`).not.toContain(key);
      expect((await fetch(`${stack.project.endpoint}/v1/models`)).status).toBe(401);
      await stack.expectServing();
      await stack.expectState();
    });
  },
  wantKey,
);
