/** What a message about a failed deployment ends with, where nothing of what serves was touched; `serving` is the release that takes the traffic, null where none does, undefined where that can't be asked. */
export function describeUntouched(serving: string | null | undefined): string {
  if (serving === undefined) return "nothing was stopped";
  return serving === null ? "nothing was stopped; no release served before" : `nothing was stopped: release ${serving} serves`;
}
