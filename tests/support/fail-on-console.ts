import { afterEach, beforeEach, vi } from "vitest";

const methods = ["log", "info", "warn", "error", "debug"] as const;
const written: string[] = [];

beforeEach(() => {
  written.length = 0;
  for (const method of methods)
    vi.spyOn(console, method).mockImplementation((...args) => written.push(`console.${method}: ${args.map(String).join(" ")}`));
});

/** A unit test that writes to the console fails: a message nobody asserts is a message nobody has read. */
afterEach((context) => {
  vi.restoreAllMocks();
  if (written.length > 0) throw new Error(`${context.task.name}: unexpected ${written.join("; ")}`);
});
