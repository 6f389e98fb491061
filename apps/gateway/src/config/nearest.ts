import { distance } from 'fastest-levenshtein';

/**
 * The candidate that a mistyped word most likely meant, or undefined when none is near. One slip in three letters is allowed.
 * Case, dashes and underscores do not count; two swapped letters are one slip.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const plain = simplify(word);
  let best: { readonly candidate: string; readonly slips: number } | undefined;
  for (const candidate of candidates) {
    const simplified = simplify(candidate);
    const slips = countSlips(plain, simplified);
    const allowed = Math.max(1, Math.floor(Math.min(plain.length, simplified.length) / 3));
    if (slips <= allowed && slips < (best?.slips ?? Number.POSITIVE_INFINITY)) best = { candidate, slips };
  }
  return best?.candidate;
}

function simplify(word: string): string {
  return word.toLowerCase().replaceAll(/[-_]/g, '');
}

function countSlips(one: string, other: string): number {
  return isSwap(one, other) ? 1 : distance(one, other);
}

/** Whether the words differ only by two neighbouring letters that are swapped. */
function isSwap(one: string, other: string): boolean {
  const at = [...one].findIndex((letter, index) => letter !== other[index]);
  if (at === -1 || one.length !== other.length) return false;
  return one[at] === other[at + 1] && one[at + 1] === other[at] && one.slice(at + 2) === other.slice(at + 2);
}
