import { defineConfig } from "vitest/config";

/** Short tests of single faults that are part of `npm test`; which fault is tested where: docs/faults.md. */
const faultsElsewhere = ["bad-input", "base-digest", "model-fetch"].map((name) => `tests/integration/${name}.test.ts`);

/**
 * Six lanes. `unit` is rings 1 to 3: no network, no Docker, no clock. `integration` is ring 4: the real Pulumi CLI,
 * Docker, llama.cpp and model, one file at a time because they share the daemon and two cores. `images` builds llama.cpp itself and takes half
 * an hour. `oracle` asks the engine. `faults` breaks one thing at a time, under half an hour. `endurance` is an hour of load and rollouts.
 * Lanes run one after the other (`groupOrder`): a benchmark beside other tests would measure them.
 */
const jsonReport = process.env["VITEST_JSON"];

export default defineConfig({
  test: {
    reporters: jsonReport === undefined ? ["default"] : ["default", ["json", { outputFile: jsonReport }]],
    projects: [
      {
        test: {
          name: "unit",
          include: ["tests/{plan,components,scripts}/**/*.test.ts"],
          // some start the CLI several times: seconds, but not where other work shares the processors
          testTimeout: 120_000,
          sequence: { groupOrder: 0 },
          setupFiles: ["tests/support/fail-on-console.ts"],
        },
      },
      {
        test: {
          name: "integration",
          include: ["tests/integration/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 900_000,
          hookTimeout: 900_000,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: "faults",
          include: ["tests/faults/**/*.test.ts", ...faultsElsewhere],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 600_000,
          sequence: { groupOrder: 4 },
        },
      },
      {
        test: {
          name: "images",
          include: ["tests/images/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 5_400_000,
          hookTimeout: 900_000,
          sequence: { groupOrder: 3 },
        },
      },
      {
        test: {
          name: "endurance",
          include: ["tests/endurance/**/*.test.ts"],
          fileParallelism: false,
          sequence: { groupOrder: 5 },
        },
      },
      {
        test: {
          name: "oracle",
          include: ["tests/oracle/**/*.test.ts"],
          testTimeout: 900_000,
          hookTimeout: 600_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
