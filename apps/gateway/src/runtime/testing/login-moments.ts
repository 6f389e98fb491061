import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { digestToken, type Entry } from '../../engine/revocation/list.ts';
import { redisOfFile } from '../../engine/shared-redis/testing/redis-of-file.ts';
import { PageError } from '../../login/browser/page-error.ts';
import { LoginError } from '../../login/login-error.ts';
import { credential, idToken } from './login-backends.ts';
import { createLoginPlace, type LoginPlace } from './login-place.ts';
import { newLabel } from './login-ways.ts';
import { jane, revalidate } from './login-world.ts';

const publish =
  (...[action, kind, name]: [Entry['action'], Entry['kind'], string]) =>
  (place: LoginPlace) =>
    place.publish({ action, kind, name });

/** What can happen during a login to its user, their token, or the way in which they log in. */
const causes = {
  'no event': () => undefined,
  'block of the user': publish('block', 'user', 'corp:jane'),
  'block of a group': publish('block', 'group', 'corp:ops'),
  'revoke of the user': publish('revoke', 'user', 'corp:jane'),
  'revoke of all': publish('revoke', 'all', ''),
  'block of the user of the provider': publish('block', 'user', 'oidc:jane'),
  'revoke of the user of the provider': publish('revoke', 'user', 'oidc:jane'),
  'block of the ID token': publish('block', 'token', digestToken(idToken)),
  'block of its jti': publish('block', 'jti', credential.jti),
  'block of its sid': publish('block', 'sid', credential.sid),
  'disabled account': ({ account }: LoginPlace) => {
    account.isDisabled = true;
  },
  'taken group': ({ account }: LoginPlace) => {
    account.groups = ['dev'];
  },
  'reset of the factors': async (place: LoginPlace) => {
    await place.factors().secondFactor.store.remove(jane);
    place.publish({ action: 'revoke', kind: 'user', name: 'corp:jane' });
  },
  'removed provider or authenticator': (place: LoginPlace) =>
    place.reload({ authenticators: [], providers: {} }),
  'lockout of passwords': (place: LoginPlace) => place.lockPasswordsOut(),
  'lockout of codes': (place: LoginPlace) => place.lockCodesOut(),
};
type Cause = keyof typeof causes;

/** What becomes of a login that is not refused. A session has all groups, unless it says otherwise. */
export const accepted = {
  session: 'a session',
  withoutGroup: 'a session without the group',
  laterWithoutGroup: 'a session without the group after login.revalidate',
  refused: 'a session that its first review refuses',
  laterRefused: 'a session that is refused after login.revalidate',
  factor: 'a new factor',
} as const;

/** A way to log in or to add a factor. */
export interface Way {
  readonly name: string;
  readonly go: (place: LoginPlace) => Promise<unknown>;
  readonly moments: readonly string[];
  /**
   * For each cause what becomes of the login if it comes at a moment: one outcome for all moments, or the moments from which on each
   * outcome holds. An outcome is the reason of the refusal, or one of {@link accepted}.
   */
  readonly outcomes: Readonly<Partial<Record<Cause, string | OutcomesFrom>>>;
}

/** Outcomes by the first moment at which they hold. The first one is for the first moment. */
type OutcomesFrom = Readonly<Record<string, string>>;

/** Lists the outcome for each moment. @throws Error if it names another moment, or none for the first one */
function listOutcomes(
  moments: readonly string[],
  outcomes: string | OutcomesFrom,
): readonly string[] {
  if (typeof outcomes === 'string') return moments.map(() => outcomes);
  const [firstMoment = ''] = moments;
  let current = outcomes[firstMoment];
  if (current === undefined || Object.keys(outcomes).some((moment) => !moments.includes(moment)))
    throw new Error(`the outcomes are not of these moments: ${JSON.stringify(outcomes)}`);
  return moments.map((moment) => {
    current = outcomes[moment] ?? current;
    return current as string;
  });
}

/** Tests ways: each cause at each moment. */
export function testWays(ways: readonly Way[]): void {
  const file = redisOfFile();
  // The clocks stand still until a test moves them: an answer of the directory is used for `login.revalidate`.
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'], now: Date.now() });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  describe.each(ways)('$name', ({ go, moments, outcomes }) => {
    const cells = Object.entries(outcomes).flatMap(([cause, outcome]) => {
      const list = listOutcomes(moments, outcome);
      return moments.map((moment, index) => {
        return { cause: cause as Cause, moment, outcome: list[index] };
      });
    });
    test.each(cells)('$cause, $moment: $outcome', async ({ cause, moment, outcome }) => {
      const place = await createLoginPlace(file.opened.redis, { moment, happen: causes[cause] });
      expect(await findOutcome(place, go)).toBe(outcome);
      expect(place.hasHappened()).toBe(true);
    });
  });
}

/** Finds out what becomes of a login. */
async function findOutcome(place: LoginPlace, go: Way['go']): Promise<string> {
  const error = await go(place).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  const { token, reason } = place.facts();
  if (error instanceof LoginError || error instanceof PageError) {
    expect(await place.listSessions()).toEqual([]);
    expect(await place.listFactors()).not.toContain(newLabel);
    return reason ?? error.message;
  }
  if (error !== undefined) throw error;
  if (token !== undefined) return reviewTwice(place, token);
  expect(await place.listFactors()).toContain(newLabel);
  return accepted.factor;
}

/** Finds out what a session is good for, at its first review and after the answer of the directory has expired. */
async function reviewTwice({ review }: LoginPlace, token: string): Promise<string> {
  const firstDecision = await review(token);
  vi.advanceTimersByTime(revalidate + 1_000);
  const laterDecision = await review(token);
  if (firstDecision.kind !== 'authenticated') return accepted.refused;
  if (laterDecision.kind !== 'authenticated') return accepted.laterRefused;
  const hasGroup = ({ user }: typeof firstDecision) => user.groups?.includes('corp:ops') === true;
  if (!hasGroup(firstDecision)) return accepted.withoutGroup;
  return hasGroup(laterDecision) ? accepted.session : accepted.laterWithoutGroup;
}
