import { createHash, randomBytes } from 'node:crypto';
import { AuthenticatorError } from '@sallyport/authenticator';
import { anyCharacter } from '@sallyport/scripts/any-character';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Answer } from '../../engine/chain/chain.ts';
import { createHmacSha256 } from '../../engine/sealing/hmac.ts';
import { StatusError } from '../../http/kubernetes-status.ts';
import type { ReviewReport } from '../../review/review-report.ts';
import { auditEntry, auditLine, createTokenFingerprint } from './entry.ts';

const report: ReviewReport = {
  id: 'a1',
  at: Date.UTC(2030, 0, 31, 12, 0, 0, 7),
  seconds: 0.00123456789,
  version: 'v1',
  outcome: 'unknown',
  end: { kind: 'no-opinion' },
  answers: [],
  token: 'the-token',
  callerGone: false,
};
const about = { seconds: 0.001235 };
const answered = (answer: Partial<Answer>) =>
  ({ authenticator: 'corp', seconds: 0.5, recognized: true, ...answer }) as Answer;

test('a refusal for the audience: what was asked for, and what the token is valid for', () => {
  const end = { kind: 'rejected', reason: 'audience-mismatch', audiences: ['prod'] } as const;
  const askedFor = ['dev', 'the-token'];
  expect(auditEntry({ ...report, outcome: 'rejected', end, askedFor })).toMatchObject({
    reason: 'audience-mismatch',
    askedFor: ['dev', '[token]'],
    validFor: ['prod'],
  });
});

test('a user who was let in: names as Kubernetes sees them, groups as their number', () => {
  const user = {
    username: 'corp:jane',
    uid: '7',
    groups: ['a', 'b'],
    extra: { 'scopes.example.com': ['x'] },
  };
  const decision = { kind: 'authenticated' as const, user };
  const end = { ...report, client: 'CN=api', outcome: 'authenticated' as const, end: decision };
  const unasked = answered({
    authenticator: 'robots',
    decision: { kind: 'no-opinion' },
    recognized: false,
  });
  expect(
    auditEntry({ ...end, answers: [unasked, answered({ decision, source: 'memory' })] }),
  ).toEqual({
    ...about,
    caller: 'CN=api',
    outcome: 'authenticated',
    authenticator: 'corp',
    username: 'corp:jane',
    uid: '7',
    groups: 2,
    cached: 'memory',
    asked: [
      { authenticator: 'robots', answer: 'not-recognized', seconds: 0.5 },
      { authenticator: 'corp', answer: 'authenticated', cached: 'memory', seconds: 0.5 },
    ],
  });
  const { username } = user;
  expect(
    auditEntry({ ...end, end: { kind: 'authenticated', user: { username } }, answers: [] }),
  ).toMatchObject({
    username,
    groups: 0,
  });
});

test('the token is removed from the name of a user', () => {
  const user = { username: 'user of the-token', uid: 'the-token' };
  const yes = { kind: 'authenticated' as const, user };
  expect(auditEntry({ ...report, outcome: 'authenticated', end: yes })).toMatchObject({
    username: 'user of [token]',
    uid: '[token]',
  });
  const no = { kind: 'rejected' as const, reason: 'locked' as const, subject: 'uid=the-token' };
  expect(auditEntry({ ...report, outcome: 'rejected', end: no })).toMatchObject({
    subject: 'uid=[token]',
  });
});

test('a user who was refused: the reason, and their name at the backend', () => {
  const decision = { kind: 'rejected' as const, reason: 'locked' as const, subject: 'uid=jane' };
  expect(
    auditEntry({
      ...report,
      outcome: 'rejected',
      end: decision,
      answers: [answered({ decision })],
    }),
  ).toEqual({
    ...about,
    outcome: 'rejected',
    reason: 'locked',
    authenticator: 'corp',
    subject: 'uid=jane',
    asked: [{ authenticator: 'corp', answer: 'rejected', reason: 'locked', seconds: 0.5 }],
  });
});

test('a user who was looked up: the directory and the account, and the directory of each that asked one', () => {
  const user = { username: 'oidc:jane', groups: ['corp:admins'] };
  const decision = { kind: 'authenticated' as const, user };
  const directory = { name: 'corp', account: 'corp:jane' };
  const failed = answered({
    authenticator: 'other',
    error: new AuthenticatorError('unavailable', 'directory partner: down'),
    directory: { name: 'partner' },
  });
  const answers = [failed, answered({ authenticator: 'oidc', decision, directory })];
  const entry = auditEntry({ ...report, outcome: 'authenticated', end: decision, answers });
  expect(JSON.stringify(entry)).toBe(
    '{"outcome":"authenticated","authenticator":"oidc","directory":"corp","account":"corp:jane","username":"oidc:jane","groups":1,"seconds":0.001235,' +
      '"asked":[{"authenticator":"other","directory":"partner","answer":"error","error":"unavailable","seconds":0.5},' +
      '{"authenticator":"oidc","directory":"corp","answer":"authenticated","seconds":0.5}]}',
  );
});

test('a user whom the directory refused has no account, and no account contains the token', () => {
  const no = { kind: 'rejected' as const, reason: 'disabled' as const, subject: 'jane' };
  const refused = answered({ decision: no, directory: { name: 'corp' } });
  const entry = auditEntry({ ...report, outcome: 'rejected', end: no, answers: [refused] });
  expect(entry).toMatchObject({ directory: 'corp', reason: 'disabled', subject: 'jane' });
  expect(entry.account).toBe(undefined);
  const found = answered({ decision: no, directory: { name: 'corp', account: 'corp:the-token' } });
  expect(auditEntry({ ...report, end: no, answers: [found] }).account).toBe('corp:[token]');
});

test('a token that could not be checked: the code of each error, and never its message', () => {
  const words = 'password hunter2 of the-token';
  const error = new AuthenticatorError('unavailable', words);
  const yes = { kind: 'authenticated' as const, user: { username: 'jane' } };
  const answers = [
    answered({ error }),
    answered({ error: new TypeError(words) }),
    answered({ decision: yes, source: 'stale', failure: error }),
  ];
  const end = {
    kind: 'error' as const,
    message: 'authenticator corp unavailable',
    authenticators: ['corp'],
  };
  const entry = auditEntry({ ...report, outcome: 'error', end, answers, callerGone: true });
  expect(entry).toEqual({
    ...about,
    outcome: 'error',
    reason: 'authenticator corp unavailable',
    callerGone: true,
    asked: [
      { authenticator: 'corp', answer: 'error', error: 'unavailable', seconds: 0.5 },
      { authenticator: 'corp', answer: 'error', error: 'unexpected', seconds: 0.5 },
      {
        authenticator: 'corp',
        answer: 'authenticated',
        cached: 'stale',
        error: 'unavailable',
        seconds: 0.5,
      },
    ],
  });
  expect(JSON.stringify(entry)).not.toMatch(/hunter2|the-token/);
});

test('a thrown error: the message of our own refusals, and none of a bug', () => {
  const invalid = auditEntry({
    ...report,
    outcome: 'invalid',
    end: new StatusError(400, 'spec must be an object'),
  });
  expect(invalid).toEqual({
    ...about,
    outcome: 'invalid',
    reason: 'spec must be an object',
    asked: [],
  });
  const bug = auditEntry({ ...report, outcome: 'error', end: new Error('the-token is bad') });
  expect(bug).toEqual({ ...about, outcome: 'error', reason: 'a bug: see the log', asked: [] });
});

const origin = {
  time: '2030-01-31T12:00:00.007Z',
  boot: 'b',
  sequence: 3,
  dropped: undefined,
  unwritten: undefined,
  fingerprint: undefined,
  review: 'r',
};
const entry = {
  outcome: 'authenticated',
  username: 'jane',
  seconds: 1,
  asked: [],
};

test('a line begins with what identifies it, and leaves out undefined values', () => {
  expect(auditLine({ ...origin, fingerprint: 'f', dropped: 2 }, entry)).toBe(
    '{"time":"2030-01-31T12:00:00.007Z","boot":"b","sequence":3,"dropped":2,"fingerprint":"f","review":"r",' +
      '"outcome":"authenticated","username":"jane","seconds":1,"asked":[]}\n',
  );
});

test('no name can end its line, start another or change its direction; each is read back unchanged', () => {
  const unfit =
    '\n\r\u0085\u2028\u2029\u001b[2J\u007f\u009b"\\\u202e\u2066\u200b\u{e0041}\ufeff\ud800';
  const name = fc.oneof(fc.constant(unfit), fc.string({ unit: anyCharacter, maxLength: 40 }));
  fc.assert(
    fc.property(name, (username) => {
      const line = auditLine(origin, { ...entry, username });
      expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      expect(JSON.parse(line)).toEqual({ ...origin, ...entry, username });
    }),
  );
});

test('a fingerprint is the same with the same sealing key, in every replica, and differs with another key', () => {
  const secret = randomBytes(32);
  const made = createTokenFingerprint(secret)('token');
  expect(made).toMatch(/^[\w-]{22}$/);
  expect(createTokenFingerprint(Buffer.from(secret))('token')).toBe(made);
  expect(createTokenFingerprint(secret)('token2')).not.toBe(made);
  expect(createTokenFingerprint(randomBytes(32))('token')).not.toBe(made);
  // The sealing key itself is not used, since it seals records and names them as well.
  expect(createHmacSha256(secret)('token')).not.toContain(made.slice(0, 8));
});

test('a fingerprint without a sealing key belongs to this process, and is not a plain digest', () => {
  const made = createTokenFingerprint()('token');
  expect(made).toMatch(/^[\w-]{22}$/);
  expect(createTokenFingerprint()('token')).toBe(made);
  for (const digest of ['sha256', 'sha1', 'md5', 'sha512']) {
    expect(createHash(digest).update('token').digest('base64url')).not.toContain(made.slice(0, 8));
  }
});
