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
 * Takes a slot. A refusal here is no outage: the backend may be healthy, and many callers must not open the circuit. The
 * circuit is asked again after a wait: it may have opened.
 */
export function createAdmission(
  plugin: Authenticator,
  { maxConcurrent }: Pick<AuthenticatorConfig, 'maxConcurrent'>,
  { circuit, slots, proven, now }: Admission,
): (token: string, context: LinkContext) => CircuitPermit | Promise<CircuitPermit> {
  const isTooMany = createNameLimit(now);

  /** Proven tokens of a name have a count of their own: whoever only knows the name can't use it up. */
  const isOneTooMany = (name: string | undefined, token: string): boolean =>
    name !== undefined && isTooMany(`${proven.has(token) ? '+' : '-'}${name}`);
  const refuseLater = async (signal: AbortSignal): Promise<never> => {
    await slots.holdBack(signal);
    throw refusal(signal, `more than ${mostOfOneName} lookups of one name in a second`);
  };
  const waitForSlot = async (token: string, signal: AbortSignal): Promise<CircuitPermit> => {
    try {
      await slots.wait(proven.has(token), signal);
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
    const name = plugin.claimedName?.(token);
    const permit = circuit.admit();
    const isTooMuch = isOneTooMany(name, token);
    if (!isTooMuch && slots.tryTake(() => proven.has(token))) return permit;
    permit.settle('nothing');
    return isTooMuch ? refuseLater(context.signal) : waitForSlot(token, context.signal);
  };
}

function refusal(caller: AbortSignal, message: string): AuthenticatorError {
  return caller.aborted ? callerGone(caller) : new AuthenticatorError('failed', message);
}
