import * as command from "@pulumi/command";
import { trafficSchema, type Traffic } from "../plan/promotion.ts";
import { programLine } from "./inputs.ts";

/**
 * Where a stack's requests go now, asked of its Docker host; null where it has no gateway yet.
 * @throws {Error} if the host can't be asked
 */
export async function readTraffic(stack: string): Promise<Traffic | null> {
  const { stdout } = await command.local.run({ command: programLine("scripts/traffic.ts", stack), logging: "none" });
  return trafficSchema.nullable().parse(JSON.parse(stdout));
}
