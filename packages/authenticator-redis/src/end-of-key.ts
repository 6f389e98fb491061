/**
 * When Redis lets go of a key.
 *
 * @param timeToLive what PTTL answered: milliseconds, -1 for no end, -2 for no key
 * @param asked before that, milliseconds since 1970
 * @returns undefined: never. For a key that is gone: a moment that is past
 */
export function endOfKey(timeToLive: unknown, asked: number): number | undefined {
  // Whatever it may be, it is no promise that the key stays.
  if (typeof timeToLive !== 'number') return asked;
  if (timeToLive === -1) return undefined;
  return timeToLive < 0 ? asked : asked + timeToLive;
}
