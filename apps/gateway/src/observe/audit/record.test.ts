import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Entry } from '../../engine/revocation/list.ts';
import type { ReviewReport } from '../../review/review-report.ts';
import { createAuditRecord } from './record.ts';

const report: ReviewReport = {
  id: 'r',
  at: 0,
  seconds: 0,
  version: 'v1',
  outcome: 'unknown',
  end: { kind: 'no-opinion' },
  answers: [],
  token: 'the-token',
  callerGone: false,
};

let lines: {
  review: string;
  outcome: string;
  sequence: number;
  dropped?: number;
  unwritten?: number;
  fingerprint?: string;
}[];
let hasCapacity: boolean;
const onDropped = vi.fn();
const createRecord = () => {
  return createAuditRecord(
    'b',
    (text) => {
      if (hasCapacity) lines.push(JSON.parse(text));
      return hasCapacity;
    },
    onDropped,
  );
};
beforeEach(() => {
  vi.useFakeTimers();
  onDropped.mockClear();
  [lines, hasCapacity] = [[], true];
});
afterEach(() => void vi.useRealTimers());

test('dropped lines have numbers too, and the next line says how many they are', () => {
  const record = createRecord();
  record.review(report);
  record.use((token) => token.toUpperCase());
  record.review(report);
  vi.advanceTimersByTime(20);
  hasCapacity = false;
  record.review(report);
  record.review(report);
  vi.advanceTimersByTime(20);
  hasCapacity = true;
  // A report of which no line can be made counts as dropped, and nothing is thrown.
  record.review({ ...report, at: Number.NaN });
  record.review(report);
  record.review({ ...report, token: undefined });
  record.use(undefined);
  record.review(report);
  vi.advanceTimersByTime(20);
  expect(onDropped).toHaveBeenCalledTimes(3);
  expect(
    lines.map(({ sequence, dropped: before, fingerprint }) => [sequence, before, fingerprint]),
  ).toEqual([
    [1, undefined, 'THE-TOKEN'],
    [5, 3, 'THE-TOKEN'],
    [6, undefined, undefined],
  ]);
});

test('makes lines 20 ms after the first came, or once there are 250, in their order', () => {
  const record = createRecord();
  record.use((token) => token);
  const write = (from: number, to: number) => {
    for (let id = from; id < to; id++) record.review({ ...report, id: String(id) });
  };
  write(0, 1);
  vi.advanceTimersByTime(19);
  write(1, 3);
  expect(lines).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(lines.map(({ review }) => review)).toEqual(['0', '1', '2']);
  write(3, 252);
  expect(lines.length).toBe(3);
  write(252, 253);
  expect(lines.length).toBe(253);
  expect(
    lines.every(({ review, sequence }, at) => review === String(at) && sequence === at + 1),
  ).toBe(true);
  vi.advanceTimersByTime(5);
  write(253, 254);
  vi.advanceTimersByTime(19);
  expect(lines.length).toBe(253);
  vi.advanceTimersByTime(1);
  expect(lines.length).toBe(254);
});

test('every decision has a line; other requests have one in ten seconds, and the next says how many there were', () => {
  const record = createRecord();
  record.use((token) => token);
  const write = (...outcomes: ReviewReport['outcome'][]) => {
    for (const outcome of outcomes) record.review({ ...report, outcome });
    vi.advanceTimersByTime(20);
    return lines.splice(0).map(({ outcome, unwritten }) => [outcome, unwritten]);
  };
  for (const decided of ['authenticated', 'rejected', 'unknown', 'error'] as const) {
    expect(write(decided, decided)).toEqual([
      [decided, undefined],
      [decided, undefined],
    ]);
  }
  expect(write('invalid', 'invalid', 'overloaded', 'invalid')).toEqual([
    ['invalid', undefined],
    ['overloaded', undefined],
  ]);
  vi.advanceTimersByTime(10_000);
  expect(write('invalid', 'overloaded')).toEqual([
    ['invalid', 2],
    ['overloaded', undefined],
  ]);
});

test('reviews before a change of the key have the fingerprint of the old key', () => {
  const record = createRecord();
  record.use(() => 'old');
  record.review(report);
  record.use(() => 'new');
  record.review(report);
  vi.advanceTimersByTime(20);
  expect(lines.map(({ fingerprint }) => fingerprint)).toEqual(['old', 'new']);
});

test('an admin action has one line, among those of reviews, however often this process learns of it', () => {
  const record = createRecord();
  const block: Entry = {
    id: 'i1',
    action: 'block',
    kind: 'user',
    name: 'corp:ja\u202ene',
    by: 'eve',
    reason: 'stolen "laptop"',
    revision: 1,
    at: Date.now() + 1_000,
    until: Date.now() + 61_000,
    keptUntil: Date.now() + 3_600_000,
  };
  record.adminAction(block);
  record.use((token) => token.toUpperCase());
  record.review(report);
  record.adminAction(block);
  // A replica has written it back.
  record.adminAction({ ...block, id: 'i2', revision: 7 });
  record.adminAction({ ...block, action: 'unblock', at: block.at + 1 });
  record.use(undefined);
  record.adminAction({ ...block, action: 'unblock', at: block.at + 2 });
  const action = { boot: 'b', kind: 'user', name: block.name, by: 'eve', reason: block.reason };
  const times = {
    at: new Date(block.at).toISOString(),
    until: new Date(block.until).toISOString(),
  };
  expect(lines).toEqual([
    expect.objectContaining({ sequence: 1, review: 'r' }),
    { ...action, ...times, time: new Date().toISOString(), sequence: 2, event: 'block' },
    {
      ...action,
      time: new Date().toISOString(),
      sequence: 3,
      event: 'unblock',
      at: new Date(block.at + 1).toISOString(),
    },
  ]);
});

test('invitations and resets of second factors have a line with who did it, for which user and why', () => {
  const record = createRecord();
  record.use((token) => token);
  const at = Date.now() + 1_000;
  const entry = { id: 'i1', kind: 'user', name: 'corp:jane', by: 'ada', revision: 1, at } as const;
  const times = { until: at + 60_000, keptUntil: at + 3_600_000 };
  record.adminAction({ ...entry, ...times, action: 'factor-invite', reason: 'new phone' });
  record.adminAction({ ...entry, ...times, action: 'factor-reset', id: 'i2', revision: 2 });
  const common = { kind: 'user', name: 'corp:jane', by: 'ada', at: new Date(at).toISOString() };
  expect(lines).toMatchObject([
    { ...common, event: 'factor-invite', reason: 'new phone' },
    { ...common, event: 'factor-reset' },
  ]);
  // It is when the entry ends, and not the invitation.
  for (const line of lines) expect(line).not.toHaveProperty('until');
});

test('a dropped admin action is counted in the next line, and one from before the start is marked', () => {
  const record = createRecord();
  record.use((token) => token);
  hasCapacity = false;
  const revoke: Entry = {
    id: 'i1',
    action: 'revoke',
    kind: 'token',
    name: 'abcdef0123456789'.repeat(4),
    by: 'eve',
    revision: 1,
    at: Date.now() - 1,
    until: Date.now() + 60_000,
    keptUntil: Date.now() + 3_600_000,
  };
  record.adminAction(revoke);
  expect(onDropped).toHaveBeenCalledOnce();
  hasCapacity = true;
  record.adminAction({ ...revoke, kind: 'all', name: '' });
  record.adminAction({ ...revoke, at: revoke.at - 1 });
  expect(lines).toMatchObject([
    { sequence: 2, dropped: 1, event: 'revoke', kind: 'all', beforeStart: true },
    { sequence: 3, event: 'revoke', kind: 'token', name: 'abcdef012345', beforeStart: true },
  ]);
  expect(lines[0]).not.toHaveProperty('name');
});

test('a login that nothing proves has one line in ten seconds for each reason, and none without one', () => {
  const record = createRecord();
  record.use((token) => token);
  const end = (action: string, reason: string | undefined, isDecision = true) => {
    const event = { action, outcome: 'invalid', reason, isDecision, details: { reason } };
    record.login({ ...event, at: 0, seconds: 0 });
  };
  const write = () => {
    for (const reason of ['other-browser', 'other-browser', 'expired', undefined])
      end('provider-login', reason);
    end('page', 'expired', false);
    return lines.splice(0);
  };
  const event = 'provider-login';
  expect(write()).toMatchObject([
    { event, outcome: 'invalid', reason: 'other-browser' },
    { event, outcome: 'invalid', reason: 'expired' },
  ]);
  expect(write()).toEqual([]);
  vi.advanceTimersByTime(10_000);
  expect(write()).toMatchObject([{ unwritten: 3 }, { unwritten: 1 }]);
});

test('each decision about a login has a line, in a browser too, and no other request', () => {
  const record = createRecord();
  record.use((token) => token.toUpperCase());
  const login = (action: string, outcome: string, isDecision: boolean, details: object = {}) =>
    record.login({ action, outcome, isDecision, details, at: 0, seconds: 0 });
  for (const outcome of [
    ...['ok', 'incomplete', 'refused', 'limited', 'unavailable', 'gone', 'invalid', 'error'],
  ]) {
    for (const action of ['login', 'confirm']) login(action, outcome, true);
    for (const action of ['page', 'logout', 'logout-everywhere']) login(action, outcome, false);
  }
  const written = lines.splice(0) as unknown as { event: string; outcome: string }[];
  const decided = ['ok', 'incomplete', 'refused', 'unavailable', 'error'];
  expect(
    [...Map.groupBy(written, ({ event }) => event)].map(([event, eventLines]) => [
      event,
      eventLines.map(({ outcome }) => outcome),
    ]),
  ).toEqual([
    ['login', decided],
    ['confirm', decided],
    ['logout', ['ok']],
    ['logout-everywhere', ['ok']],
  ]);
  const details = { provider: 'okta', username: 'oidc:jane', reason: 'cancelled' };
  login('confirm', 'ok', true, details);
  expect(lines).toMatchObject([{ event: 'confirm', outcome: 'ok', ...details }]);
});
