/** Accounts in the directory, and the wrong passwords that reach it. */
import { expect, test } from 'vitest';
import type { Event, Identity, Secret } from './history.ts';
import { limits } from './limits.ts';
import { findViolations } from './oracle.ts';
import {
  accepted,
  act,
  ended,
  fault,
  jane,
  made,
  refused,
  session,
  shown,
  t,
} from './testing/events.ts';

const ann: Identity = { username: 'oidc:ann', groups: ['corp:k8s-ops'], uid: undefined };
const jwt: Secret = { number: 20, kind: 'directory token', user: ann, account: 'corp:ann' };
const both = ['corp:k8s-ops', 'corp:k8s-admins'];
const of = { username: 'corp:ann' };
const joined = { ...act('groups', t), ...of, groups: both };
const left = { ...act('groups', t), ...of, groups: ['corp:k8s-ops'] };
/** Milliseconds from a change of an account until no review may show the state before. */
const seen = limits.refresh + 3_000 + 1_000;
const shownAs = (groups: readonly string[], begin: number) => shown(jwt, begin, { ...ann, groups });

const guesses = [31, 32, 33, 34].map(
  (number): Secret => ({ number, kind: 'password', user: jane }),
);
const bind = (secret: Secret | undefined, begin: number, isAnswered = true): Event => ({
  ...{ what: 'bind', username: jane.username, secret, begin, end: begin + 5, isAnswered },
});
const [guess] = guesses as [Secret];

const wrongAnswers: Readonly<Record<string, readonly Event[]>> = {
  'a JWT of a disabled account': [
    ...[made(jwt), { ...act('disable', t), ...of }],
    accepted(jwt, t + 101 + seen),
  ],
  'a JWT of a disabled account, after an outage': [
    ...[made(jwt), { ...act('disable', t), ...of }, fault(['directory'], t, t + 60_000)],
    accepted(jwt, t + 101 + seen + limits.staleTtl),
  ],
  'a JWT of a disabled account that all have forgotten': [
    ...[made(jwt), { ...act('disable', t), ...of }, { ...act('forget', t + 200), ...of }],
    accepted(jwt, t + 301),
  ],
  'a session of a disabled account': [
    ...[made(session), act('disable', t)],
    accepted(session, t + 101 + limits.revalidate + 5_000),
  ],
  'a JWT whose account is blocked': [
    ...[made(jwt), { ...act('block', t), ...of }],
    accepted(jwt, t + 101),
  ],
  'a JWT is refused, though its account is enabled': [
    ...[made(jwt), { ...act('disable', t), ...of }, { ...act('enable', t + 500), ...of }],
    refused(jwt, t + 601 + seen + limits.rejectedTtl),
  ],
  'a group that the account has left': [
    made(jwt),
    { ...joined, begin: t - 9_000, end: t - 8_990 },
    left,
    shownAs(both, t + 101 + seen),
  ],
  'without a group that the account has joined': [made(jwt), joined, accepted(jwt, t + 101 + seen)],
  'fewer groups in an outage': [
    ...[made(jwt), fault(['directory'], t - 1_000, t + 60_000)],
    shownAs([], t),
  ],
  'groups that the account never had': [made(jwt), shownAs(both, t)],
  'a group before the account joined it': [made(jwt), shownAs(both, t - 100), joined].toReversed(),
  'a fourth wrong password in a window': guesses.map((secret, at) => bind(secret, t + at)),
  'a fourth wrong password, though all answers were lost': guesses.map(() => bind(guess, t, false)),
  'a wrong password again': [bind(guess, t), bind(guess, t + 5_000)],
  'a tenth wrong password, while each replica counts alone': [
    fault(['cache'], t - 1_000, t + 9_000),
    ...Array.from({ length: 10 }, (_, at) => bind(undefined, t + at)),
  ],
};

test.each(Object.entries(wrongAnswers))('finds the violation: %s', (name, history) => {
  const wrong = findViolations(history).map(({ of: event }) => event);
  expect(wrong).toContainEqual(
    history.findLast(({ what }) => what === 'review' || what === 'bind'),
  );
  // Binds at the same moment are all too many.
  if (!name.includes('lost')) expect(wrong).toHaveLength(1);
});

const rightAnswers: Readonly<Record<string, readonly Event[]>> = {
  'a JWT of a disabled account while its answer is cached': [
    ...[made(jwt), { ...act('disable', t), ...of }],
    accepted(jwt, t + 100 + seen),
    refused(jwt, t + 100),
  ],
  'a JWT of a disabled account in an outage': [
    ...[made(jwt), { ...act('disable', t), ...of }, fault(['directory'], t + 50, t + 60_000)],
    accepted(jwt, t + 100 + seen + limits.staleTtl),
  ],
  'a JWT of an account that is enabled again': [
    ...[made(jwt), { ...act('disable', t), ...of }, { ...act('enable', t + 30_000), ...of }],
    accepted(jwt, t + 30_050),
    refused(jwt, t + 30_050),
  ],
  'a JWT of an account that may not be disabled': [
    ...[made(jwt), { ...act('disable', t, false), ...of }],
    accepted(jwt, t + 60_000),
    refused(jwt, t + 60_000),
  ],
  'the groups before and after a change, while it is not known everywhere': [
    ...[made(jwt), joined, accepted(jwt, t + 100 + seen), shownAs(both, t + 1)],
  ],
  'either groups after a change that failed': [
    ...[made(jwt), { ...joined, isSure: false }],
    ...[accepted(jwt, t + 60_000), shownAs(both.toReversed(), t + 60_000)],
  ],
  'the groups before a change in an outage': [
    ...[made(jwt), joined, fault(['directory'], t + 50, t + 60_000)],
    accepted(jwt, t + 100 + seen + limits.staleTtl),
  ],
  'three wrong passwords in each window': [t, t + 20_000].flatMap((begin) =>
    guesses.slice(1).map((secret, at) => bind(secret, begin + at)),
  ),
  'a wrong password whose refusal was lost': [bind(guess, t, false), bind(guess, t + 5_000)],
  'a wrong password at three replicas at the same moment': [0, 1, 2].map((at) =>
    bind(guess, t + at),
  ),
  'a wrong password after the cache Redis failed': [
    ...[bind(guess, t), fault(['cache'], t + 1_000, t + 2_000), bind(guess, t + 5_000)],
  ],
  'an old password, which was right before': [
    ...[made(guess), ended('new password', guess, t - 60_000)],
    ...Array.from({ length: 4 }, (_, at) => bind(guess, t + at)),
  ],
};

test.each(Object.entries(rightAnswers))('finds no violation: %s', (_, history) => {
  expect(findViolations(history)).toEqual([]);
});
