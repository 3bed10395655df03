import type { Scenario } from "./protocol.ts";

/** One piece of a start's work that is not divided: a request, or a whole conversation. */
function piecesOf(scenario: Scenario): number {
  if (scenario.kind === "single") return scenario.requests;
  return scenario.kind === "conversation" ? scenario.conversations : 1;
}

/**
 * The pieces of one start in the order they are asked: each scenario's are spread evenly over the start, so that what disturbs the host for a moment
 * meets a little of every scenario and not all of one. Prompts that fill the window come last: they are the longest.
 */
export function planOrder(scenarios: readonly Scenario[]): Scenario[] {
  const spread = scenarios.flatMap((scenario) => {
    const pieces = piecesOf(scenario);
    return Array.from({ length: pieces }, (_, index) => ({ scenario, at: scenario.kind === "window" ? 1 : (index + 0.5) / pieces }));
  });
  return spread.toSorted((a, b) => a.at - b.at).map(({ scenario }) => scenario);
}
