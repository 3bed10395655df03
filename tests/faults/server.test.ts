/**
 * Faults 23 to 27 of docs/faults.md, with llama-server replaced in a candidate's image by what the fault makes of it, beside a release that serves. Cannot prove: what a GPU does (24),
 * or a server that misbehaves only after it was promoted; tests/integration/drift.test.ts breaks those that serve.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { prepareModels } from "../support/models.ts";
import { providerSets, type ProviderSet } from "../support/provider-sets.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";
import { FaultStack } from "./fault-stack.ts";

const sets = await providerSets();
const set = sets.find(({ name }) => name === "official") ?? sets[0];
const tool = "/usr/bin/llama-server";

describe.skipIf(set === undefined)("a candidate whose server", () => {
  let stack: FaultStack;
  beforeAll(async () => {
    await buildTestImage();
    await prepareModels(testImage);
    stack = await FaultStack.create(set as ProviderSet);
    await stack.deploy();
    await stack.addBrokenImage();
    await stack.use("broken");
    await stack.configure((settings) => {
      (settings["llm-server:gates"]?.["benchmark"] as Record<string, unknown>)["dryRun"] = false; // none of these is ever timed
    });
  });
  afterEach(() => stack.mendImage());
  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
  });

  it("fault 23: is killed for its memory is noticed at once", async () => {
    await stack.replaceTool(tool, "#!/bin/sh\nhead -c 4000000000 /dev/zero | tail -c 4000000000 > /dev/null\nexit 137\n");
    const startMs = performance.now();
    await stack.expectRefused(await stack.up(), /memory|OOM/i);
    expect(performance.now() - startMs).toBeLessThan(120_000);
  });

  it("fault 25: does not know a flag ends at once, and the end of its log is shown", async () => {
    await stack.replaceTool(tool, `#!/bin/sh\nexec ${tool}-real --no-such-flag "$@"\n`);
    await stack.expectRefused(await stack.up(), /invalid argument: --no-such-flag/);
  });

  it("fault 26: ends again and again is not waited for", async () => {
    await stack.replaceTool(tool, "#!/bin/sh\necho cannot go on >&2\nexit 3\n");
    await stack.expectRefused(await stack.up(), "cannot go on", /exit(?:ed|s)? (?:with )?(?:code )?3|exit code 3/);
  });

  it("fault 27: loads for ever is given up at a deadline", async () => {
    await stack.replaceTool(tool, "#!/bin/sh\nexec sleep 3600\n");
    await stack.expectRefused(await stack.up(), /within|deadline|not ready/i);
  });
});

if (sets.length === 0) it.skip("needs a provider set: install Go for toolchain/, or name a folder of archives in PULUMI_PLUGIN_ARCHIVES");
