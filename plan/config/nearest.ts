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

/**
 * Insertions, deletions, replacements and swaps of neighbours that turn one word into the other (optimal string alignment, in characters). A swap
 * is one edit, because it is the commonest slip.
 */
export function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number): number => rows[row]?.[column] ?? Infinity;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const replace = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(Math.min(replace, at(i - 1, j) + 1, at(i, j - 1) + 1, isSwap ? at(i - 2, j - 2) + 1 : Infinity));
    }
  }
  return at(a.length, b.length);
}
