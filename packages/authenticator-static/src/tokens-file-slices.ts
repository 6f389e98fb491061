import { type Slice, sliceLength } from './text.ts';

/**
 * `tokens:` with nothing before it but comments, up to its first item; the item's indentation is caught. Not for any
 * number of comments, for a pattern that goes on over millions of lines overflows the stack.
 */
const beginning = /^(?: *(?:#.*)?\n){0,1000}tokens: *(?:#.*)?\n(?: *(?:#.*)?\n){0,1000}(?=( *)- )/;

/**
 * Cuts a large tokens file between entries into parts that are files of their own, so that reading 100,000 entries
 * does not stop the event loop for a second. Undefined when the file is small, or is not written in the plain way
 * that makes it safe to cut: `tokens:` alone on its line, then lines that begin an item, belong to one by being
 * indented deeper, or hold nothing but a comment.
 *
 * In such a file a line with the items' indentation and a dash begins an item and nothing else, for YAML wants each
 * line of a text or flow collection within an item to be indented deeper. What parts have in common is only anchors:
 * an alias to an anchor of another part fails to parse, and the caller then reads the whole.
 *
 * @param length of a part, in characters, at least
 */
export function sliceTokens(text: string, length: number = sliceLength): Iterable<Slice> | undefined {
  // A lone CR is a line end to YAML too, but not to the patterns here.
  if (text.length < 2 * length || text.includes('\r')) return undefined;
  const [head, indentation] = beginning.exec(text) ?? [];
  if (head === undefined || indentation === undefined) return undefined;
  const width = indentation.length;
  const strayLine = new RegExp(`\\n(?! {${width}}-[ \\n]) {0,${width}}[^ #\\n]`);
  if (strayLine.test(text.slice(head.length))) return undefined;

  return cut(text, head.length, `\n${indentation}- `, length);
}

function* cut(text: string, begin: number, beforeItem: string, length: number): Generator<Slice> {
  let line = lineEnds(text.slice(0, begin)) + 1;
  for (let start = begin; start < text.length; ) {
    const found = text.indexOf(beforeItem, start + length);
    const end = found === -1 ? text.length : found + 1;
    const items = text.slice(start, end);
    // The line that is put before the items is not one of the file's.
    yield { text: `tokens:\n${items}`, line: line - 1 };
    line += lineEnds(items);
    start = end;
  }
}

function lineEnds(text: string): number {
  return text.split('\n').length - 1;
}
