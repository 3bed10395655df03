import { afterEach, beforeEach, vi } from "vitest";

const methods = ["log", "info", "warn", "error", "debug"] as const;

/** A unit test that writes to the console fails: a message nobody asserts is a message nobody has read. */
beforeEach(() => {
  for (const method of methods) vi.spyOn(console, method).mockImplementation((...args) => void args);
});

afterEach((context) => {
  for (const method of methods) {
    const { calls } = vi.mocked(console[method]).mock;
    if (calls.length > 0) throw new Error(`${context.task.name}: unexpected console.${method}: ${calls.flat().map(String).join(" ")}`);
  }
  vi.restoreAllMocks();
});
