import type { Decision } from '@sallyport/authenticator';
import { readDecision } from '../chain/decision.ts';

/**
 * The same decision, in texts of its own. V8 makes no copy of a text that is cut out of another: a name that a plugin cut
 * out of a token would keep the whole of it in memory, password included, for as long as the answer is kept.
 */
export function detached(decision: Decision): Decision {
  return decision.kind === 'no-opinion' ? decision : readDecision(structuredClone(decision));
}
