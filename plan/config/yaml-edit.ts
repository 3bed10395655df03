import { isMap, isScalar, parseDocument, stringify, type Scalar } from "yaml";

interface Edit {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** New values by key; undefined takes the key's line out. */
export type NewValues = Readonly<Record<string, string | number | undefined>>;

/**
 * YAML text with new scalar values in the mapping at `path`; a new key gets a line after the one before it, the first one after `anchor`, a key that is there. Edits the text
 * itself, since a YAML writer would also lay out anew what it was not asked to touch. A value that changes takes the comments right above and behind it along: they speak of the old one.
 * @throws {Error} if the mapping is not written one key a line, or has no `anchor`
 */
export function rewriteMapping(text: string, file: string, path: readonly string[], anchor: string, values: NewValues): string {
  const mapping = parseDocument(text).getIn(path);
  if (!isMap(mapping) || mapping.flow === true)
    throw new Error(`${file}: ${path.join(".")}: got another form, expected one key a line; write it out`);
  const pairs = new Map(mapping.items.flatMap(({ key, value }) => (isScalar(key) ? [[String(key.value), { key, value }] as const] : [])));
  const first = pairs.get(anchor);
  if (first === undefined) throw new Error(`${file}: ${path.join(".")}: got no ${anchor}, expected one; write it first`);
  const indent = " ".repeat(startOf(first.key) - lineStart(text, startOf(first.key)));
  const edits: Edit[] = [];
  let insertAt = endOf(text, first);
  for (const [name, wanted] of Object.entries(values)) {
    const found = pairs.get(name);
    const written = wanted === undefined ? "" : stringify(wanted).trimEnd();
    if (found === undefined) {
      if (wanted !== undefined) edits.push({ from: insertAt, to: insertAt, text: `${indent}${name}: ${written}\n` });
      continue;
    }
    if (!isScalar(found.value)) throw new Error(`${file}: ${[...path, name].join(".")}: got a mapping or list, expected one value`);
    const to = found.value.range?.[1] ?? 0;
    if (found.value.value !== wanted)
      edits.push({
        from: commentStart(text, lineStart(text, startOf(found.key))),
        to: lineEnd(text, to),
        text: wanted === undefined ? "" : `${indent}${name}: ${written}\n`,
      });
    insertAt = lineEnd(text, to);
  }
  return edits
    .toSorted((a, b) => a.from - b.from || a.to - b.to)
    .reduceRight((result, edit) => result.slice(0, edit.from) + edit.text + result.slice(edit.to), text);
}

type Pair = { readonly key: Scalar; readonly value: unknown };

const startOf = (scalar: Scalar): number => scalar.range?.[0] ?? 0;
const lineStart = (text: string, at: number): number => text.lastIndexOf("\n", at - 1) + 1;

/** Where the lines begin that hold nothing but comments and end right before `at`, the start of a line. */
function commentStart(text: string, at: number): number {
  const before = lineStart(text, at - 1);
  return at > 0 && /^[ \t]*#/.test(text.slice(before, at)) ? commentStart(text, before) : at;
}

/** Where the line after a pair begins; a list or mapping as value may take several lines. */
function endOf(text: string, { key, value }: Pair): number {
  const range = (value as { range?: [number, number, number] } | null)?.range;
  const end = range?.[1] ?? startOf(key);
  return text[end - 1] === "\n" ? end : lineEnd(text, end);
}

function lineEnd(text: string, at: number): number {
  const newline = text.indexOf("\n", at);
  return newline === -1 ? text.length : newline + 1;
}
