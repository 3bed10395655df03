import { posix } from "node:path";
import type Docker from "dockerode";
import { execa } from "execa";
import { parseDeclared, type Declared } from "../../plan/drift/declared.ts";
import type { Finding } from "../../plan/drift/finding.ts";
import { planRedeploy, type RedeployPlan, type Round } from "../../plan/drift/redeploy.ts";
import { Helper, storeDir } from "../docker/helper.ts";
import { dockerStatus } from "../docker/host.ts";
import { readStackPlan } from "../images/stack-plan.ts";
import { projectDir, pulumiCommand } from "../paths.ts";
import { describeError, log } from "../program.ts";
import { clearPending, readPulumi } from "../pulumi.ts";
import { findHolder, newRolloutId, readLocks, removeLock, tryLock, type Lock } from "../rollout/lock.ts";
import { livenessOf, thisProcess } from "../rollout/owner.ts";
import { recoverRollout } from "../rollout/recover.ts";

/** Times for what a recovery has to wait for: the longest load of a big model, and a drain that interrupts nobody. */
const recoverTimes = { readyTimeoutSec: 900, drainSec: 120 };

/** Seconds that a server has to end by itself: what is stopped here answers nobody, so there is little to wait for. */
const stopSec = 5;

const progress = (line: string): void => log(`redeploy: ${line}`);

/** Device that stands for "a redeployment of this stack is at work". */
const redeployDevice = (stack: string): string => `redeploy-${stack}`;

/**
 * Runs `work` while no other redeployment of the stack does: each would stop what the other has just started. One whose process is gone does not count.
 * @throws {Error} naming who is at work; nothing was changed then
 */
export async function whileAlone<T>(docker: Docker, stack: string, work: (lock: string) => Promise<T>): Promise<T> {
  const lock = await enter(docker, await readDeclared(stack));
  const leave = (): Promise<void> => removeLock(docker, lock);
  const onSignal = (): void => progress("stopping after what runs; pulumi got the signal too");
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  try {
    return await work(lock.id);
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
    await leave();
  }
}

const readDeclared = async (stack: string): Promise<Declared> =>
  parseDeclared(stack, await readPulumi(["stack", "export", "--stack", stack]));

async function enter(docker: Docker, { stack, helperImage, evidenceVolume, promotion }: Declared): Promise<Lock> {
  if (helperImage === null || evidenceVolume === null)
    throw new Error(`stack ${stack}: nothing was deployed yet; run: pulumi up -s ${stack}`);
  const device = redeployDevice(stack);
  const record = {
    version: 1 as const,
    rollout: newRolloutId(),
    owner: await thisProcess(),
    since: new Date().toISOString(),
    stack,
    candidate: null,
    previous: promotion?.releaseId ?? null,
    strategy: "bluegreen" as const,
    ...recoverTimes,
    helperImage,
    evidenceVolume,
  };
  for (;;) {
    const lock = await tryLock(docker, device, record);
    if (lock !== undefined) return lock;
    const holder = await findHolder(docker, device);
    if (holder === undefined) continue; // released meanwhile
    if (holder.lock === null) throw new Error(`${holder.who}; nothing was changed`);
    if ((await livenessOf(holder.lock.record.owner)) !== "dead")
      throw new Error(`another redeployment is at work (${holder.who}); nothing was changed`);
    await removeLock(docker, holder.lock);
  }
}

/** What became of a redeployment. */
export interface Redeployment {
  /** What was found before anything was done. */
  readonly found: readonly Finding[];
  /** Whether everything that was tried worked. */
  readonly isDone: boolean;
  /** What went wrong; null where nothing did. */
  readonly problem: string | null;
  readonly left: RedeployPlan["left"];
}

/**
 * Brings a stack back to what was deployed, through the same rollout and gates.
 * A configuration that asks for another release is not deployed by the way: that is for `pulumi up`.
 */
export async function redeploy(docker: Docker, stack: string, findings: readonly Finding[]): Promise<Redeployment> {
  const plan = planRedeploy(findings);
  for (const { finding, reason } of plan.left) progress(`left alone: ${finding.resource} (${finding.kind}): ${reason}`);
  const ended = (problem: string | null): Redeployment => ({ found: findings, isDone: problem === null, problem, left: plan.left });
  try {
    const declared = await readDeclared(stack);
    if (plan.supplies !== null || plan.serving !== null) await refuseOtherRelease(declared);
    await prepare(docker, declared, plan);
    for (const round of [plan.supplies, plan.serving]) if (round !== null) await runRound(docker, stack, round);
    return ended(null);
  } catch (error) {
    return ended(describeError(error));
  }
}

/** @throws {Error} if the configuration asks for another release than the promoted one */
async function refuseOtherRelease({ stack, promotion }: Declared): Promise<void> {
  const { releaseId } = await readStackPlan(stack);
  if (releaseId !== promotion?.releaseId)
    throw new Error(
      `the configuration of stack ${stack} asks for release ${releaseId}, promoted is ${promotion?.releaseId ?? "none"}: a redeployment brings back what was deployed; put the configuration back, or deploy it: pulumi up -s ${stack} --refresh`,
    );
}

/** Everything that comes before the first update. */
async function prepare(docker: Docker, declared: Declared, { unlocks, clears, recovers, tags, setAside }: RedeployPlan): Promise<void> {
  const { stack } = declared;
  if (unlocks) {
    progress("taking away the lock of an update whose process is gone");
    await readPulumi(["cancel", "--yes", "--stack", stack]);
  }
  if (clears) {
    progress("clearing what a killed update had begun from the state");
    await clearPending(stack);
  }
  if (recovers) await recoverKilled(docker, stack);
  for (const { image, tag } of tags) {
    progress(`${tag} names ${image.slice(0, 19)} again`);
    const colon = tag.lastIndexOf(":");
    await docker.getImage(image).tag({ repo: tag.slice(0, colon), tag: tag.slice(colon + 1) });
  }
  if (setAside.length > 0) await setFilesAside(docker, declared, setAside);
}

async function recoverKilled(docker: Docker, stack: string): Promise<void> {
  const { signal } = new AbortController();
  for (const { record, device } of await readLocks(docker, stack)) {
    if (device === redeployDevice(stack) || (await livenessOf(record.owner)) !== "dead") continue;
    progress(`a rollout was killed: ${device}`);
    await recoverRollout(docker, record, { reason: "its process was killed", signal, progress });
  }
}

/** Renames bad model files, so that the next update fetches good ones. Whoever has one open keeps it. */
async function setFilesAside(docker: Docker, { models, helperImage, stack }: Declared, paths: readonly string[]): Promise<void> {
  if (models === null || helperImage === null) return;
  await using helper = await Helper.start(docker, helperImage, {
    source: models,
    hostPath: models.startsWith("/") ? models : undefined,
    stack,
  });
  for (const path of paths) {
    progress(`setting ${path} aside as ${path}.quarantined`);
    await helper.read(["mv", posix.join(storeDir, path), `${posix.join(storeDir, path)}.quarantined`]);
  }
}

async function runRound(docker: Docker, stack: string, { stops, removes, replaces }: Round): Promise<void> {
  for (const { container, id } of stops) {
    progress(`stopping ${container}`);
    await unlessGone(docker.getContainer(id).stop({ t: stopSec }));
  }
  for (const { container, id } of removes) {
    progress(`removing ${container}`);
    await unlessGone(docker.getContainer(id).remove({ force: true, v: true }));
  }
  const args = [
    "up",
    "--yes",
    "--skip-preview",
    "--refresh",
    "--stack",
    stack,
    ...replaces.flatMap((urn) => ["--replace", urn]),
    "--non-interactive",
  ];
  // what Pulumi says goes to standard error: standard output is the report
  const { exitCode } = await execa(pulumiCommand, args, {
    cwd: projectDir,
    stdin: "ignore",
    stdout: process.stderr,
    stderr: "inherit",
    reject: false,
  });
  if (exitCode !== 0)
    throw new Error(
      `pulumi up failed with exit code ${exitCode ?? "none"}; what it said is above, and what serves now: npm run status -- ${stack}`,
    );
}

async function unlessGone(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (dockerStatus(error) !== 404 && dockerStatus(error) !== 304) throw error; // 304: it is stopped already
  }
}
