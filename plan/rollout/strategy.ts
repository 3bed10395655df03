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

/** A server of another stack that runs on the same host. */
export interface Neighbour {
  readonly stack: string;
  /** Null: not planned. */
  readonly need: MemoryNeed | null;
}

/** What decides by memory whether two releases may run at once. */
export interface Room {
  /** Null: not planned. */
  readonly candidate: MemoryNeed | null;
  /** What the release needs that serves now; null: not planned. */
  readonly serving: MemoryNeed | "nothing" | "the candidate itself" | null;
  readonly neighbours: readonly Neighbour[];
  /** Memory of each device. */
  readonly budget: MemoryNeed;
}

/**
 * Whether the candidate may run beside the release that serves. `auto` is `bluegreen` only where both, and what other stacks run on the same devices, are known to fit
 * every device; what isn't known doesn't fit. Where nothing else serves, there is nothing to make room for.
 */
export function chooseStrategy(setting: StrategySetting, { candidate, serving, neighbours, budget }: Room): StrategyChoice {
  if (setting !== "auto") return { strategy: setting, reason: "as the stack's rollout.strategy says" };
  if (serving === "nothing") return { strategy: "bluegreen", reason: "nothing serves yet" };
  if (serving === "the candidate itself") return { strategy: "bluegreen", reason: "the release that serves is measured anew" };
  const recreate = (reason: string): StrategyChoice => ({ strategy: "recreate", reason });
  if (candidate === null || serving === null) return recreate("the memory of one of the two releases is not planned");
  const unplanned = neighbours.find(({ need }) => need === null);
  if (unplanned !== undefined) return recreate(`the memory of a server of stack ${unplanned.stack} is not planned`);
  const devices = Object.keys({ ...candidate, ...serving }).sort();
  for (const device of devices) {
    const both = (candidate[device] ?? 0) + (serving[device] ?? 0);
    const others = neighbours.reduce((sum, { need }) => sum + (need?.[device] ?? 0), 0);
    const total = budget[device];
    if (total === undefined) return recreate(`the memory of ${device} is not known`);
    if (both + others <= total) continue;
    const beside = others === 0 ? "" : ` and ${describeStacks(neighbours, [device])} up to ${Math.ceil(others)}`;
    return recreate(`both releases need up to ${Math.ceil(both)} MiB${beside} of ${device}, which has ${Math.floor(total)}`);
  }
  const beside = describeStacks(neighbours, devices);
  return { strategy: "bluegreen", reason: `both releases fit beside each other${beside === "" ? "" : ` and ${beside}`}` };
}

/** The stacks that have servers on one of these devices; empty where none has. */
function describeStacks(neighbours: readonly Neighbour[], devices: readonly string[]): string {
  const there = neighbours.filter(({ need }) => devices.some((device) => (need?.[device] ?? 0) > 0));
  const stacks = [...new Set(there.map(({ stack }) => stack))].sort();
  return stacks.length === 0 ? "" : `${stacks.length === 1 ? "stack" : "stacks"} ${stacks.join(", ")}`;
}
