import { readFileSync } from "node:fs";
import { parseHeaderDigest } from "../../plan/gguf/digest.ts";
import { parseGgufHeader } from "../../plan/gguf/parse.ts";
import type { GgufHeader } from "../../plan/gguf/types.ts";
import { encodeGguf, type HeaderOnlyModel } from "../../plan/gguf/write.ts";
import { type ComputeTable, parseComputeTable } from "../../plan/memory/compute-table.ts";
import type { DevicePlan, MemoryPlan } from "../../plan/memory/types.ts";

const read = (path: string): unknown => JSON.parse(readFileSync(new URL(`../../configs/${path}`, import.meta.url), "utf8"));

/** A committed header digest. */
export const committedHeader = (model: string): GgufHeader => parseHeaderDigest(read(`headers/${model}.json`));

/** A committed compute table, e.g. `b8149-cuda`. */
export const committedTable = (name: string): ComputeTable => parseComputeTable(read(`compute-tables/${name}.json`));

/** The header of a model that exists as shapes only. */
export function headerOf(model: HeaderOnlyModel, source = "fixture"): GgufHeader {
  const { header, fileBytes } = encodeGguf(model);
  return parseGgufHeader({ prefix: header, fileBytes, source });
}

/** A plan that must not be unknown. */
export function planned(plan: MemoryPlan): Extract<MemoryPlan, { kind: "planned" }> {
  if (plan.kind === "unknown") throw new Error(`expected a plan, got unknown: ${plan.reason}`);
  return plan;
}

/** One device of a plan. */
export function device(plan: MemoryPlan, name: string): DevicePlan {
  const found = planned(plan).devices.find((entry) => entry.device === name);
  if (found === undefined)
    throw new Error(
      `expected device ${name}, got ${planned(plan)
        .devices.map((entry) => entry.device)
        .join(", ")}`,
    );
  return found;
}
