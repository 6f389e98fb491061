import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isDeep, readAnswer } from './answer.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const read = (review: unknown) => readAnswer(bytes(JSON.stringify(review)));
const user = { username: 'jane' };
const readUser = (changed: object) =>
  read({ status: { authenticated: true, user: { ...user, ...changed } } });

test.each<{ name: string; changed: object; expected: object }>([
  { name: 'nothing more', changed: {}, expected: {} },
  { name: 'null in place of all', changed: { uid: null, groups: null, extra: null }, expected: {} },
  { name: 'an empty uid, as Go writes none', changed: { uid: '' }, expected: {} },
  { name: 'no groups', changed: { groups: [] }, expected: { groups: [] } },
  {
    name: 'everything',
    changed: { uid: '7', groups: ['a'], extra: { k: ['v'] } },
    expected: { uid: '7', groups: ['a'], extra: { k: ['v'] } },
  },
  { name: 'a key of null', changed: { extra: { k: null } }, expected: { extra: { k: [] } } },
  { name: 'unknown fields', changed: { more: { a: 1 } }, expected: {} },
  { name: 'a name in another case', changed: { Groups: ['a'], UID: '7' }, expected: {} },
])('a user with $name is read', ({ changed, expected }) => {
  expect(readUser(changed)).toEqual({
    authenticated: true,
    error: '',
    user: { ...user, ...expected },
  });
});

test.each<{ changed: object; problem: string }>([
  { changed: { username: '' }, problem: 'status.user.username is missing' },
  { changed: { username: null }, problem: 'status.user.username is missing' },
  { changed: { username: ['jane'] }, problem: 'status.user.username is missing' },
  {
    changed: { username: undefined, Username: 'jane' },
    problem: 'status.user.username is missing',
  },
  { changed: { uid: 7 }, problem: 'status.user.uid is not a string' },
  { changed: { groups: 'a' }, problem: 'status.user.groups is not a list of strings' },
  { changed: { groups: ['a', null] }, problem: 'status.user.groups is not a list of strings' },
  { changed: { extra: [] }, problem: 'status.user.extra is not a map of lists of strings' },
  { changed: { extra: { k: 'v' } }, problem: 'status.user.extra is not a map of lists of strings' },
  { changed: { extra: { k: [1] } }, problem: 'status.user.extra is not a map of lists of strings' },
])(
  'a user with $changed cannot be used, which concerns this token alone',
  ({ changed, problem }) => {
    expect(readUser(changed)).toEqual({ unusable: 'token', problem });
  },
);

test('a key of extra that every object has is a key like any other', () => {
  const body = bytes(
    '{"status":{"authenticated":true,"user":{"username":"j","extra":{"__proto__":["a"],"constructor":["b"]}}}}',
  );
  const answer = readAnswer(body);
  const { extra = {} } = ('user' in answer && answer.user) || {};
  expect(Object.entries(extra)).toEqual([
    ['__proto__', ['a']],
    ['constructor', ['b']],
  ]);
});

test.each(['{', 'null', '[]', '"a"', '7', '', '{"status":[]}', '{"status":null}', '{"Status":{}}'])(
  '%j is no answer of a webhook',
  (text) => {
    expect(readAnswer(bytes(text))).toMatchObject({ unusable: 'peer' });
  },
);

test('bytes that are no UTF-8 are no answer', () => {
  const body = Buffer.from(
    '{"status":{"authenticated":true,"user":{"username":"jane\xff"}}}',
    'latin1',
  );
  expect(readAnswer(body)).toMatchObject({ unusable: 'peer' });
});

describe('depth', () => {
  const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;

  test('is bounded before anything is parsed', () => {
    expect(readAnswer(bytes(`{"status":{},"more":${nested(31)}}`))).toEqual({
      authenticated: false,
      error: '',
    });
    expect(readAnswer(bytes(`{"status":{},"more":${nested(32)}}`))).toMatchObject({
      unusable: 'peer',
    });
    expect(readAnswer(bytes('['.repeat(1_000_000)))).toMatchObject({ unusable: 'peer' });
  });

  test('is that of the parsed value, whatever its texts contain', () => {
    const depthOf = (value: unknown): number =>
      typeof value !== 'object' || value === null
        ? 0
        : 1 + Math.max(0, ...Object.entries(value).map(([, inner]) => depthOf(inner)));
    const wrapped = fc.tuple(
      fc.json({ maxDepth: 5 }),
      fc.integer({ min: 1, max: 40 }),
      fc.string(),
    );
    fc.assert(
      fc.property(wrapped, ([inner, levels, text]) => {
        const quoted = JSON.stringify(`${text}"${'[{'.repeat(20)}\\`);
        const json = `[${quoted},${'['.repeat(levels)}${inner}${']'.repeat(levels)}]`;
        expect(isDeep(bytes(json))).toBe(depthOf(JSON.parse(json)) > 32);
      }),
    );
  });
});

describe('any answer', () => {
  const leaf = fc.oneof(
    fc.string(),
    fc.boolean(),
    fc.constant(null),
    fc.integer(),
    fc.constant('jane'),
  );
  const anything = fc.oneof(
    leaf,
    fc.array(leaf),
    fc.dictionary(fc.string(), fc.oneof(leaf, fc.array(leaf))),
  );
  const some = (key: string, value: fc.Arbitrary<unknown>) =>
    fc.record({ [key]: value }, { requiredKeys: [] });
  const merged = (...parts: fc.Arbitrary<object>[]) =>
    fc.tuple(...parts).map((all) => Object.assign({}, ...all));
  const anyUser = merged(
    some('username', anything),
    some('uid', anything),
    some('groups', anything),
    some('extra', anything),
  );
  const anyStatus = merged(
    some('authenticated', fc.oneof(fc.constant(true), anything)),
    some('user', fc.oneof(anyUser, anything)),
    some('audiences', anything),
    some('error', anything),
  );
  const review = merged(
    some('status', fc.oneof(anyStatus, anything)),
    some('kind', anything),
    some('apiVersion', anything),
  );

  test('is read without a throw, and lets in no one but a user with a name', () => {
    fc.assert(
      fc.property(fc.oneof(review, merged(fc.record({ status: anyStatus }))), (one) => {
        const answer = read(one);
        if ('unusable' in answer) return;
        const { status } = one as {
          status: { authenticated?: unknown; user?: { username?: unknown } };
        };
        expect(answer.authenticated).toBe(status.authenticated === true);
        expect(answer.user?.username).toBe(
          answer.authenticated ? status.user?.username : undefined,
        );
        if (answer.authenticated) expect(answer.user?.username).toMatch(/./s);
        expect(answer.audiences?.length).not.toBe(0);
      }),
      { numRuns: 3000 },
    );
  });

  test('of any bytes is read without a throw', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(bytes)), (body) => {
        const answer = readAnswer(body);
        expect('unusable' in answer || !answer.authenticated).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test('that is cut is none', () => {
    const whole = JSON.stringify({
      status: { authenticated: true, user: { username: 'jane', groups: ['"\\ü'] } },
    });
    const body = bytes(whole);
    for (let end = 0; end < body.length; end++) {
      expect(readAnswer(body.subarray(0, end))).toMatchObject({ unusable: 'peer' });
    }
  });

  test('of a good user is that user', () => {
    const texts = fc.array(fc.string());
    const known = fc.record({
      username: fc.string({ minLength: 1 }),
      uid: fc.string({ minLength: 1 }),
      groups: texts,
      extra: fc.dictionary(fc.string(), texts),
    });
    fc.assert(
      fc.property(known, (one) => {
        expect(read({ status: { authenticated: true, user: one } })).toEqual({
          authenticated: true,
          error: '',
          user: JSON.parse(JSON.stringify(one)),
        });
      }),
    );
  });
});
