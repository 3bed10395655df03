import { isDrift, type Action, type Finding } from "./finding.ts";

type Of<Kind extends Action["do"]> = Extract<Action, { readonly do: Kind }>;

/** One `pulumi up --refresh` with what has to be done right before it. */
export interface Round {
  readonly stops: readonly Of<"stop" | "remove">[];
  readonly removes: readonly Of<"stop" | "remove">[];
  /** URNs that are replaced although Pulumi sees no difference. */
  readonly replaces: readonly string[];
}

/** What `--redeploy` does, in this order. */
export interface RedeployPlan {
  /** Whether Pulumi's lock of an update that is gone is taken away. */
  readonly unlocks: boolean;
  /** Whether operations that a killed update had begun are cleared from the state. */
  readonly clears: boolean;
  /** Whether a killed rollout is finished or undone. */
  readonly recovers: boolean;
  readonly tags: readonly Of<"tag">[];
  /** Bad model files that are renamed. */
  readonly setAside: readonly string[];
  /** Brings back what a server is made from, models and images, before any server is touched; null: nothing is missing. */
  readonly supplies: Round | null;
  /** Brings back what serves, through its gates; null: nothing to do. */
  readonly serving: Round | null;
  /** What is left to a person, with the reason that stands against mending it here. */
  readonly left: readonly { readonly finding: Finding; readonly reason: string }[];
}

const noRound: Round = { stops: [], removes: [], replaces: [] };

/**
 * How findings are mended. Whatever serves is touched only when everything that its successor needs can be had: where a model file can't be brought back, no
 * server is stopped, removed or measured again, because the one that runs may be the last that has it.
 */
export function planRedeploy(findings: readonly Finding[]): RedeployPlan {
  const isUnsafe = findings.some(({ kind, actions }) => kind.startsWith("model-") && kind !== "model-unchecked" && actions.length === 0);
  const mended = findings.filter(({ actions }) => actions.length > 0 && !(isUnsafe && actions.some(touchesServing)));
  const actions = mended.flatMap((finding) => finding.actions);
  const fetches = pick(actions, "fetch");
  const images = mended.filter(({ kind }) => kind === "image-gone");
  const builds = images.flatMap((finding) => pick(finding.actions, "replace"));
  const replaces = unique(
    pick(actions, "replace")
      .filter((action) => !builds.includes(action))
      .flatMap(({ urns }) => urns),
  );
  const supplied = unique([...fetches, ...builds].flatMap(({ urns }) => urns));
  const stops = pick(actions, "stop");
  const removes = pick(actions, "remove");
  const serves = stops.length + removes.length + replaces.length > 0 || actions.some((action) => action.do === "up");
  return {
    unlocks: actions.some((action) => action.do === "unlock"),
    clears: actions.some((action) => action.do === "clear"),
    recovers: actions.some((action) => action.do === "recover"),
    tags: pick(actions, "tag"),
    setAside: unique(fetches.filter(({ setAside }) => setAside).map(({ path }) => path)),
    supplies: supplied.length + images.length === 0 ? null : { ...noRound, replaces: supplied },
    serving: serves ? { stops: uniqueById(stops), removes: uniqueById(removes), replaces } : null,
    left: findings
      .filter((finding) => isDrift([finding]) && !mended.includes(finding))
      .map((finding) => ({
        finding,
        reason: finding.actions.length > 0 ? "a model file can't be brought back, so nothing that serves is touched" : finding.fix,
      })),
  };
}

const touchesServing = (action: Action): boolean => action.do !== "tag" && action.do !== "unlock" && action.do !== "clear";
const unique = (values: readonly string[]): string[] => [...new Set(values)];
const uniqueById = <T extends { readonly id: string }>(items: readonly T[]): T[] =>
  items.filter(({ id }, index) => items.findIndex((item) => item.id === id) === index);

function pick<Kind extends Action["do"]>(actions: readonly Action[], kind: Kind): Of<Kind>[];
function pick(actions: readonly Action[], kind: Action["do"]): Action[] {
  return actions.filter((action) => action.do === kind);
}
