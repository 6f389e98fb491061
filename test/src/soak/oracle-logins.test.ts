/** Logins in progress, and codes that work once. */
import { expect, test } from 'vitest';
import type { Event } from './history.ts';
import { findViolations } from './oracle.ts';
import {
  accepted,
  act,
  app,
  appCode,
  ended,
  fault,
  loggedIn,
  made,
  pageCode,
  recoveryCode,
  refused,
  session,
  t,
  used,
} from './testing/events.ts';

/** A login whose password was sent at `t`, and whose session was made at t + 4,000. */
const slowLogin = loggedIn(session, {
  begin: t - 10,
  end: t + 4_010,
  provedBy: t,
  redeemedFrom: t + 4_000,
});
const fast = { begin: t - 20, end: t - 5, provedBy: t - 15, redeemedFrom: t - 20 };
/** A login within one request of a terminal, which a paused replica answers late. */
const pausedLogin = loggedIn(session, {
  begin: t - 10,
  end: t + 4_000,
  provedBy: t,
  redeemedFrom: t - 10,
});

const wrongAnswers: Readonly<Record<string, readonly Event[]>> = {
  'a login in progress outlives revoke --user': [
    ...[slowLogin, act('forget', t + 100)],
    accepted(session, t + 5_000),
  ],
  'a login in progress outlives factor reset': [
    ...[slowLogin, act('reset', t + 100)],
    accepted(session, t + 5_000),
  ],
  'a login in progress outlives factor reset at a replica that was paused': [
    ...[pausedLogin, act('reset', t + 100), fault(['replica'], t + 50, t + 3_000, { replica: 0 })],
    accepted(session, t + 5_000),
  ],
  'a login in progress outlives a logout everywhere': [
    ...[slowLogin, act('everywhere', t + 100)],
    accepted(session, t + 5_000),
  ],
  'a session outlives a logout everywhere': [
    ...[loggedIn(session, fast), act('everywhere', t)],
    accepted(session, t + 2_101),
  ],
  'a session outlives factor reset': [
    ...[loggedIn(session, fast), act('reset', t)],
    accepted(session, t + 101),
  ],
  'a login in progress outlives the removal of its app': [
    loggedIn(session, { begin: t, end: t + 4_010, provedBy: t, redeemedFrom: t + 4_000, app }),
    ended('removal', app, t + 3_000),
    accepted(session, t + 5_000),
  ],
  'a code of an app is accepted at two replicas': [
    ...[made(appCode(7)), used(appCode(7), t)],
    used(appCode(7), t + 1, { replica: 1 }),
  ],
  'a code of an app is accepted again': [
    ...[made(appCode(7)), used(appCode(7), t)],
    used(appCode(7), t + 9_000),
  ],
  'a code of an earlier step is accepted after a later one': [
    ...[made(appCode(7)), made(appCode(8)), used(appCode(8), t)],
    used(appCode(7), t + 9_000),
  ],
  'a recovery code is accepted again': [
    ...[made(recoveryCode), used(recoveryCode, t)],
    used(recoveryCode, t + 9_000, { replica: 2 }),
  ],
  'a code of the page is accepted again': [
    ...[made(pageCode), used(pageCode, t)],
    used(pageCode, t + 2, { replica: 1 }),
  ],
  'a code of the page is accepted again, after a failover of the token Redis': [
    ...[made(pageCode), fault(['tokens'], t, t + 1_000, { losesWrites: true }), used(pageCode, t)],
    used(pageCode, t + 2_000, { replica: 1 }),
  ],
  'a code that no one made is accepted': [used(recoveryCode, t)],
  'a code is accepted after the reset of its factor': [
    ...[made(recoveryCode), act('reset', t)],
    used(recoveryCode, t + 101),
  ],
  'a code is accepted after the removal of its app': [
    ...[made(appCode(7)), ended('removal', app, t)],
    used(appCode(7), t + 11),
  ],
};

test.each(Object.entries(wrongAnswers))('finds the violation: %s', (_, history) => {
  expect(findViolations(history).map(({ of }) => of)).toEqual(history.slice(-1));
});

test('a violation names the act that the session outlives', () => {
  const history = [slowLogin, act('reset', t + 100), accepted(session, t + 5_000)];
  expect(findViolations(history).map(({ why }) => why)).toEqual(['accepted 4800 ms after: reset']);
});

const rightAnswers: Readonly<Record<string, readonly Event[]>> = {
  'a login in progress is refused after revoke --user': [
    ...[slowLogin, act('forget', t + 100), refused(session, t + 5_000)],
  ],
  'a login in progress while revoke --user is not confirmed': [
    ...[slowLogin, act('forget', t + 100, false), accepted(session, t + 5_000)],
  ],
  'a password that may have been sent after revoke --user began': [
    ...[pausedLogin, act('forget', t - 5), accepted(session, t + 5_000)],
  ],
  'a session within a second of a logout everywhere, on a busy machine': [
    ...[loggedIn(session, fast), act('everywhere', t), accepted(session, t + 2_100)],
  ],
  'a session that a failover may have lost from the list, after factor reset': [
    fault(['tokens'], t, t + 300, { losesWrites: true }),
    ...[loggedIn(session, fast), act('reset', t + 400)],
    accepted(session, t + 5_000),
  ],
  'a session of an app that was removed later': [
    ...[loggedIn(session, { ...fast, app }), ended('removal', app, t)],
    accepted(session, t + 5_000),
  ],
  'a session whose writing may be older than the removal of its app': [
    loggedIn(session, { begin: t, end: t + 4_010, provedBy: t, redeemedFrom: t + 2_000, app }),
    ended('removal', app, t + 2_500),
    accepted(session, t + 5_000),
  ],
  'codes of three steps, one after the other': [
    ...[7, 8, 9].map((step) => made(appCode(step))),
    ...[7, 8, 9].map((step) => used(appCode(step), t + step * 30_000)),
  ],
  'codes of two steps at the same moment': [
    ...[made(appCode(7)), made(appCode(8)), used(appCode(8), t), used(appCode(7), t + 2)],
  ],
  'a code that is refused, or fails, at the other replicas': [
    ...[made(recoveryCode), used(recoveryCode, t)],
    used(recoveryCode, t + 1, { replica: 1, answer: 'refused' }),
    used(recoveryCode, t + 1, { replica: 2, answer: 'error' }),
  ],
  'a code whose use a failover lost': [
    fault(['tokens'], t + 500, t + 2_000, { losesWrites: true }),
    ...[made(recoveryCode), used(recoveryCode, t), used(recoveryCode, t + 9_000)],
  ],
  'a code while its factor is being reset': [
    ...[made(recoveryCode), act('reset', t), used(recoveryCode, t + 50)],
  ],
  'a code of an app that was added after a reset': [
    ...[act('reset', t), made(recoveryCode, t + 200), used(recoveryCode, t + 300)],
  ],
};

test.each(Object.entries(rightAnswers))('finds no violation: %s', (_, history) => {
  expect(findViolations(history)).toEqual([]);
});
