const words = (
  "the of and to in a is that it was for on are with as his they at be this from have or by one had not but what all were when we there can " +
  "an your which their said if do will each about how up out them then she many some so these would other into has more her two like him see " +
  "time could no make than first been its who now people my made over did down only way find use may water long little very after words called " +
  "just where most know get through back much before go good new write our used me man too any day same right look think also around another " +
  "came come work three word must because does part even place well such here take why things help put years different away again off went old " +
  "number great tell men say small every found still between name should home big give air line set own under read last never us left end along"
).split(" ");

/**
 * A reproducible text of `count` common English words for a seed: every seed gives another text from its first word on. Not language,
 * only load: what a model makes of it is never judged.
 */
export function promptWords(seed: number, count: number): string {
  let state = (seed * 2_654_435_761) >>> 0;
  const chosen: string[] = [];
  for (let index = 0; index < count; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    chosen.push(words[Math.floor((state / 2 ** 32) * words.length)] ?? "");
  }
  return chosen.join(" ");
}
