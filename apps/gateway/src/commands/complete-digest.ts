import { shortDigest } from '../engine/revocation/list.ts';
import { UsageError } from './output.ts';

const maxListed = 10;

/**
 * Completes the first digits of a digest.
 *
 * @param candidates what is known of each digest that begins with these digits
 * @returns undefined when there is none. @throws UsageError when there are several
 */
export function completeDigest(
  digits: string,
  candidates: ReadonlyMap<string, string>,
): string | undefined {
  const { size } = candidates;
  if (size <= 1) return candidates.keys().next().value;
  // The list has more digits than were given: otherwise they would still look the same.
  const lines = [...candidates].map(
    ([digest, text]) => `\n  ${digits.length < 12 ? shortDigest(digest) : digest}  ${text}`,
  );
  const omitted = size > maxListed ? `\n  and ${size - maxListed} more` : '';
  throw new UsageError(
    `--digest ${digits} is the beginning of several digests`,
    `give more digits of one of these:${lines.slice(0, maxListed).join('')}${omitted}`,
  );
}
