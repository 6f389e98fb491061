/** Checks each answer of a soak against what the documents allow at that time. It knows the history and nothing else. */
import { isDeepStrictEqual } from 'node:util';
import { accountProblem, mayBeDisabled } from './account-rules.ts';
import { bindProblem } from './bind-rules.ts';
import { useProblem } from './code-rules.ts';
import type { Attempt, Ended, Event, Fault, Identity, Violation } from './history.ts';
import { abandonedAfter, grace, limits, maxLookupTime, sessionTtl } from './limits.ts';
import { createPast, forgottenAt, type Past } from './past.ts';

/** Finds the answers of the history that the documents do not allow. */
export function findViolations(history: readonly Event[]): Violation[] {
  const past = createPast(history);
  return history.flatMap((event) => {
    switch (event.what) {
      case 'review':
      case 'login':
        return violationOf(event, answerProblem(event, past));
      case 'use':
        return violationOf(event, useProblem(event, past));
      case 'bind':
        return violationOf(event, bindProblem(event, past));
      default:
        return [];
    }
  });
}

const violationOf = (of: Violation['of'], why: string | undefined): Violation[] =>
  why === undefined ? [] : [{ of, why }];

function answerProblem(attempt: Attempt, past: Past): string | undefined {
  const { answer } = attempt;
  if (answer === undefined || answer === 'error') return undefined;
  return answer === 'refused'
    ? refusalProblem(attempt, past)
    : acceptanceProblem(attempt, answer, past);
}

function acceptanceProblem(one: Attempt, user: Identity, past: Past): string | undefined {
  const { secret } = one;
  if (past.madeOf(secret) === undefined) return 'accepted, though it was never good';
  if (!isDeepStrictEqual(withoutFollowed(user, one), withoutFollowed(secret.user, one)))
    return `accepted as another user: ${JSON.stringify(user)}`;
  if (one.isForeign) return 'accepted for another cluster than its own';
  const ending = past
    .endingsOf(secret)
    .find((ended) => ended.isSure && one.begin > lastUse(ended, one, past));
  if (ending !== undefined)
    return `accepted ${Math.round(one.begin - ending.end)} ms after: ${ending.cause ?? ending.what}`;
  if (isSurelyBlocked(one, past)) return 'accepted, though its user is blocked';
  return accountProblem(one, user, past);
}

/** Leaves out the groups that can change with an account: see {@link accountProblem}. */
const withoutFollowed = (user: Identity | undefined, { secret }: Attempt): object =>
  secret.kind === 'directory token' ? { ...user, groups: [] } : { ...user };

/** The last moment at which an attempt with an ended secret may begin, and still be accepted. */
function lastUse(ended: Ended, one: Attempt, past: Past): number {
  const during = [ended.begin, one.end] as const;
  const isHit = (...parts: Fault['hits']) => past.faultsOf(parts, during, one.replica).length > 0;
  // README of authenticator-redis, "Failures": another master is used within a second or two, though the old one answers.
  const settled = past
    .faultsOf(['tokens'], during)
    .flatMap(({ losesWrites, end }) => (losesWrites ? [end] : []));
  switch (ended.what) {
    case 'removal':
      return ended.end;
    case 'revoke':
      // docs/block-and-revoke.md, "Confirmation": done when it exits with 0.
      return Math.max(ended.end, ...settled);
    case 'logout': {
      // docs/login.md, "What ends a session": within 1 s on every replica, those excepted that can neither ask nor hear.
      const isDeaf = isHit('tokens') && isHit('cache');
      return Math.max(ended.end, ...settled) + sessionTtl + grace + (isDeaf ? limits.staleTtl : 0);
    }
    case 'new password': {
      // A login leaves the cache out.
      if (one.what === 'login') return ended.end;
      // docs/how-long-access-lasts.md: an old password is accepted while its answer is cached.
      const { authenticatedTtl, revalidate, staleTtl } = limits;
      const lifetime = one.secret.kind === 'session' ? revalidate + sessionTtl : authenticatedTtl;
      const stale = isHit('directory', 'cache', 'tokens', 'replica') ? staleTtl : 0;
      return Math.min(
        ended.end + lifetime + maxLookupTime + grace + stale,
        forgottenAt(ended.end, one.secret, past),
      );
    }
  }
}

/** Whether the user was blocked. A command that exits with 0 is done: docs/block-and-revoke.md, "Confirmation". */
function isSurelyBlocked({ secret, begin, end }: Attempt, past: Past): boolean {
  const acts = past.actsOn(secret);
  const unblocks = acts.filter(({ what }) => what === 'unblock');
  return acts.some(
    (block) =>
      block.what === 'block' &&
      block.isSure &&
      block.end < begin &&
      !unblocks.some((unblock) => unblock.begin >= block.begin && unblock.begin <= end),
  );
}

function isPossiblyBlocked({ secret, begin, end }: Attempt, past: Past): boolean {
  const acts = past.actsOn(secret);
  const unblocks = acts.filter(({ what, isSure }) => what === 'unblock' && isSure);
  return acts.some(
    (block) =>
      block.what === 'block' &&
      block.begin <= end &&
      !unblocks.some((unblock) => unblock.begin >= block.begin && unblock.end < begin),
  );
}

/** Checks a refusal. An outage is not a reason to refuse: docs/contributing/architecture.md. */
function refusalProblem(one: Attempt, past: Past): string | undefined {
  const { secret } = one;
  const made = past.madeOf(secret);
  if (made === undefined || made.end >= one.begin || one.isForeign) return undefined;
  if (mayBeBad(one, past) || isPossiblyBlocked(one, past)) return undefined;
  if (mayBeDisabled(one, past)) return undefined;
  const isInTokens = secret.kind === 'session' || secret.kind === 'robot token';
  if (isInTokens && past.mayBeLost(made)) return undefined;
  if (secret.kind === 'password' && isThrottled(one, past)) return undefined;
  return 'refused, though it is right';
}

/** Whether a secret was never valid, or its end had begun. */
function mayBeBad({ secret, end }: Attempt, past: Past): boolean {
  return (
    past.madeOf(secret) === undefined || past.endingsOf(secret).some(({ begin }) => begin <= end)
  );
}

/**
 * Whether the lockout guard may refuse a right password: `maxFailures` *different* wrong ones in the window, and no replica
 * has to know that it is right (README, "What it does"; docs/configuration.md, "lockout").
 */
function isThrottled(one: Attempt, past: Past): boolean {
  const attempts = past.attemptsOf(one.secret).filter(({ begin }) => begin <= one.end);
  const isRecent = ({ end }: Attempt) => end >= one.begin - limits.lockoutWindow - grace;
  const wrong = new Set(
    attempts
      .filter((other) => isRecent(other) && mayBeBad(other, past))
      .map(({ secret }) => secret),
  );
  // A replica that ended, or a Redis that failed, could not note their outcome, and an answer of the directory may be lost: they count until they are forgotten.
  const since = one.begin - abandonedAfter - limits.lockoutWindow - grace;
  const interrupted = attempts.filter(({ begin, end }) =>
    past
      .faultsOf(['cache', 'replica', 'directory'], [begin, end])
      .some((fault) => fault.begin >= Math.max(begin, since)),
  );
  // An answer may come from a cache: then it was right at most this long before.
  const age = limits.authenticatedTtl + limits.staleTtl + maxLookupTime + grace;
  const isKnown = attempts.some(
    ({ secret, begin, end, answer }) =>
      secret === one.secret &&
      typeof answer === 'object' &&
      end < one.begin &&
      past.faultsOf(['cache', 'replica'], [begin - age, one.end]).length === 0,
  );
  return wrong.size + interrupted.length >= limits.maxFailures && !isKnown;
}
