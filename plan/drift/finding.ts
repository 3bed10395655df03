import { hashOf } from "../release.ts";

/** `error`: requests fail or get wrong answers, or will at the next start. `warning`: it serves, but is not what was declared. `note`: worth knowing, no drift. */
export type Severity = "error" | "warning" | "note";

/** One thing that `--redeploy` does. `urns` are Pulumi resources; containers are named by id, so that one that was made meanwhile is not meant. */
export type Action =
  /** `pulumi up --refresh`: Pulumi sees the difference itself. */
  | { readonly do: "up" }
  /** The same, with these resources replaced: Pulumi does not see the difference. */
  | { readonly do: "replace"; readonly urns: readonly string[] }
  | { readonly do: "stop" | "remove"; readonly container: string; readonly id: string }
  | { readonly do: "tag"; readonly image: string; readonly tag: string }
  /** Renames a bad model file, so that it is fetched again; `urns` are what fetches it. */
  | { readonly do: "fetch"; readonly path: string; readonly setAside: boolean; readonly urns: readonly string[] }
  /** `pulumi cancel`: takes away the lock of an update whose process is gone. */
  | { readonly do: "unlock" }
  /** `pulumi refresh --clear-pending-creates`: what a killed update made without recording it is found by its labels, not by the state. */
  | { readonly do: "clear" }
  /** Finishes or undoes what a killed rollout left, as `npm run recover` does. */
  | { readonly do: "recover" };

/** One difference between what a stack declares and what its host says. */
export interface Finding {
  /** What kind of difference, the same in every run, e.g. `server-stopped`. */
  readonly kind: string;
  /** The Docker object or Pulumi resource, by the name that an operator would look for. */
  readonly resource: string;
  readonly expected: string;
  readonly found: string;
  /** What it means for clients. */
  readonly consequence: string;
  /** What to do, with the command. */
  readonly fix: string;
  readonly severity: Severity;
  /** Whether `--redeploy` mends it. */
  readonly canRedeploy: boolean;
  /** What `--redeploy` does; empty where it leaves it alone. */
  readonly actions: readonly Action[];
}

/** A finding from its parts; what has an action can be redeployed. */
export const finding = (severity: Severity, parts: Omit<Finding, "severity" | "canRedeploy">): Finding => ({
  ...parts,
  severity,
  canRedeploy: parts.actions.length > 0,
});

/** Whether there is anything but notes. */
export const isDrift = (findings: readonly Finding[]): boolean => findings.some(({ severity }) => severity !== "note");

/** Equal for reports that say the same: of what kind and where, whatever the numbers. For hooks that want to hear of a change only. */
export const fingerprint = (findings: readonly Finding[]): string =>
  hashOf(findings.map(({ kind, resource }) => `${kind} ${resource}`).sort()).slice(0, 16);

const bySeverity: readonly Severity[] = ["error", "warning", "note"];

/** The most severe first, otherwise in the order in which they were found. */
export const sorted = (findings: readonly Finding[]): Finding[] =>
  findings.toSorted((a, b) => bySeverity.indexOf(a.severity) - bySeverity.indexOf(b.severity));
