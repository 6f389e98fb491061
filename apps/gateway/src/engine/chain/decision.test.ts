import { createHash } from 'node:crypto';
import { type Authenticator, AuthenticatorError, type Decision } from '@sallyport/authenticator';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readDecision, withCheckedDecision } from './decision.ts';

const context = { audiences: [], signal: new AbortController().signal };

/** What the layer makes of whatever a plugin returned, at the wall time 1000. */
async function checked(answer: unknown): Promise<Decision> {
  const plugin = { authenticate: async () => answer as Decision, close: async () => {} };
  return withCheckedDecision(plugin, () => 1000).authenticate('t', context);
}

const loneSurrogate = '\uD800';
const user = { username: 'jane' };

describe('a valid decision', () => {
  test('is rebuilt with the known fields only, frozen to the bottom', async () => {
    const answer = {
      kind: 'authenticated',
      user: { username: 'jane', uid: '7', groups: ['a'], extra: { k: ['v'] }, password: 'x' },
      credential: { jti: '7', sid: 's', token: 'x' },
      audiences: ['b'],
      expiresAt: new Date(2000),
      other: 1,
    };
    const decision = await checked(answer);
    expect(decision).toStrictEqual({
      kind: 'authenticated',
      user: { username: 'jane', uid: '7', groups: ['a'], extra: { k: ['v'] } },
      credential: { jti: '7', sid: 's' },
      audiences: ['b'],
      expiresAt: new Date(2000),
    });
    answer.user.groups.push('admins');
    answer.user.extra.k.push('w');
    answer.expiresAt.setTime(9e9);
    if (decision.kind !== 'authenticated') throw new Error('not authenticated');
    const { groups, extra } = decision.user;
    expect([groups, extra?.k, decision.expiresAt?.getTime()]).toEqual([['a'], ['v'], 2000]);
    for (const part of [
      decision,
      decision.user,
      decision.credential,
      groups,
      extra,
      extra?.k,
      decision.audiences,
    ]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  test('of an object that cannot change is read once, but of a session for each token', async () => {
    const fixed: Decision = Object.freeze({
      kind: 'authenticated',
      user: Object.freeze({ ...user }),
    });
    const plugin = { authenticate: () => fixed, close: async () => {} };
    for (const sessions of [false, true]) {
      const layer = withCheckedDecision(plugin, () => 1000, sessions);
      const [one, other] = ['a', 'b'].map((token) => layer.authenticate(token, context));
      expect([one === other, one]).toStrictEqual([!sessions, other]);
    }
  });

  test.each<{ case: string; decision: Decision }>([
    { case: 'the minimal authenticated', decision: { kind: 'authenticated', user } },
    { case: 'a rejected', decision: { kind: 'rejected', reason: 'locked' } },
    {
      case: 'a rejected with its subject',
      decision: {
        kind: 'rejected',
        reason: 'audience-mismatch',
        subject: 'jane',
        audiences: ['a'],
      },
    },
    { case: 'no opinion', decision: { kind: 'no-opinion' } },
  ])('passes $case', async ({ decision }) => {
    expect(await checked(decision)).toStrictEqual(decision);
  });

  test('takes undefined fields as missing', async () => {
    const answer = {
      kind: 'authenticated',
      user: { ...user, uid: undefined, groups: undefined },
      expiresAt: undefined,
    };
    expect(await checked(answer)).toStrictEqual({ kind: 'authenticated', user });
  });

  test('has a digest for an id that is very long, and the same one when it is read again', async () => {
    const [just, long, other] = ['j'.repeat(256), 'j'.repeat(257), `${'j'.repeat(16_000)}k`];
    for (const [jti, sid] of [
      [just, long],
      [long, other],
    ]) {
      const once = await checked({ kind: 'authenticated', user, credential: { jti, sid } });
      expect(once).toStrictEqual({
        kind: 'authenticated',
        user,
        credential: { jti: nameOf(jti), sid: nameOf(sid) },
      });
      expect(await checked(once)).toStrictEqual(once);
    }
    function nameOf(id = ''): string {
      return id === just ? id : `sha256:${createHash('sha256').update(id).digest('hex')}`;
    }
  });

  test('keeps an extra key named __proto__ as a key', async () => {
    const extra = JSON.parse('{ "__proto__": ["v"] }');
    const decision = await checked({ kind: 'authenticated', user: { ...user, extra } });
    expect(JSON.stringify(decision)).toContain('"extra":{"__proto__":["v"]}');
  });

  test.each<{ message: string; answer: unknown }>([
    { message: 'it is not an object', answer: undefined },
    { message: 'it is not an object', answer: null },
    { message: 'it is not an object', answer: true },
    { message: 'kind is not one of', answer: {} },
    { message: 'kind is not one of', answer: { kind: 'Authenticated', user } },
    { message: 'kind is not one of', answer: { kind: ['authenticated'], user } },
    { message: 'user is not an object', answer: { kind: 'authenticated' } },
    { message: 'user is not an object', answer: { kind: 'authenticated', user: 'jane' } },
    { message: 'user.username is not a string', answer: { kind: 'authenticated', user: {} } },
    {
      message: 'user.username is not a string',
      answer: { kind: 'authenticated', user: { username: Object('jane') } },
    },
    {
      message: 'user.username is not well-formed',
      answer: { kind: 'authenticated', user: { username: loneSurrogate } },
    },
    {
      message: 'user.uid is not a string',
      answer: { kind: 'authenticated', user: { ...user, uid: 7 } },
    },
    {
      message: 'user.uid is not a string',
      answer: { kind: 'authenticated', user: { ...user, uid: null } },
    },
    {
      message: 'user.groups is not an array',
      answer: { kind: 'authenticated', user: { ...user, groups: 'admins' } },
    },
    {
      message: 'user.groups is not an array',
      answer: { kind: 'authenticated', user: { ...user, groups: new Set(['a']) } },
    },
    {
      message: 'user.groups[1] is not a string',
      answer: { kind: 'authenticated', user: { ...user, groups: ['a', 1] } },
    },
    {
      message: 'user.groups[0] is not a string',
      answer: { kind: 'authenticated', user: { ...user, groups: new Array(1) } },
    },
    {
      message: 'user.groups[0] is not well-formed',
      answer: { kind: 'authenticated', user: { ...user, groups: [loneSurrogate] } },
    },
    {
      message: 'user.extra is not a plain object',
      answer: { kind: 'authenticated', user: { ...user, extra: [['k', ['v']]] } },
    },
    {
      message: 'user.extra is not a plain object',
      answer: { kind: 'authenticated', user: { ...user, extra: new Map([['k', ['v']]]) } },
    },
    {
      message: 'a value of user.extra is not an array',
      answer: { kind: 'authenticated', user: { ...user, extra: { k: 'v' } } },
    },
    {
      message: 'a value of user.extra[0] is not a string',
      answer: { kind: 'authenticated', user: { ...user, extra: { k: [1] } } },
    },
    {
      message: 'a key of user.extra is not well',
      answer: { kind: 'authenticated', user: { ...user, extra: { [loneSurrogate]: [] } } },
    },
    {
      message: 'credential is not an object',
      answer: { kind: 'authenticated', user, credential: 'jti' },
    },
    {
      message: 'credential is not an object',
      answer: { kind: 'authenticated', user, credential: null },
    },
    {
      message: 'credential.jti is not a string',
      answer: { kind: 'authenticated', user, credential: { jti: 7 } },
    },
    {
      message: 'credential.sid is not well-formed',
      answer: { kind: 'authenticated', user, credential: { sid: loneSurrogate } },
    },
    {
      message: 'audiences is not an array',
      answer: { kind: 'authenticated', user, audiences: 'api' },
    },
    {
      message: 'audiences[0] is not a string',
      answer: { kind: 'authenticated', user, audiences: [null] },
    },
    {
      message: 'expiresAt is not a valid Date',
      answer: { kind: 'authenticated', user, expiresAt: 2000 },
    },
    {
      message: 'expiresAt is not a valid Date',
      answer: { kind: 'authenticated', user, expiresAt: new Date(Number.NaN) },
    },
    {
      message: 'expiresAt is not a valid Date',
      answer: { kind: 'authenticated', user, expiresAt: Object.create(Date.prototype) },
    },
    { message: 'reason is not one of', answer: { kind: 'rejected' } },
    { message: 'reason is not one of', answer: { kind: 'rejected', reason: 'toString' } },
    {
      message: 'subject is not a string',
      answer: { kind: 'rejected', reason: 'locked', subject: 1 },
    },
    {
      message: 'audiences[0] is not a string',
      answer: { kind: 'rejected', reason: 'audience-mismatch', audiences: [1] },
    },
  ])('could not be checked: $message', async ({ message, answer }) => {
    const error = await checked(answer).catch((thrown: unknown) => thrown);
    expect(AuthenticatorError.is(error) && error.code).toBe('failed');
    expect(String(error)).toContain(`the plugin's answer: ${message}`);
  });

  test('of a token that has ended is expired, from its very millisecond on', async () => {
    const ending = (at: number) =>
      checked({ kind: 'authenticated', user, expiresAt: new Date(at) });
    expect(await ending(999)).toStrictEqual({
      kind: 'rejected',
      reason: 'expired',
      subject: 'jane',
    });
    expect(await ending(1000)).toMatchObject({ kind: 'rejected', reason: 'expired' });
    expect(await ending(1001)).toMatchObject({ kind: 'authenticated' });
  });

  test('is all that anything at all can become, or it could not be checked', async () => {
    const kind = fc.constantFrom('authenticated', 'rejected', 'no-opinion');
    const answer = fc.oneof(
      fc.anything(),
      fc.record({ kind, user: fc.anything(), reason: fc.anything() }),
    );
    await fc.assert(
      fc.asyncProperty(answer, async (value) => {
        const outcome = await checked(value).catch((thrown: unknown) => thrown);
        if (AuthenticatorError.is(outcome)) expect(outcome.code).toBe('failed');
        else
          expect(outcome).toMatchObject({
            kind: expect.stringMatching(/^(authenticated|rejected|no-opinion)$/),
          });
      }),
    );
  });
});

describe('a decision about a session', () => {
  const decision: Decision = Object.freeze({
    kind: 'authenticated',
    user: Object.freeze({ username: 'ada' }),
    session: 'text',
  });
  const signal = new AbortController().signal;
  const ask = async (sessions: boolean, answer: Decision | Promise<Decision>) => {
    const inner: Authenticator = { authenticate: () => answer, close: async () => undefined };
    return withCheckedDecision(inner, Date.now, sessions).authenticate('token', {
      audiences: [],
      signal,
    });
  };

  test('is valid where sessions are looked up', async () => {
    expect(await ask(true, decision)).toEqual(decision);
    expect(await ask(true, Promise.resolve(decision))).toEqual(decision);
  });

  test('is not valid anywhere else, since no one would look up its user', async () => {
    for (const answer of [decision, Promise.resolve(decision)]) {
      await expect(ask(false, answer)).rejects.toMatchObject({ code: 'failed' });
    }
  });

  test('needs a text', () => {
    expect(() => readDecision({ ...decision, session: 7 })).toThrow('session is not a string');
  });
});
