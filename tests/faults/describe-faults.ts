import { afterAll, beforeAll, describe, it } from "vitest";
import { prepareModels } from "../support/models.ts";
import { providerSets } from "../support/provider-sets.ts";
import { buildTestImage, testImage } from "../support/test-image.ts";
import { FaultStack } from "./fault-stack.ts";

const sets = await providerSets();
/** The providers of these tests. */
export const set = sets.find(({ name }) => name === "official") ?? sets[0];

/** Tests of faults beside one deployed release: it is made before the first of them and removed after the last. `configure` changes the stack before it is deployed. */
export function describeFaults(
  name: string,
  tests: (stack: FaultStack) => void,
  configure: (stack: FaultStack) => Promise<void> = () => Promise.resolve(),
): void {
  if (set === undefined) {
    it.skip("needs a provider set: install Go for toolchain/, or name a folder of archives in PULUMI_PLUGIN_ARCHIVES");
    return;
  }
  describe(name, () => {
    const stack = new FaultStack();
    beforeAll(async () => {
      await buildTestImage();
      await prepareModels(testImage);
      await stack.start(set);
      await configure(stack);
      await stack.deploy();
    });
    afterAll(() => stack.end());
    tests(stack);
  });
}
