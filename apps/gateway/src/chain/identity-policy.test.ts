import type { Decision, UserInfo } from '@sallyport/authenticator';
import { anyCharacter } from '@sallyport/test-servers/any-character';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { IdentityConfig } from '../config/types.ts';
import { anyGlob, glob, identityPolicy, identityPrefixes, withIdentityPolicy } from './identity-policy.ts';

const context = { audiences: [], signal: new AbortController().signal };

interface Case {
  username?: string;
  groups?: Partial<IdentityConfig['groups']>;
  allowSystemNames?: string[];
  allowCredentialId?: boolean;
  reservedDomain?: string;
  usernames?: string[];
  groupPrefixes?: string[];
}

async function judge(user: UserInfo, options: Case = {}): Promise<{ decision: Decision; logged: object[] }> {
  const logged: object[] = [];
  const plugin = {
    authenticate: async (): Promise<Decision> => ({ kind: 'authenticated', user }),
    close: async () => {},
  };
  const identity = {
    name: 'corp',
    username: { prefix: options.username ?? '' },
    groups: { prefix: '', max: 3, ...options.groups },
    allowSystemNames: options.allowSystemNames ?? [],
    allowCredentialId: options.allowCredentialId ?? false,
  };
  const prefixes = { usernames: options.usernames ?? [], groups: options.groupPrefixes ?? [] };
  const log = { warn: (fields: object) => logged.push(fields) };
  const policy = withIdentityPolicy(plugin, identity, prefixes, log, options.reservedDomain);
  return { decision: await policy.authenticate('t', context), logged };
}

async function passes(user: UserInfo, options: Case, expected: UserInfo): Promise<void> {
  const { decision, logged } = await judge(user, options);
  expect({ decision, logged }).toStrictEqual({ decision: { kind: 'authenticated', user: expected }, logged: [] });
}

async function breaks(rule: string, user: UserInfo, options: Case = {}): Promise<void> {
  const { decision, logged } = await judge(user, options);
  expect(decision).toStrictEqual({ kind: 'rejected', reason: 'identity-policy', subject: user.username });
  expect(logged).toMatchObject([
    { authenticator: 'corp', rule: expect.stringContaining(rule), subject: user.username },
  ]);
}

const jane = { username: 'jane' };
const nothingAllowed = { allowSystemNames: [], allowCredentialId: false };

describe('names', () => {
  test('get their prefixes', async () => {
    await passes(
      { username: 'jane', uid: '7', groups: ['a', 'b'], extra: { 'example.com/k': ['v'] } },
      { username: 'corp:', groups: { prefix: 'g:' }, usernames: ['corp:', ''], groupPrefixes: ['g:'] },
      { username: 'corp:jane', uid: '7', groups: ['g:a', 'g:b'], extra: { 'example.com/k': ['v'] } },
    );
  });

  test('of no user are refused, with a prefix too', async () => {
    await breaks('username is empty', { username: '' });
    await breaks('username is empty', { username: '' }, { username: 'corp:' });
  });

  test('stay as they are without prefixes and groups', async () => {
    await passes(jane, {}, jane);
  });
});

describe('groups', () => {
  test('are compared with the allow globs as the backend names them; others are left out', async () => {
    const groups = { prefix: 'corp:', allow: ['k8s-*', 'ops'] };
    await passes(
      { ...jane, groups: ['k8s-a', 'ops', 'corp:k8s-b', 'x'] },
      { groups },
      { ...jane, groups: ['corp:k8s-a', 'corp:ops'] },
    );
  });

  test('with an empty allow list are all left out', async () => {
    await passes({ ...jane, groups: ['a'] }, { groups: { allow: [] } }, { ...jane, groups: [] });
  });

  test('that repeat are sent once', async () => {
    await passes({ ...jane, groups: ['b', 'a', 'b'] }, {}, { ...jane, groups: ['b', 'a'] });
  });

  test('are counted once each, after the filter', async () => {
    const groups = { allow: ['k*'] };
    await passes(
      { ...jane, groups: ['k1', 'x', 'k2', 'k3', 'k3'] },
      { groups },
      { ...jane, groups: ['k1', 'k2', 'k3'] },
    );
    await breaks('4 groups, over groups.max 3', { ...jane, groups: ['k1', 'k2', 'k3', 'k4'] }, { groups });
  });
});

describe("another authenticator's prefix", () => {
  test('may not start a username', async () => {
    await breaks('prefix corp: belongs to another', { username: 'corp:root' }, { usernames: ['', 'corp:'] });
  });

  test('may not be made up by prefix and name together', async () => {
    const options = { username: 'a:', usernames: ['a:', 'a:b:'] };
    await breaks('prefix a:b: belongs to another', { username: 'b:jane' }, options);
    await passes({ username: 'c:jane' }, options, { username: 'a:c:jane' });
  });

  test('may be a shorter part of the own one, or equal to it', async () => {
    await passes(jane, { username: 'a:b:', usernames: ['a:', 'a:b:', 'a:b:'] }, { username: 'a:b:jane' });
  });

  test('may not start a group, and is not mistaken for a username prefix', async () => {
    await breaks('prefix g: belongs to another', { ...jane, groups: ['x', 'g:admins'] }, { groupPrefixes: ['', 'g:'] });
    await passes(
      { ...jane, groups: ['u:x'] },
      { usernames: ['u:'], groupPrefixes: [''] },
      { ...jane, groups: ['u:x'] },
    );
    await passes({ username: 'g:x' }, { usernames: [''], groupPrefixes: ['g:'] }, { username: 'g:x' });
  });
});

describe('system: names', () => {
  test('are refused unless listed, users and groups alike', async () => {
    await breaks('system: name', { username: 'system:admin' });
    await breaks('system: name', { ...jane, groups: ['system:masters'] });
    const allowSystemNames = ['system:masters', 'system:node:*'];
    await passes(
      { ...jane, groups: ['system:masters'] },
      { allowSystemNames },
      { ...jane, groups: ['system:masters'] },
    );
    await passes({ username: 'system:node:a' }, { allowSystemNames }, { username: 'system:node:a' });
    await breaks('system: name', { ...jane, groups: ['system:masters2'] }, { allowSystemNames });
  });

  test('are judged as Kubernetes sees them', async () => {
    await passes({ username: 'system:admin' }, { username: 'corp:' }, { username: 'corp:system:admin' });
    await breaks('system: name', { username: 'admin' }, { username: 'system:' });
    await breaks('system: name', { username: 'tem:admin' }, { username: 'sys' });
  });
});

describe('extra keys', () => {
  test.each([
    '',
    'Key',
    'example.com/Ä',
    'k8s.io',
    'k8s.io/x',
    'a.k8s.io/x',
    'kubernetes.io/x',
    'authentication.kubernetes.io/pod-name',
  ])('may not be %j', async (key) => {
    await breaks('an extra key', { ...jane, extra: { ok: [], [key]: ['v'] } });
  });

  test.each(['key', 'example.com/k8s.io', 'mk8s.io/x', 'k8s.io.example.com/x', '__proto__'])(
    'may be %j',
    async (key) => {
      const user = { ...jane, extra: Object.fromEntries([[key, ['v']]]) };
      await passes(user, {}, user);
    },
  );

  test('of the credential may be set where the config allows it, and no other one of Kubernetes', async () => {
    const key = 'authentication.kubernetes.io/credential-id';
    const user = { ...jane, extra: { [key]: ['X509SHA256=abc'] } };
    await breaks('a domain of Kubernetes', user);
    await passes(user, { allowCredentialId: true }, user);
    const other = { ...jane, extra: { [`${key}s`]: ['v'] } };
    await breaks('a domain of Kubernetes', other, { allowCredentialId: true });
  });

  test('in the domain of provenance.keyPrefix are for the gateway alone', async () => {
    const options = { reservedDomain: 'sallyport.example.com' };
    await breaks('provenance.keyPrefix', { ...jane, extra: { 'sallyport.example.com/credential': ['v'] } }, options);
    const near = { ...jane, extra: { 'sallyport.example.com.evil/x': ['v'], 'a.sallyport.example.com/x': ['v'] } };
    await passes(near, options, near);
  });
});

describe('characters', () => {
  const users: readonly (readonly [string, (text: string) => UserInfo])[] = [
    ['the username', (username) => ({ username })],
    ['the uid', (uid) => ({ ...jane, uid })],
    ['a group', (group) => ({ ...jane, groups: ['a', group] })],
    ['an extra key', (key) => ({ ...jane, extra: { a: [], [key]: [] } })],
    ['an extra value', (value) => ({ ...jane, extra: { a: ['b', value] } })],
  ];
  const rule = 'has a control character, a line end or a mark that turns the direction of writing';
  const controls = Array.from({ length: 32 }, (_, code) => code).concat(
    Array.from({ length: 33 }, (_, at) => 0x7f + at),
  );
  const marks = [
    0x2028, 0x2029, 0x61c, 0x200e, 0x200f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069,
  ];
  const refused = [...controls, ...marks].map((code) => String.fromCodePoint(code));

  test.each(users)('of %s: none that ends a line, moves a cursor or turns the writing', async (what, user) => {
    for (const character of [...refused, '\ud800', '\udfff']) await breaks(`${what} ${rule}`, user(`a${character}b`));
  });

  test('are named in the log so that they can be read there, and those of a value not at all', async () => {
    const named = async (user: UserInfo) => (await judge(user)).logged.map((fields) => Reflect.get(fields, 'name'));
    expect(await named({ username: 'ada\nroot' })).toEqual([String.raw`ada\u{a}root`]);
    expect(await named({ ...jane, extra: { phone: ['1\r'] } })).toEqual(['phone']);
  });

  test('of a group that groups.allow leaves out do not count', async () => {
    await passes({ ...jane, groups: ['a', 'b\n'] }, { groups: { allow: ['a'] } }, { ...jane, groups: ['a'] });
  });

  test.each(['zoë', '管理', '👩‍💻', 'علی‌رضا', 'a b', "o'neil", 'ﬁ', '\u00ad'])('of %j pass', async (text) => {
    for (const [, user] of users) await passes(user(text), {}, user(text));
  });

  test('of whatever passes are none of these', async () => {
    const text = fc.string({
      unit: fc.oneof(fc.constantFrom(...refused), anyCharacter),
    });
    const user = fc.record({
      username: text,
      uid: text,
      groups: fc.array(text),
      extra: fc.dictionary(text, fc.array(text)),
    });
    await fc.assert(
      fc.asyncProperty(user, async (given) => {
        const { decision } = await judge(given, { groups: { max: 100 } });
        const texts = [given.username, given.uid, ...given.groups, ...Object.entries(given.extra).flat(2)];
        const isRefused = texts.some(
          (one) => !one.isWellFormed() || refused.some((character) => one.includes(character)),
        );
        if (isRefused) expect(decision.kind).toBe('rejected');
      }),
    );
  });
});

test('other decisions pass as they are', async () => {
  for (const decision of [
    { kind: 'no-opinion' },
    { kind: 'rejected', reason: 'locked', subject: 'system:x' },
  ] as const) {
    const plugin = { authenticate: async () => decision, close: async () => {} };
    const identity = { name: 'corp', username: { prefix: 'p:' }, groups: { prefix: '', max: 1 }, ...nothingAllowed };
    const policy = withIdentityPolicy(plugin, identity, { usernames: [], groups: [] }, { warn: () => {} });
    expect(await policy.authenticate('t', context)).toBe(decision);
  }
});

test('a user who is refused has final names too', () => {
  const identity = { username: { prefix: 'p:' }, groups: { prefix: 'g:', max: 1, allow: ['a'] }, ...nothingAllowed };
  const other = { ...identity, username: { prefix: 'p:q:' } };
  const judged = identityPolicy(identity, identityPrefixes([identity, other]));
  expect(judged({ username: 'jane', groups: ['a', 'b'] })).toStrictEqual({
    user: { username: 'p:jane', groups: ['g:a'] },
  });
  expect(judged({ username: 'q:x' })).toStrictEqual({
    user: { username: 'p:q:x' },
    breach: { rule: 'the prefix p:q: belongs to another authenticator', name: 'p:q:x' },
  });
});

/** The textbook table: whether the first i characters of the pattern match the first j of the text. */
function oracle(pattern: string, text: string): boolean {
  let row = Array.from({ length: text.length + 1 }, (_, j) => j === 0);
  for (const character of pattern.split('')) {
    const above = row;
    row = [character === '*' && above[0] === true];
    for (let j = 1; j <= text.length; j++) {
      row[j] =
        character === '*'
          ? above[j] === true || row[j - 1] === true
          : above[j - 1] === true && text[j - 1] === character;
    }
  }
  return row[text.length] === true;
}

describe('a glob', () => {
  test.each([
    ['k8s-*', 'k8s-admins', true],
    ['k8s-*', 'k8s-', true],
    ['k8s-*', 'K8s-admins', false],
    ['k8s-*', 'xk8s-admins', false],
    ['*', '', true],
    ['', '', true],
    ['', 'a', false],
    ['system:*', 'system:node:a/b', true],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['*ab*ab', 'abxab', true],
    ['*ab*ab', 'xab', false],
    ['a?c', 'abc', false],
    ['a?c', 'a?c', true],
    ['[ab].+', 'a', false],
    ['k8s-*', 'k8s-\n', true],
  ])('%j on %j says %j', (pattern, text, expected) => {
    expect(glob(pattern)(text)).toBe(expected);
  });

  test('says what the textbook table says', () => {
    const letters = (characters: string) => fc.string({ unit: fc.constantFrom(...characters), maxLength: 12 });
    fc.assert(
      fc.property(letters('ab*'), letters('ab'), (pattern, text) => {
        expect(glob(pattern)(text)).toBe(oracle(pattern, text));
      }),
      { numRuns: 2000 },
    );
  });

  test('of a list, one that matches is enough, and none allows nothing', () => {
    expect(anyGlob(['a', 'b*'])('bc')).toBe(true);
    expect(anyGlob(['a', 'b*'])('c')).toBe(false);
    expect(anyGlob([])('')).toBe(false);
  });
});
