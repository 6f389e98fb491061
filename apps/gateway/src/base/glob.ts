/**
 * Compiles a pattern in which `*` matches any run of characters, none, `/` and `:` included. Every other character
 * matches itself, `?` and `[` too: names of groups may have them, and a list of what is allowed must not allow more than
 * its author meant.
 *
 * Each piece between stars is searched once, from where the last one ended, so the work is bounded by the length of the
 * text times the length of the longest piece.
 */
export function glob(pattern: string): (text: string) => boolean {
  const [head = '', ...pieces] = pattern.split('*');
  const tail = pieces.pop();
  if (tail === undefined) return (text) => text === pattern;
  return (text) => {
    if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail))
      return false;
    const end = text.length - tail.length;
    let from = head.length;
    for (const piece of pieces) {
      const index = text.indexOf(piece, from);
      if (index === -1) return false;
      from = index + piece.length;
      if (from > end) return false;
    }
    return true;
  };
}

/** Compiles patterns, of which a text must match one. No text matches an empty list. */
export function anyGlob(patterns: readonly string[]): (text: string) => boolean {
  const matchers = patterns.map(glob);
  return (text) => matchers.some((matches) => matches(text));
}
