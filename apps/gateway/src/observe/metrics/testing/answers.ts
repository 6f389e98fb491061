import type { Decision } from '@sallyport/authenticator';
import type { Answer } from '../../../engine/chain/chain.ts';

const user = { username: 'jane' };

/** One decision of each kind. */
export const sampleDecisions: readonly Decision[] = [
  { kind: 'authenticated', user },
  { kind: 'rejected', reason: 'expired' },
  { kind: 'no-opinion' },
];

export function answer(authenticator: string, decision: Decision, seconds = 0.001): Answer {
  return { authenticator, seconds, decision, recognized: true };
}

export function failure(authenticator: string, seconds = 0.001): Answer {
  return { authenticator, seconds, error: new Error('down') };
}
