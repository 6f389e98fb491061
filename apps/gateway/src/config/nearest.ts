import { closest, distance } from 'fastest-levenshtein';

/**
 * The candidate that a mistyped word most likely meant, or undefined when none is near: one slip in three letters.
 * Case, dashes and underscores count for nothing.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  if (candidates.length === 0) return undefined;
  const plain = simplify(word);
  const simplified = candidates.map(simplify);
  const best = closest(plain, simplified);
  const slips = distance(plain, best);
  const allowed = Math.max(1, Math.floor(Math.min(plain.length, best.length) / 3));
  return slips <= allowed ? candidates[simplified.indexOf(best)] : undefined;
}

function simplify(word: string): string {
  return word.toLowerCase().replaceAll(/[-_]/g, '');
}
