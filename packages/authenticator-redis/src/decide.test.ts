import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideByRecord, endOfKey, findExpiry } from './decide.ts';
import { goodRecord } from './testing/arbitrary-records.ts';

const day = 86_400_000;
const now = Date.UTC(2026, 5, 1);
const username = 'robot';
const rejected = (reason: string) => ({ kind: 'rejected', reason, subject: username });

describe('a record', () => {
  test('authenticates its user with all attributes', () => {
    const user = { username, uid: '7', groups: ['dev'], extra: { team: ['a'] } };
    expect(decideByRecord({ username }, undefined, now)).toEqual({
      kind: 'authenticated',
      user: { username },
    });
    expect(
      decideByRecord(
        { ...user, audiences: ['api'], issuedAt: now, issuedBy: 'a', reason: 'b' },
        undefined,
        now,
      ),
    ).toEqual({
      kind: 'authenticated',
      user,
      audiences: ['api'],
    });
  });

  test('is valid until its end, and not at its end', () => {
    const record = { username, expiresAt: now };
    expect(decideByRecord(record, undefined, now - 1)).toMatchObject({
      kind: 'authenticated',
      expiresAt: new Date(now),
    });
    for (const later of [now, now + 1, now + 99 * day]) {
      expect(decideByRecord(record, undefined, later)).toEqual(rejected('expired'));
    }
  });

  test('is valid from its start on, and at its start', () => {
    const record = { username, notBefore: now };
    for (const later of [now, now + 1])
      expect(decideByRecord(record, undefined, later).kind).toBe('authenticated');
    for (const earlier of [now - 1, 0])
      expect(decideByRecord(record, undefined, earlier)).toEqual(rejected('not-yet-valid'));
  });

  test.each([0, now - 1, now, now + 99 * day])(
    'that was revoked is good no more, whenever that was: %d',
    (revokedAt) => {
      expect(decideByRecord({ username, revokedAt }, undefined, now)).toEqual(rejected('revoked'));
    },
  );

  test('with several reasons for a rejection is rejected as revoked first, then as expired', () => {
    const over = { username, expiresAt: now - day };
    const ahead = { username, notBefore: now + day };
    expect(decideByRecord({ ...over, revokedAt: now }, undefined, now)).toEqual(
      rejected('revoked'),
    );
    expect(decideByRecord({ ...ahead, revokedAt: now }, undefined, now)).toEqual(
      rejected('revoked'),
    );
    expect(decideByRecord({ ...ahead, revokedAt: now }, now - 1, now)).toEqual(rejected('revoked'));
    // The end of the key may be before the beginning of the token.
    expect(decideByRecord(ahead, now - 1, now)).toEqual(rejected('expired'));
  });

  test.each([
    { expiresAt: undefined, keyExpiresAt: undefined, end: undefined },
    { expiresAt: now + 1, keyExpiresAt: undefined, end: now + 1 },
    { expiresAt: undefined, keyExpiresAt: now + 1, end: now + 1 },
    { expiresAt: now + 1, keyExpiresAt: now + 2, end: now + 1 },
    { expiresAt: now + 2, keyExpiresAt: now + 1, end: now + 1 },
    { expiresAt: 0, keyExpiresAt: now, end: 0 },
  ])(
    'ends at $expiresAt, of Redis at $keyExpiresAt: so at $end',
    ({ expiresAt, keyExpiresAt, end }) => {
      expect(findExpiry({ username, expiresAt }, keyExpiresAt)).toBe(end);
    },
  );

  test('that Redis has deleted is expired', () => {
    expect(decideByRecord({ username, expiresAt: now + day }, now, now)).toEqual(
      rejected('expired'),
    );
    expect(decideByRecord({ username }, now, now)).toEqual(rejected('expired'));
  });
});

test('any record authenticates only its own user, only in its time, only unrevoked, and until its earlier end', () => {
  const moment = fc.integer({ min: 0, max: Date.UTC(9999, 0) });
  fc.assert(
    fc.property(
      goodRecord,
      fc.option(moment, { nil: undefined }),
      moment,
      (record, keyExpiresAt, time) => {
        const decision = decideByRecord(record, keyExpiresAt, time);
        const { notBefore = time, expiresAt = time + 1, revokedAt } = record;
        // A session ends with its key.
        const isEndless = record.session !== undefined && keyExpiresAt === undefined;
        const isGood =
          revokedAt === undefined &&
          !isEndless &&
          notBefore <= time &&
          time < Math.min(expiresAt, keyExpiresAt ?? time + 1);
        expect(decision.kind).toBe(isGood ? 'authenticated' : 'rejected');
        if (decision.kind === 'rejected') expect(decision.subject).toBe(record.username);
        if (decision.kind !== 'authenticated') return;
        expect([decision.user.username, decision.session]).toEqual([
          record.username,
          record.session,
        ]);
        const ends = [record.expiresAt, keyExpiresAt].filter((end) => end !== undefined);
        expect(decision.expiresAt?.getTime()).toBe(
          ends.length === 0 ? undefined : Math.min(...ends),
        );
      },
    ),
    { numRuns: 500 },
  );
});

test.each([
  { name: 'never, when there is none', timeToLive: -1, end: undefined },
  { name: 'that much after the command', timeToLive: 1_500, end: now + 1_500 },
  { name: 'at the command, when it expires in this millisecond', timeToLive: 0, end: now },
  { name: 'at the command, when the key does not exist', timeToLive: -2, end: now },
  {
    name: 'at the command, when the answer is one that Redis never sends',
    timeToLive: -3,
    end: now,
  },
  { name: 'at the command, when it is no number', timeToLive: 'OK', end: now },
  { name: 'at the command, when it is nothing', timeToLive: null, end: now },
  { name: 'at the command, when it is an error', timeToLive: new Error('NOPERM'), end: now },
  { name: 'at the command, when there is no answer', timeToLive: undefined, end: now },
])('the end of a key is $name', ({ timeToLive, end }) => {
  expect(endOfKey(timeToLive, now)).toBe(end);
});
