import { type Authenticator, AuthenticatorError } from '@sallyport/authenticator';
import type { AuthenticatorConfig } from '../config/types.ts';
import { callerGone, type LinkContext } from './chain.ts';
import type { Circuit, CircuitPermit } from './circuit.ts';
import { createNameLimit, mostOfOneName, type ProvenTokens, type Slots } from './slots.ts';

/** What lets a call in, or not. */
interface Admission {
  readonly circuit: Circuit;
  readonly slots: Slots;
  readonly proven: ProvenTokens;
  readonly now: () => number;
}

/**
 * Takes a slot for a token, or for a user who is asked about without one. A refusal here is no outage: the backend may be healthy, and many callers must not open the circuit. The
 * circuit is asked again after a wait: it may have opened.
 */
export function createAdmission(
  plugin: Authenticator,
  { maxConcurrent }: Pick<AuthenticatorConfig, 'maxConcurrent'>,
  { circuit, slots, proven, now }: Admission,
): (token: string | undefined, context: LinkContext) => CircuitPermit | Promise<CircuitPermit> {
  const isTooMany = createNameLimit(now);

  // Without a token it is about a user who has a session, and so was let in before.
  const isProven = (token: string | undefined) => token === undefined || proven.has(token);
  /** Proven tokens of a name have a count of their own: whoever only knows the name can't use it up. */
  const isOneTooMany = (name: string | undefined, token: string | undefined): boolean =>
    name !== undefined && isTooMany(`${isProven(token) ? '+' : '-'}${name}`);
  const refuseLater = async (signal: AbortSignal): Promise<never> => {
    await slots.holdBack(signal);
    throw refusal(signal, `more than ${mostOfOneName} lookups of one name in a second`);
  };
  const waitForSlot = async (token: string | undefined, signal: AbortSignal): Promise<CircuitPermit> => {
    try {
      await slots.wait(isProven(token), signal);
    } catch {
      throw refusal(signal, `too many lookups in progress (maxConcurrent ${maxConcurrent})`);
    }
    try {
      return circuit.admit();
    } catch (error) {
      slots.leave();
      throw error;
    }
  };
  return (token, context) => {
    const name = token === undefined ? undefined : plugin.claimedName?.(token);
    const permit = circuit.admit();
    const isTooMuch = isOneTooMany(name, token);
    if (!isTooMuch && slots.tryTake(() => isProven(token))) return permit;
    permit.settle('nothing');
    return isTooMuch ? refuseLater(context.signal) : waitForSlot(token, context.signal);
  };
}

function refusal(caller: AbortSignal, message: string): AuthenticatorError {
  return caller.aborted ? callerGone(caller) : new AuthenticatorError('failed', message);
}
