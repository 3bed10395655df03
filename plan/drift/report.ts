import { fingerprint, isDrift, type Finding } from "./finding.ts";
import type { Activity, Observation } from "./observation.ts";

/** What a check says, as JSON and to hooks. */
export interface DriftReport {
  readonly version: 1;
  readonly stack: string;
  readonly checkedAt: string;
  readonly wallMs: number;
  /** Release that was promoted last; null before the first. */
  readonly release: string | null;
  readonly activity: Activity;
  readonly isDrift: boolean;
  /** Equal for reports with the same kinds of findings at the same resources. */
  readonly fingerprint: string;
  readonly findings: readonly Finding[];
  /** Model files whose checksum was computed by this check, with why. */
  readonly hashed: Readonly<Record<string, string>>;
}

/** A report from what was found. */
export function makeReport(
  about: Pick<DriftReport, "stack" | "checkedAt" | "wallMs" | "release" | "hashed">,
  { activity }: Pick<Observation, "activity">,
  findings: readonly Finding[],
): DriftReport {
  return { version: 1, ...about, activity, isDrift: isDrift(findings), fingerprint: fingerprint(findings), findings };
}

/** Exit code of a check: 0 no drift, 2 drift. */
export const exitCodeOf = (report: Pick<DriftReport, "isDrift">): 0 | 2 => (report.isDrift ? 2 : 0);

/** A report for people: one line where all is well, else each finding with what to do. */
export function formatReport(report: DriftReport): string {
  const { stack, release, activity, findings } = report;
  const took = `${(report.wallMs / 1000).toFixed(1)} s`;
  if (activity.kind === "running") return `stack ${stack}: not judged, because a deployment is under way: ${activity.by}\n`;
  const count = findings.filter(({ severity }) => severity !== "note").length;
  const hashed = Object.entries(report.hashed).map(([path, reason]) => `  checksum computed: ${path}, because ${reason}`);
  const verdict = count === 0 ? "no drift" : `${count} ${count === 1 ? "difference" : "differences"} from what was deployed`;
  const head = `stack ${stack}, release ${release ?? "none"}: ${verdict} (${took})`;
  return `${[head, ...hashed, ...findings.flatMap(lines)].join("\n")}\n`;
}

function lines({ kind, resource, expected, found, consequence, fix, severity, canRedeploy }: Finding): string[] {
  return [
    "",
    `${severity.toUpperCase()}  ${resource}  (${kind})`,
    `  expected     ${indent(expected)}`,
    `  found        ${indent(found)}`,
    `  consequence  ${consequence}`,
    `  fix          ${fix}${canRedeploy || severity === "note" ? "" : "  (--redeploy leaves it alone)"}`,
  ];
}

const indent = (text: string): string => text.replaceAll("\n", `\n${" ".repeat(15)}`);
