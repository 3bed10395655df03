import type Docker from "dockerode";
import { parseDeclared, type Declared } from "../../plan/drift/declared.ts";
import { findDrift } from "../../plan/drift/find.ts";
import { isDrift, type Finding } from "../../plan/drift/finding.ts";
import type { Activity } from "../../plan/drift/observation.ts";
import { makeReport, type DriftReport } from "../../plan/drift/report.ts";
import { readPulumi } from "../pulumi.ts";
import { readActivity } from "./activity.ts";
import { observe, type Observed, type ObserveOptions } from "./observe.ts";
import { keepRecord, type DriftRecord } from "./record.ts";

export interface CheckOptions extends ObserveOptions {
  /** Id of a lock on the Docker host that this process holds itself. */
  readonly ownLock?: string | undefined;
}

/** One look at a stack: what it declares, what its host says, and the difference. A deployment that begins or ends meanwhile is looked at again, once. */
export async function checkDrift(docker: Docker, stack: string, options: CheckOptions): Promise<DriftReport> {
  const first = await checkOnce(docker, stack, options);
  return first.isSettled ? first.report : (await checkOnce(docker, stack, options)).report;
}

const readDeclared = async (stack: string): Promise<Declared> =>
  parseDeclared(stack, await readPulumi(["stack", "export", "--stack", stack]));

async function checkOnce(docker: Docker, stack: string, options: CheckOptions): Promise<{ report: DriftReport; isSettled: boolean }> {
  const startMs = performance.now();
  const checkedAt = new Date().toISOString();
  const declared = await readDeclared(stack);
  const activity = await readActivity(docker, declared, options.ownLock);
  const about = { stack, checkedAt, release: declared.promotion?.releaseId ?? null };
  const report = (state: Activity, findings: readonly Finding[], hashed: DriftReport["hashed"]): DriftReport =>
    makeReport({ ...about, hashed, wallMs: Math.round(performance.now() - startMs) }, { activity: state }, findings);
  if (activity.kind === "running") return { report: report(activity, [], {}), isSettled: true };
  const observed = await observe(docker, declared, activity, options);
  const after = await readDeclared(stack);
  const activityAfter = await readActivity(docker, after, options.ownLock);
  if (activityAfter.kind === "running") return { report: report(activityAfter, [], {}), isSettled: true };
  const findings = findDrift(declared, observed.seen, Date.now());
  await remember(docker, declared, observed, findings, checkedAt);
  return { report: report(activity, findings, observed.files.hashed), isSettled: after.changedAt === declared.changedAt };
}

/** Keeps checksums that were right, and the release's first answer in a check that found nothing. */
async function remember(
  docker: Docker,
  declared: Declared,
  { seen, memory, files }: Observed,
  findings: readonly Finding[],
  now: string,
): Promise<void> {
  const answer = memory.remembered.answer === null && !isDrift(findings) ? firstAnswer(declared, seen.servers[0]) : null;
  await keepRecord(docker, declared, memory.record, { files: files.verified, answer }, now);
}

function firstAnswer({ promotion }: Declared, server: Observed["seen"]["servers"][number] | undefined): DriftRecord["answer"] {
  if (promotion === null || server?.completion.kind !== "answered") return null;
  const tokens = server.completion.tokens.map(({ text, likeliest }) => ({ text, likeliest: [...likeliest] }));
  return { release: promotion.releaseId, tokens, parameters: server.self?.parameters ?? null };
}
