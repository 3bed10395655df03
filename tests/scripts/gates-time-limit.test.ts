/** How a measurement that was stopped is waited for. Cannot prove: that a recovery afterwards has the time that it needs; nothing ends the process in it. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { withinGrace } from "../../scripts/gates/time-limit.ts";

const graceMs = 20;
const stopped = new Error("deadline of 1 s passed");

describe("withinGrace", () => {
  it("gives what the work gives, also where that was told to stop and had still to clean up", async () => {
    expect(await withinGrace(new AbortController().signal, Promise.resolve("measured"), graceMs)).toBe("measured");
    expect(await withinGrace(AbortSignal.abort(stopped), sleep(1, "cleaned up"), 5_000)).toBe("cleaned up");
  });

  it("fails with the work's own error", async () => {
    await expect(withinGrace(AbortSignal.abort(stopped), Promise.reject(new Error("no such tool")), graceMs)).rejects.toThrow(
      "no such tool",
    );
  });

  it("fails with the reason of the stop, and goes on, where the work hangs", async () => {
    const abort = new AbortController();
    const waiting = withinGrace(abort.signal, new Promise<never>(() => undefined), graceMs);
    abort.abort(stopped);
    await expect(waiting).rejects.toBe(stopped);
  });
});
