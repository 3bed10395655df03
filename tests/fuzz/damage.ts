import fc from "fast-check";

/** Seed of every generator here: a failure comes back in the next run. */
export const fuzzSeed = 20_261_123;

/** Pieces that mean something to a reader of tool output. */
const piece = fc.oneof(
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.constantFrom(
    "\n",
    "\r\n",
    "nan",
    "inf",
    "-",
    "0",
    "1e999",
    ",",
    "[",
    "]",
    "[1]",
    "9".repeat(400),
    "\u0000",
    "{",
    "}",
    '"',
    "null",
    "\t",
    "data: ",
    "error: ",
  ),
);

/** A text with up to five cuts, insertions and repeated parts in it. */
export function damaged(text: string): fc.Arbitrary<string> {
  const edit = fc.record({
    at: fc.nat(text.length),
    cut: fc.oneof(fc.constant(0), fc.nat(30)),
    insert: fc.oneof(
      piece,
      fc.record({ from: fc.nat(text.length), length: fc.nat(60) }).map(({ from, length }) => text.slice(from, from + length)),
    ),
  });
  return fc
    .array(edit, { minLength: 1, maxLength: 5 })
    .map((edits) => edits.reduce((result, { at, cut, insert }) => result.slice(0, at) + insert + result.slice(at + cut), text));
}
