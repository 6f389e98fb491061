import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Ended, Event, ObservedAnswer, Secret, UserAct } from './history.ts';
import { limits } from './limits.ts';
import { findViolations } from './oracle.ts';
import {
  accepted,
  act,
  ended,
  fault,
  jane,
  made,
  member,
  password,
  refused,
  robot,
  session,
  shown,
  t,
  wrong,
} from './testing/events.ts';

const login = { what: 'login' } as const;

/** Milliseconds from the change of a password until no replica accepts the old one. */
const old = limits.authenticatedTtl + 3_000 + 1_000;

const wrongAnswers: Readonly<Record<string, readonly Event[]>> = {
  'a secret that never was good is accepted': [accepted(password, t)],
  'the groups are those of another': [made(password), shown(password, t, { ...jane, groups: [] })],
  'the uid is missing': [made(password), shown(password, t, { ...jane, uid: undefined })],
  'a session is accepted for another cluster': [
    made(session),
    accepted(session, t, { isForeign: true }),
  ],
  'a right password is refused': [made(password), refused(password, t)],
  'a right password is refused at a login': [made(password), refused(password, t, login)],
  'an outage becomes a refusal': [
    made(password),
    fault(['directory', 'cache', 'tokens'], t - 1_000, t + 1_000),
    refused(password, t),
  ],
  'accepted after a block': [made(password), act('block', t), accepted(password, t + 101)],
  'accepted after a block, by a replica that began in an outage': [
    ...[made(password), act('block', t), fault(['cache', 'replica'], t + 500, t + 9_000)],
    accepted(password, t + 1_000, { replica: 2 }),
  ],
  'accepted after a block, though an unblock failed before it': [
    ...[made(password), act('unblock', t - 500, false), act('block', t)],
    accepted(password, t + 200),
  ],
  'refused after an unblock': [
    made(password),
    act('block', t),
    act('unblock', t + 1_000),
    refused(password, t + 1_101),
  ],
  'an old password at a login': [
    made(password),
    ended('new password', password, t),
    accepted(password, t + 11, login),
  ],
  'an old password when its answer has expired': [
    made(password),
    ended('new password', password, t),
    accepted(password, t + 11 + old),
  ],
  'an old password that all have forgotten': [
    ...[made(password), ended('new password', password, t), act('forget', t + 20)],
    accepted(password, t + 121),
  ],
  'a session after its logout': [
    made(session),
    ended('logout', session, t),
    accepted(session, t + 2_011),
  ],
  'a session after its logout, while its Redis is away': [
    ...[made(session), ended('logout', session, t), fault(['tokens'], t + 1_000, t + 9_000)],
    accepted(session, t + 3_000),
  ],
  'a session of before a new password': [
    ...[made(session), made(password), ended('new password', password, t)],
    accepted(session, t + 11 + limits.revalidate + 5_000),
  ],
  'a session after revoke --user': [made(session), act('forget', t), accepted(session, t + 101)],
  'a revoked token': [made(robot), ended('revoke', robot, t), accepted(robot, t + 11)],
  'a removed static token': [made(member), ended('removal', member, t), accepted(member, t + 11)],
  'refused, because one wrong password was counted three times': [
    ...[
      made(password),
      ...[0, 1, 2].map((replica) => refused(wrong[0] as Secret, t - 100, { replica })),
    ],
    refused(password, t),
  ],
  'locked out, though it was right before': [
    ...[
      made(password),
      accepted(password, t - 9_000),
      ...wrong.map((secret) => refused(secret, t - 100)),
    ],
    refused(password, t),
  ],
  'locked out, though the window has passed': [
    ...[
      made(password),
      ...wrong.map((secret) => refused(secret, t - limits.lockoutWindow - 1_100)),
    ],
    refused(password, t),
  ],
};

test.each(Object.entries(wrongAnswers))('finds the violation: %s', (_, history) => {
  expect(findViolations(history).map(({ of }) => of)).toEqual(history.slice(-1));
});

const rightAnswers: Readonly<Record<string, readonly Event[]>> = {
  'errors are no answers': [made(password), act('block', t), shown(password, t + 500, 'error')],
  'what is in progress has no answer yet': [shown(password, t, undefined)],
  'a right password': [made(password), accepted(password, t), accepted(password, t, login)],
  'a wrong password is refused': [refused(password, t)],
  'a session for another cluster is refused': [
    made(session),
    refused(session, t, { isForeign: true }),
  ],
  'a review that began before a block was confirmed': [
    made(password),
    act('block', t),
    accepted(password, t + 99),
  ],
  'a block that not all have confirmed': [
    made(password),
    act('block', t, false),
    accepted(password, t + 500),
    refused(password, t + 500),
  ],
  'while an unblock is in progress': [
    ...[
      made(password),
      act('block', t),
      { ...act('unblock', t + 1_000, false), end: Number.POSITIVE_INFINITY },
    ],
    ...[accepted(password, t + 5_000), refused(password, t + 5_000)],
  ],
  'refused while blocked, and accepted after it': [
    ...[made(password), act('block', t), act('unblock', t + 1_000)],
    ...[refused(password, t + 500), accepted(password, t + 1_200)],
  ],
  'an old password while its answer is cached': [
    made(password),
    ended('new password', password, t),
    accepted(password, t + old),
  ],
  'an old password while the directory is down': [
    ...[
      made(password),
      ended('new password', password, t),
      fault(['directory'], t + 2_000, t + 60_000),
    ],
    accepted(password, t + old + limits.staleTtl),
  ],
  'an old password is refused from the change on': [
    made(password),
    ended('new password', password, t),
    refused(password, t + 1),
  ],
  'a session within a second of its logout, on a busy machine': [
    ...[made(session), ended('logout', session, t), accepted(session, t + 2_010)],
  ],
  'a login while revoke --user is in progress': [
    ...[
      made(session, t + 50),
      act('forget', t),
      accepted(session, t + 200),
      refused(session, t + 200),
    ],
  ],
  'refused after an unblock that not all have confirmed': [
    ...[
      made(password),
      act('block', t),
      act('unblock', t + 1_000, false),
      refused(password, t + 5_000),
    ],
  ],
  'locked out after all have lost that it was right': [
    ...[made(password), accepted(password, t - 9_000), fault(['cache'], t - 8_000, t - 7_000)],
    ...[...wrong.map((secret) => refused(secret, t - 100)), refused(password, t)],
  ],
  'a session after a logout that failed': [
    made(session),
    ended('logout', session, t, false),
    accepted(session, t + 9_000),
    refused(session, t + 9_000),
  ],
  'a session after its logout, at a replica that can neither ask nor hear': [
    ...[
      made(session),
      ended('logout', session, t),
      fault(['tokens'], t, t + 9_000),
      fault(['cache'], t, t + 9_000, { replica: 1 }),
    ],
    accepted(session, t + 3_000, { replica: 1 }),
  ],
  'a session of the second of a new password': [
    ...[made(session, t - 500), made(password), ended('new password', password, t)],
    ...[accepted(session, t + 60_000), refused(session, t + 60_000)],
  ],
  'a session that a failover lost': [
    fault(['tokens'], t, t + 5_000, { losesWrites: true }),
    made(session, t - 200),
    refused(session, t + 6_000),
  ],
  'a revoked token until another master is used': [
    ...[
      made(robot),
      ended('revoke', robot, t),
      fault(['tokens'], t - 1_000, t + 2_000, { losesWrites: true }),
    ],
    accepted(robot, t + 1_000),
  ],
  'locked out by different passwords': [
    made(password),
    ...wrong.map((secret) => refused(secret, t - 100)),
    refused(password, t),
  ],
  'locked out by attempts that a replica took with it': [
    ...[made(password), fault(['replica'], t - 20_000, t - 15_000, { replica: 1 })],
    ...[0, 1, 2].map(() => shown(password, t - 20_004, 'error')),
    refused(password, t),
  ],
};

test.each(Object.entries(rightAnswers))('finds no violation: %s', (_, history) => {
  expect(findViolations(history)).toEqual([]);
});

const time = fc.integer({ min: t, max: t + 30_000 });
const answer = fc.constantFrom<ObservedAnswer>(jane, 'refused', 'error');
const event = fc.oneof(
  fc
    .tuple(fc.constantFrom(password, session, ...wrong), time, answer, fc.nat(2))
    .map(([secret, at, given, replica]) => shown(secret, at, given, { replica })),
  fc
    .tuple(fc.constantFrom(password, session), time, fc.boolean())
    .map(([secret, at, isSure]) =>
      ended(secret === password ? 'new password' : 'logout', secret, at, isSure),
    ),
  fc
    .tuple(fc.constantFrom<UserAct['what']>('block', 'unblock', 'forget'), time, fc.boolean())
    .map(([what, at, isSure]) => act(what, at, isSure)),
);
const history = fc
  .array(event, { maxLength: 30 })
  .map((events) => [made(password), made(session), ...events]);

test('what is not known to be done, and a fault, never make a right answer wrong', () => {
  const unsure = fc.oneof(
    fc
      .tuple(fc.constantFrom<Ended['what']>('logout', 'new password'), time)
      .map(([what, at]) => ended(what, what === 'logout' ? session : password, at, false)),
    time.map((at) => act('unblock', at, false)),
    fc
      .tuple(time, fc.nat(9_000))
      .map(([at, length]) => fault(['cache', 'tokens', 'directory'], at, at + length)),
  );
  fc.assert(
    fc.property(history, unsure, (events, more) => {
      const before = new Set(findViolations(events).map(({ of }) => of));
      expect(findViolations([...events, more]).filter(({ of }) => !before.has(of))).toEqual([]);
    }),
  );
});

test('the order in which events were noted does not matter', () => {
  fc.assert(
    fc.property(history, fc.gen(), (events, gen) => {
      const shuffled = gen(fc.shuffledSubarray, events, { minLength: events.length });
      const wrongOf = (some: readonly Event[]) => new Set(findViolations(some).map(({ of }) => of));
      expect(wrongOf(shuffled)).toEqual(wrongOf(events));
    }),
  );
});
