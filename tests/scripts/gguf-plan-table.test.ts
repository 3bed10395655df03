/**
 * The memory table from the project's own files. Cannot prove: what the engine answers, which tests/oracle asks; here it isn't asked.
 */
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { formatPlanTable } from "../../plan/memory/table.ts";
import { toArguments } from "../../scripts/gguf/calibrate.ts";
import { planCommand } from "../../scripts/gguf/plan-command.ts";
import { readPlanRows, type PlanTableInput } from "../../scripts/plan-table.ts";

const folder = fileURLToPath(new URL("../../", import.meta.url));
const rows = (more: Partial<PlanTableInput> = {}) =>
  readPlanRows({ folder, vramMiB: 16_384, set: {}, profiles: [], docker: null, ...more });

describe("readPlanRows", () => {
  it("plans every profile that the project has, none unknown", async () => {
    const all = await rows();
    expect(all.length).toBeGreaterThanOrEqual(12);
    expect(all.filter(({ plan }) => plan.kind === "unknown")).toEqual([]);
    expect(all.find(({ profile }) => profile === "dev")!.plan).toMatchObject({ verdict: "fits", devices: [{ device: "host" }] });
  });

  it("sets a measurement of February beside the plan for the build that it is from, within 3 %", async () => {
    const all = await rows({ profiles: ["s005-c1-fulloffload", "s005-c5-q4km-fulloffload", "s005-c7-q4km-partial24"] });
    expect(all).toHaveLength(3);
    for (const { measured, then } of all) {
      expect(Math.abs(then!.expectedMiB / measured!.memoryMiB - 1)).toBeLessThan(0.03);
      expect(then!.verdict).toBe("fits");
    }
  });

  it.each(["s005-c2-partial", "s005-c6-q4km-partial16"])("refuses %s as it was run", async (profile) => {
    const [row] = await rows({ profiles: [profile] });
    expect(row).toMatchObject({ failure: "out-of-memory", measured: null, then: { verdict: "refused" } });
  });

  it("plans with other flags and another card", async () => {
    const [row] = await rows({ profiles: ["s005-c7-q4km-partial24"], vramMiB: 8192, set: { LLAMA_ARG_CTX_SIZE: "131072" } });
    expect(row!.plan).toMatchObject({ verdict: "refused", devices: [{ budgetMiB: 8192 }, {}] });
    const kv = row!.plan.kind === "planned" ? row!.plan.devices[0]!.parts.find(({ kind }) => kind === "kv")!.lowMiB : 0;
    expect(kv).toBe(1360);
  });

  it("fails naming the profiles that there are", async () => {
    await expect(rows({ profiles: ["c7"] })).rejects.toThrow(/^plan: got profile c7, allowed are dev, s005-c1-fulloffload, /);
  });
});

describe("formatPlanTable", () => {
  it("has one line per profile under one heading, and each note once", async () => {
    const all = await rows();
    const lines = formatPlanTable(all).split("\n");
    expect(lines[0]).toMatch(
      /^profile +VRAM MiB +RAM MiB +engine MiB +measured MiB +then MiB +tok\/s +measured tok\/s +verdict +cheapest fix$/,
    );
    expect(lines.slice(1, all.length + 1).map((line) => line.split(" ")[0])).toEqual(all.map(({ profile }) => profile));
    expect(new Set(lines).size).toBe(lines.length);
  });
});

describe("toArguments", () => {
  it("gives the engine the flags that decide about memory, by llama.cpp's names", () => {
    expect(
      toArguments({ LLAMA_ARG_CTX_SIZE: "4096", LLAMA_ARG_KV_UNIFIED: "off", LLAMA_ARG_N_CPU_MOE: "24", LLAMA_ARG_JINJA: "on" }),
    ).toEqual(["-c", "4096", "-ncmoe", "24", "-no-kvu"]);
  });
});

describe("planCommand", () => {
  it.each([
    ["--vram", "16GB", /expected a number of MiB, e.g. 16384/],
    ["--set", "CTX=1", /expected LLAMA_ARG_NAME=VALUE/],
  ])("fails on %s %s", async (option, value, message) => {
    const command = planCommand()
      .exitOverride()
      .configureOutput({ writeErr: () => undefined });
    await expect(command.parseAsync([option, value], { from: "user" })).rejects.toThrow(message);
  });
});
