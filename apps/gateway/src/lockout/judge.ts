/** `wait`: whether it may go out depends on what comes of the tries under way. */
export type Verdict = 'admit' | 'wait' | 'invalid-credentials' | 'throttled';

/** A try that counts: it is under way, or its window has not passed. */
export interface CountedTry {
  /** `abandoned`: no one reported what came of it, so it counts, and its secret is not known to be wrong. */
  readonly state: 'pending' | 'refused' | 'abandoned';
}

/** What is known of the secret that is to be sent. */
export interface Asked<Try> {
  isOf(one: Try): boolean;
  /** It was right the last time. */
  readonly isKnown: boolean;
}

/**
 * The one rule of the lockout guard, for what this process knows and for what all replicas know.
 *
 * @param slots refused tries that are allowed. 0: it goes out only if its secret is known to be right
 */
export function judge<Try extends CountedTry>(
  tries: readonly Try[],
  { isOf, isKnown }: Asked<Try>,
  slots: number,
): Verdict {
  const failures = tries.filter(({ state }) => state !== 'pending');
  if (failures.some((one) => one.state === 'refused' && isOf(one))) return 'invalid-credentials';
  if (tries.length < slots) return 'admit';
  if (isKnown) return tries.some((one) => one.state === 'pending' && isOf(one)) ? 'wait' : 'admit';
  return failures.length < slots ? 'wait' : 'throttled';
}
