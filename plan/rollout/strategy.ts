import { z } from "zod";
import type { Strategy } from "./types.ts";

/** What a stack may ask for; `auto` lets memory decide. */
export const strategySettingSchema = z.enum(["auto", "bluegreen", "recreate"]);
export type StrategySetting = z.infer<typeof strategySettingSchema>;

/** Memory of one release by device, MiB: `host`, `gpu-<id>`; upper bounds of the plan. */
export const memoryNeedSchema = z.record(z.string(), z.number().nonnegative());
export type MemoryNeed = z.infer<typeof memoryNeedSchema>;

/** A strategy and why. */
export interface StrategyChoice {
  readonly strategy: Strategy;
  readonly reason: string;
}

/**
 * Whether the candidate may run beside the release that serves. `auto` is `bluegreen` only where both are known to fit every device; what isn't known
 * doesn't fit. `serving` null: nothing serves, so there is nothing to make room for; undefined: it serves, but what it needs is not known.
 */
export function chooseStrategy(
  setting: StrategySetting,
  candidate: MemoryNeed | undefined,
  serving: MemoryNeed | null | undefined,
  budget: MemoryNeed,
): StrategyChoice {
  if (setting !== "auto") return { strategy: setting, reason: "as the stack's rollout.strategy says" };
  if (serving === null) return { strategy: "bluegreen", reason: "nothing serves yet" };
  if (candidate === undefined || serving === undefined)
    return { strategy: "recreate", reason: "the memory of one of the two releases is not planned" };
  for (const device of Object.keys({ ...candidate, ...serving }).sort()) {
    const both = (candidate[device] ?? 0) + (serving[device] ?? 0);
    const total = budget[device];
    if (total === undefined) return { strategy: "recreate", reason: `the memory of ${device} is not known` };
    if (both > total)
      return {
        strategy: "recreate",
        reason: `both releases need up to ${Math.ceil(both)} MiB of ${device}, which has ${Math.floor(total)}`,
      };
  }
  return { strategy: "bluegreen", reason: "both releases fit beside each other" };
}
