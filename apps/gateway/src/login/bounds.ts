import type { InFlight } from '../server/limits.ts';
import type { AddressLimit } from './address-limit.ts';
import { LoginError, tooMany } from './login-error.ts';

export interface LoginBounds {
  readonly inFlight: InFlight;
  readonly limit: AddressLimit;
  readonly address: string;
  readonly maxInFlight: number;
  /** Whether the client has closed its connection or stream. */
  readonly isGone: () => boolean;
}

/**
 * Does work within what all clients together may cost, and what the guesses of one address may. Only a refusal is a guess, and
 * work that the client did not wait for: it costs the backend as much, and the limits of its user.
 */
export async function bounded<Result>(
  { inFlight, limit, address, maxInFlight, isGone }: LoginBounds,
  work: () => Promise<Result>,
): Promise<Result> {
  const taken = limit.take(address);
  if (typeof taken === 'number') throw tooMany('too many refused logins from this address', taken);
  const leave = inFlight.enter(maxInFlight);
  let isGuess = false;
  try {
    if (leave === undefined) throw tooMany('too many requests in progress', 1);
    return await work();
  } catch (error) {
    isGuess = isGone() || (error instanceof LoginError && error.isGuess);
    throw error;
  } finally {
    leave?.();
    if (!isGuess) taken();
  }
}
