import process from "node:process";
import type Docker from "dockerode";
import { gateResultSchema, type GateResult } from "../plan/gates/verdict.ts";
import { promoteInputSchema, repairVariable, type PromoteInput, type Promotion } from "../plan/promotion.ts";
import type { RolloutPlan, RolloutRecord } from "../plan/rollout/records.ts";
import { connectDocker } from "./docker/host.ts";
import { checkRelease } from "./gates/model-check.ts";
import { VolumeStore } from "./gates/volume-store.ts";
import { describeError, log, runProgram } from "./program.ts";
import { describeEnd } from "./rollout/recover.ts";
import { Rollout } from "./rollout/rollout.ts";

const progress = (line: string): void => log(`promote: ${line}`);

/** Gives the release the traffic; where that fails, what served before serves again, and the error says so. */
async function takeTraffic(docker: Docker, rollout: Rollout, plan: RolloutPlan, signal: AbortSignal): Promise<RolloutRecord> {
  let reason: string;
  try {
    if (rollout.isUnchecked) await checkRelease(docker, plan, { host: null, tools: [], signal });
    return await rollout.promote();
  } catch (error) {
    reason = describeError(error);
  }
  const { candidate } = rollout;
  progress(`${reason}; going back to what served before`);
  const ended = await rollout.fail(reason, { [candidate]: reason });
  const serving = ended === undefined ? "the rollout had been ended already" : describeEnd(ended);
  throw new Error(`no gate stood against release ${candidate}, but it did not take traffic: ${reason}; ${serving}`);
}

/** Makes what the gates measured what the next releases are compared with. The release serves already: nothing that fails here is a reason to fail. */
async function keepWhatWasMeasured(docker: Docker, input: PromoteInput, gates: readonly GateResult[], promotedAt: string): Promise<void> {
  try {
    const { keepMeasurements } = await import("./gates/keep.ts"); // now that no request waits for what it takes to load
    await using store = await VolumeStore.open(docker, input.evidenceVolume, input.helperImage, `${input.rollout.stack}/promote`);
    for (const line of await keepMeasurements(store, gates, promotedAt)) progress(line);
  } catch (error) {
    progress(`what was measured could not be kept, so the next release is compared with what was there before: ${describeError(error)}`);
  }
}

await runProgram(async (signal): Promise<Promotion> => {
  const input = promoteInputSchema.parse(JSON.parse(process.env["PROMOTE_INPUT"] ?? "null"));
  const repair = process.env[repairVariable] ?? "";
  if (repair !== "") progress(repair);
  const docker = connectDocker(null);
  const gates = input.gates.map((line) => gateResultSchema.parse(JSON.parse(line)));
  const rollout = await Rollout.enter(docker, input.rollout, input, { signal, progress });
  const { candidate: releaseId, previous } = rollout;
  const ended = await takeTraffic(docker, rollout, input.rollout, signal);
  await rollout.end(ended);
  const promotedAt = new Date().toISOString();
  await keepWhatWasMeasured(docker, input, gates, promotedAt);
  progress(`release ${releaseId} takes traffic${ended.outageSec === 0 ? "" : `; requests waited ${ended.outageSec.toFixed(1)} s`}`);
  return {
    endpoint: input.gateway.url,
    releaseId,
    profile: input.profile,
    previous: previous === releaseId ? null : previous,
    promotedAt,
    outageSec: ended.outageSec,
    gates,
  };
});
