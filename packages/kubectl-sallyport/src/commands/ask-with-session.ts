import type { TargetOptions } from '../arguments.ts';
import { cacheOfUser } from '../cache/folder.ts';
import type { Session } from '../cache/session-file.ts';
import { openStore } from '../cache/store.ts';
import { usageFailure, warn } from '../failure.ts';
import { cachedSession, notLoggedIn } from '../session.ts';
import type { Target } from '../target.ts';
import { targetOfUser } from '../user-target.ts';

/**
 * Asks the server something about the user who is logged in.
 *
 * @param question returns undefined when the session has ended
 * @throws Failure when no one is logged in
 */
export async function askWithSession<Answer>(
  options: TargetOptions,
  question: (target: Target, token: string) => Promise<Answer | undefined>,
): Promise<{ readonly target: Target; readonly session: Session; readonly answer: Answer }> {
  const target = await targetOfUser(options);
  const store = openStore(cacheOfUser(), target, warn);
  const session = cachedSession(target, store)?.session;
  if (session === undefined) throw await notLoggedIn(target);
  const answer = await question(target, session.token);
  if (answer !== undefined) return { target, session, answer };
  store.remove(session);
  throw await notLoggedIn(target, 'the session has ended');
}

/** @returns true for JSON. @throws Failure for a format that is not known */
export function readFormat(output: string | undefined): boolean {
  if (output === undefined || output === 'json') return output === 'json';
  throw usageFailure('--output: known is json. Left out: text');
}
