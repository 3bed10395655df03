/** Edits that a misspelling may be away from the word it was meant to be: a third of its length, at least one. */
const editsAllowed = (word: string): number => Math.max(1, Math.floor(word.length / 3));

/** Longest word that is compared; a longer one is no misspelling, and the comparison is quadratic. */
const LONGEST_WORD_CHARS = 80;

/** The candidate that `word` most likely stands for, compared without case; undefined when none is close. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  if (word.length > LONGEST_WORD_CHARS) return undefined;
  const ranked = candidates
    .map((candidate) => ({ candidate, edits: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits);
  const best = ranked[0];
  return best !== undefined && best.edits <= editsAllowed(word) ? best.candidate : undefined;
}

/** Insertions, deletions and replacements that turn one word into the other (Levenshtein distance, in characters). */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
