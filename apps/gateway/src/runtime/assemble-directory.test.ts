import {
  type Authenticator,
  AuthenticatorError,
  type Decision,
  type LookUpContext,
  type RevalidateContext,
  type UserInfo,
} from '@sallyport/authenticator';
import { describe, expect, test } from 'vitest';
import type { AuthenticatorConfig, DirectoryConfig } from '../config/types.ts';
import { lifetimes, minute, never } from '../engine/cache/testing/cached-replica.ts';
import type { AnswerSource, LinkContext } from '../engine/chain/chain.ts';
import type { DirectoryResult } from '../engine/directory/directory-user.ts';
import { noBlocks } from '../engine/revocation/testing/no-blocks.ts';
import { assembleDirectory, missingForDirectory } from './assemble-directory.ts';
import { assembleGuard, assembleLink } from './assemble-link.ts';
import { blockEntry, corpConfig, linkParts } from './testing/link-parts.ts';

const outage = () => {
  throw new AuthenticatorError('unavailable', 'down');
};

const jane: UserInfo = { username: 'jane', uid: '7', groups: ['admins', 'staff'] };

interface LinkedBackends {
  readonly directory?: Partial<DirectoryConfig>;
  /** What the token says. */
  readonly user?: UserInfo;
  /** When the token ends. */
  readonly expiresAt?: Date;
  readonly own?: Partial<AuthenticatorConfig>;
  readonly blocked?: readonly string[];
  /** The time limit of a lookup in the directory. Milliseconds. */
  readonly timeout?: number;
  readonly keyPrefix?: string;
}

/** Makes the whole link of `oidc`, whose users are looked up in `corp`, as the gateway stacks them. The test plays both backends. */
function createLinkedBackends(given: LinkedBackends = {}) {
  const { directory, own, blocked = [], keyPrefix } = given;
  const { user = { username: 'jane', groups: ['of-token'] } } = given;
  const results: DirectoryResult[] = [];
  const asked: { readonly name: string; readonly context: LookUpContext }[] = [];
  const warned: object[] = [];
  const backend = {
    lookUp: async (_name: string): Promise<UserInfo | undefined> => jane,
    revalidate: async (_context: RevalidateContext): Promise<unknown> => ({
      kind: 'authenticated',
      user: jane,
    }),
  };
  const base = linkParts();
  const parts = {
    ...base,
    prefixes: { usernames: ['corp:', 'oidc:'], groups: ['corp:', 'oidc:'] },
    logger: { info: () => {}, warn: (fields: object) => warned.push(fields) },
    policyLog: (authenticator: string) => warned.push({ authenticator }),
    blocks: {
      ...noBlocks,
      findByUser: (username: string, groups: readonly string[]) =>
        [username, ...groups].some((name) => blocked.includes(name)) ? blockEntry : undefined,
    },
    ...(keyPrefix !== undefined && { provenance: { keyPrefix, fingerprint: () => 'f' } }),
  };
  const corp: Authenticator = {
    authenticate: async () => ({ kind: 'no-opinion' }),
    async lookUp(name, context) {
      asked.push({ name, context });
      return backend.lookUp(name);
    },
    revalidate: async (_user, context) => (await backend.revalidate(context)) as Decision,
    close: async () => {},
  };
  const corpParts = {
    ...parts,
    config: {
      ...(corpConfig as AuthenticatorConfig),
      maxConcurrent: 10,
      ...(given.timeout !== undefined && { timeout: given.timeout }),
    },
    authenticator: corp,
  };
  const guard = assembleGuard(corpParts);
  const config: DirectoryConfig = {
    authenticator: 'corp',
    by: 'username',
    groups: 'replace',
    missing: 'reject',
    refresh: minute,
    ...directory,
  };
  const oidcConfig = {
    ...(corpConfig as AuthenticatorConfig),
    name: 'oidc',
    fingerprint: 'two',
    username: { prefix: 'oidc:' },
    groups: { prefix: 'oidc:', max: 10, ...(config.groups === 'replace' && { allow: [] }) },
    cache: 'off' as const,
    directory: config,
    ...own,
  };
  const oidc: Authenticator = {
    authenticate: () => ({
      kind: 'authenticated',
      user,
      ...(given.expiresAt && { expiresAt: given.expiresAt }),
    }),
    close: async () => {},
  };
  const oidcParts = { ...parts, config: oidcConfig, authenticator: oidc };
  const link = assembleLink({
    ...oidcParts,
    guard: assembleGuard(oidcParts),
    directory: assembleDirectory(
      oidcConfig,
      [{ ...corpParts, guard }],
      { ...lifetimes, memory: { maxEntries: 100 } },
      (_name, result) => results.push(result),
    ),
  });
  const seen: { source?: AnswerSource; failure?: unknown; directory?: readonly unknown[] } = {};
  const context: LinkContext = {
    audiences: ['api'],
    signal: never,
    onCached: (source, failure) => {
      Object.assign(seen, { source, failure });
    },
    onDirectory: (...of) => {
      seen.directory = of;
    },
  };
  return {
    backend,
    results,
    asked,
    warned,
    guard,
    seen,
    clocks: base.clocks,
    revocations: base.cache.revocations,
    decide: async () => link.authenticator.authenticate('token', context),
  };
}

/** Returns the user in short, or why there is none. */
async function outcome({ decide }: ReturnType<typeof createLinkedBackends>): Promise<string> {
  try {
    const decision = await decide();
    if (decision.kind === 'no-opinion') return decision.kind;
    if (decision.kind === 'rejected') return `${decision.reason} ${decision.subject}`;
    const { username, uid, groups = [] } = decision.user;
    return [username, ...(uid === undefined ? [] : [uid]), ...groups].join(' ');
  } catch (error) {
    return AuthenticatorError.is(error) ? `${error.code} ${error.message}` : String(error);
  }
}

describe('the groups of a user', () => {
  test.each([
    { groups: 'replace', expected: 'oidc:jane corp:admins corp:staff' },
    { groups: 'add', expected: 'oidc:jane oidc:of-token corp:admins corp:staff' },
    { groups: 'keep', expected: 'oidc:jane oidc:of-token' },
  ] as const)('$groups', async ({ groups, expected }) => {
    expect(await outcome(createLinkedBackends({ directory: { groups } }))).toBe(expected);
  });

  test('have the names that the directory gives them, and pass its policy', async () => {
    const corp = createLinkedBackends();
    corp.backend.revalidate = async () => ({
      kind: 'authenticated',
      user: { ...jane, groups: ['a', 'a', 'b'] },
    });
    expect(await outcome(corp)).toBe('oidc:jane corp:a corp:b');
    const many = createLinkedBackends();
    const groups = Array.from({ length: 11 }, (_, index) => `g${index}`);
    many.backend.revalidate = async () => ({ kind: 'authenticated', user: { ...jane, groups } });
    expect(await outcome(many)).toBe('identity-policy jane');
    expect(many.warned).toMatchObject([{ authenticator: 'corp' }]);
  });

  test('of the token do not count where they are replaced, however many there are', async () => {
    const groups = Array.from({ length: 2_000 }, (_, index) => `g${index}`);
    expect(await outcome(createLinkedBackends({ user: { username: 'jane', groups } }))).toBe(
      'oidc:jane corp:admins corp:staff',
    );
    expect(
      await outcome(
        createLinkedBackends({ user: { username: 'jane', groups }, directory: { groups: 'add' } }),
      ),
    ).toBe('identity-policy jane');
  });
});

test('with `replace`, no group of the token is left, even if the policy lets it pass', async () => {
  const own = { groups: { prefix: 'oidc:', max: 10 } };
  expect(await outcome(createLinkedBackends({ own }))).toBe('oidc:jane corp:admins corp:staff');
  const missing = createLinkedBackends({ own, directory: { missing: 'accept' } });
  missing.backend.lookUp = async () => undefined;
  expect(await outcome(missing)).toBe('oidc:jane');
});

test('an answer ends when the token does or the account, whichever is first', async () => {
  const [early, late] = [new Date('2031-01-01'), new Date('2032-01-01')];
  for (const [ofToken, ofAccount, expected] of [
    [early, late, early],
    [late, early, early],
    [early, undefined, early],
    [undefined, early, early],
    [undefined, undefined, undefined],
  ]) {
    const world = createLinkedBackends({ ...(ofToken && { expiresAt: ofToken }) });
    world.backend.revalidate = async () => ({
      kind: 'authenticated',
      user: jane,
      ...(ofAccount && { expiresAt: ofAccount }),
    });
    expect(((await world.decide()) as { expiresAt?: Date }).expiresAt).toEqual(expected);
  }
});

test('a user of the directory has no key that only the gateway sets', async () => {
  const world = createLinkedBackends({ keyPrefix: 'sallyport.example.com' });
  const extra = { 'sallyport.example.com/authenticator': ['root'] };
  world.backend.revalidate = async () => ({ kind: 'authenticated', user: { ...jane, extra } });
  expect(await outcome(world)).toBe('identity-policy jane');
});

describe('what a user is looked up by', () => {
  const user = {
    username: 'jane',
    uid: 'u1',
    extra: { 'x.io/mail': ['j@x'], 'x.io/n': ['1', '2'] },
  };
  test.each([
    { by: 'username', name: 'jane' },
    { by: 'uid', name: 'u1' },
    { by: { extra: 'x.io/mail' }, name: 'j@x' },
  ] as const)('$by', async ({ by, name }) => {
    const world = createLinkedBackends({ user, directory: { by } });
    expect(await outcome(world)).toMatch(/corp:admins/);
    expect(world.asked).toMatchObject([{ name, context: { isJoin: true } }]);
  });

  test.each([
    { by: { extra: 'x.io/n' }, of: user, words: '2 values of extra x.io/n' },
    { by: { extra: 'x.io/none' }, of: user, words: 'no value of extra x.io/none' },
    { by: { extra: 'x.io/mail' }, of: { username: 'jane' }, words: 'no value of extra x.io/mail' },
    { by: { extra: 'toString' }, of: user, words: 'no value of extra toString' },
    { by: 'uid', of: { username: 'jane' }, words: 'no value of uid' },
    { by: 'uid', of: { username: 'jane', uid: '' }, words: 'no value of uid' },
  ] as const)(
    '$by that the token does not say is an error, even where missing users are accepted',
    async ({ by, of, words }) => {
      const world = createLinkedBackends({
        user: of as UserInfo,
        directory: { by, missing: 'accept' },
      });
      expect(await outcome(world)).toBe(
        `failed the token has ${words}, by which directory.by looks its user up: map one in the options, or change directory.by`,
      );
      expect(world.asked).toEqual([]);
    },
  );
});

describe('no account', () => {
  test.each([
    { missing: 'reject', groups: 'replace', expected: 'unknown-user jane' },
    { missing: 'accept', groups: 'replace', expected: 'oidc:jane' },
    { missing: 'accept', groups: 'add', expected: 'oidc:jane oidc:of-token' },
    { missing: 'accept', groups: 'keep', expected: 'oidc:jane oidc:of-token' },
  ] as const)('missing: $missing, groups: $groups', async ({ missing, groups, expected }) => {
    const world = createLinkedBackends({ directory: { missing, groups } });
    world.backend.lookUp = async () => undefined;
    expect(await outcome(world)).toBe(expected);
    expect(world.results).toEqual(['missing']);
  });

  test.each(['disabled', 'locked', 'expired', 'unknown-user', 'password-expired'] as const)(
    'an account that is %s is refused, even where missing users are accepted',
    async (reason) => {
      const world = createLinkedBackends({ directory: { missing: 'accept', groups: 'keep' } });
      world.backend.revalidate = async () => ({ kind: 'rejected', reason, subject: 'JANE' });
      expect(await outcome(world)).toBe(`${reason} jane`);
      expect(world.results).toEqual(['refused']);
    },
  );
});

describe('what could not be checked is an error, never a user with fewer groups', () => {
  test.each<{
    name: string;
    broken: Partial<ReturnType<typeof createLinkedBackends>['backend']>;
    expected: string;
  }>([
    {
      name: 'an outage of lookUp',
      broken: { lookUp: outage },
      expected: 'unavailable directory corp: down',
    },
    {
      name: 'an outage of revalidate',
      broken: { revalidate: outage },
      expected: 'unavailable directory corp: down',
    },
    {
      name: 'two accounts',
      broken: { revalidate: async () => ({ kind: 'rejected', reason: 'ambiguous' }) },
      expected: 'failed directory corp: several users have this name',
    },
    {
      name: 'no opinion',
      broken: { revalidate: async () => ({ kind: 'no-opinion' }) },
      expected:
        'failed directory corp: the plugin\'s revalidate() gave no opinion (looked up: "jane")',
    },
    {
      name: 'an answer that is none',
      broken: {
        revalidate: async () => ({
          kind: 'authenticated',
          user: { username: 'jane', groups: 'x' },
        }),
      },
      expected: "failed directory corp: the plugin's answer: user.groups is not an array",
    },
    {
      name: 'a user that is none',
      broken: { lookUp: async () => ({ username: 7 }) as never },
      expected: "failed directory corp: the plugin's answer: user.username is not a string",
    },
    {
      name: 'null for a user',
      broken: { lookUp: async () => null as never },
      expected: 'user is not an object',
    },
    {
      name: 'true for a user',
      broken: { lookUp: async () => true as never },
      expected: 'user is not an object',
    },
  ])('$name', async ({ broken, expected }) => {
    for (const groups of ['replace', 'add', 'keep'] as const) {
      const world = createLinkedBackends({ directory: { groups, missing: 'accept' } });
      Object.assign(world.backend, broken);
      expect(await outcome(world)).toContain(expected);
      expect(world.results).toEqual(['error']);
    }
  });

  test('another user than the one who was looked up is refused', async () => {
    const world = createLinkedBackends();
    world.backend.revalidate = async () => ({
      kind: 'authenticated',
      user: { ...jane, username: 'root' },
    });
    expect(await outcome(world)).toBe('unknown-user jane');
    world.backend.revalidate = async () => ({ kind: 'authenticated', user: { ...jane, uid: '8' } });
    expect(await outcome(world)).toBe('unknown-user jane');
  });
});

test('the directory is asked without the time of a login', async () => {
  const world = createLinkedBackends();
  const since: unknown[] = [];
  world.backend.revalidate = async (context) => {
    since.push(context.since);
    return { kind: 'authenticated', user: jane };
  };
  await outcome(world);
  expect(since).toEqual([undefined]);
});

describe('answers of the directory', () => {
  test('are used for `refresh`, then asked again, and are stale while it is down', async () => {
    const world = createLinkedBackends();
    await outcome(world);
    await outcome(world);
    expect(world.asked).toHaveLength(1);
    expect(world.seen.source).toBeUndefined();
    world.clocks.pass(minute);
    world.backend.revalidate = outage;
    expect(await outcome(world)).toBe('oidc:jane corp:admins corp:staff');
    expect(world.seen.source).toBe('stale');
    expect(String(world.seen.failure)).toContain('directory corp: down');
    expect(world.results).toEqual(['found', 'error', 'stale']);
    world.clocks.pass(lifetimes.staleTtl);
    expect(await outcome(world)).toBe('unavailable directory corp: down');
  });

  test('that are errors are not cached, so one user makes at most 20 lookups in a second', async () => {
    const world = createLinkedBackends();
    world.backend.lookUp = async () => {
      throw new AuthenticatorError('failed', 'several entries');
    };
    for (let count = 0; count < 20; count += 1)
      expect(await outcome(world)).toMatch(/^failed directory corp: several entries/);
    expect(await outcome(world)).toMatch(
      /^failed directory corp: more than 20 lookups of one name/,
    );
    expect(world.asked).toHaveLength(20);
    world.clocks.pass(1_000);
    expect(await outcome(world)).toMatch(/^failed directory corp: several entries/);
  });

  test('end when the user there is revoked, and those of another user do not', async () => {
    const world = createLinkedBackends();
    await outcome(world);
    world.revocations.revoked.set('corp:other', 1);
    await outcome(world);
    expect(world.asked).toHaveLength(1);
    world.revocations.revoked.set('corp:jane', 1);
    await outcome(world);
    expect(world.asked).toHaveLength(2);
  });

  test('that take too long for one user do not open the circuit for all', async () => {
    const world = createLinkedBackends({ timeout: 20 });
    world.backend.revalidate = () => new Promise(() => {});
    const late =
      'failed directory corp: the backend answers, but this lookup did not end within 20ms';
    for (let count = 0; count < 6; count += 1) expect(await outcome(world)).toContain(late);
    expect(world.guard.circuitState).toBe('closed');
  });

  test('that are refusals are used no longer than `refresh`', async () => {
    const refused = createLinkedBackends({ directory: { refresh: 1_000 } });
    refused.backend.revalidate = async () => ({ kind: 'rejected', reason: 'disabled' });
    const missing = createLinkedBackends({ directory: { refresh: 1_000 } });
    missing.backend.lookUp = async () => undefined;
    for (const world of [refused, missing]) {
      for (const [pause, lookups] of [
        [0, 1],
        [999, 1],
        [1, 2],
      ] as const) {
        world.clocks.pass(pause);
        await outcome(world);
        expect(world.asked).toHaveLength(lookups);
      }
    }
  });

  test('open the circuit of the directory when it is down, and no other', async () => {
    const world = createLinkedBackends();
    world.backend.lookUp = outage;
    for (let count = 0; count < 5; count += 1) await outcome(world);
    expect(world.guard.circuitState).toBe('open');
    expect(await outcome(world)).toMatch(/^unavailable directory corp: circuit open/);
  });
});

describe('a block acts by either name', () => {
  test.each([
    { of: 'of the token', blocked: 'oidc:jane', groups: 'replace' },
    { of: 'in the directory', blocked: 'corp:jane', groups: 'replace' },
    { of: 'of a group of the directory', blocked: 'corp:staff', groups: 'replace' },
    {
      of: 'of a group of the directory that the user does not get',
      blocked: 'corp:staff',
      groups: 'keep',
    },
    { of: 'of a group of the token', blocked: 'oidc:of-token', groups: 'add' },
  ] as const)('$of', async ({ blocked, groups }) => {
    expect(await outcome(createLinkedBackends({ blocked: [blocked], directory: { groups } }))).toBe(
      'blocked oidc:jane',
    );
  });
});

test('provenance and the answer name both authenticators', async () => {
  const world = createLinkedBackends({ keyPrefix: 'sallyport.example.com' });
  expect(await world.decide()).toMatchObject({
    user: {
      extra: {
        'sallyport.example.com/authenticator': ['oidc'],
        'sallyport.example.com/directory': ['corp'],
      },
    },
  });
  expect(world.seen.directory).toEqual(['corp', 'corp:jane']);
});

test('the answer names an account that is refused, if the directory names it', async () => {
  const world = createLinkedBackends();
  world.backend.revalidate = async () => ({ kind: 'rejected', reason: 'locked', subject: 'jane' });
  await world.decide();
  expect(world.seen.directory).toEqual(['corp', 'corp:jane']);
  const blocked = createLinkedBackends({ blocked: ['corp:jane'] });
  await blocked.decide();
  expect(blocked.seen.directory).toEqual(['corp', 'corp:jane']);
  const missing = createLinkedBackends();
  missing.backend.lookUp = async () => undefined;
  await missing.decide();
  expect(missing.seen.directory).toEqual(['corp']);
});

test('an error of one user names what was looked up, short and without marks that mislead', async () => {
  const username = `j\u200d${'x'.repeat(100)}`;
  const world = createLinkedBackends({
    directory: { by: { extra: 'k' } },
    user: { username: 'j', extra: { k: [username] } },
  });
  world.backend.lookUp = async () => {
    throw new AuthenticatorError('failed', 'two entries');
  };
  expect(await outcome(world)).toBe(
    `failed directory corp: two entries (looked up: "j\\u{200d}${'x'.repeat(62)}")`,
  );
});

test('a directory needs both methods', () => {
  expect(missingForDirectory({})).toBe(
    "can't look users up for others (its plugin has no lookUp, no revalidate)",
  );
  const lookUp = async () => undefined;
  expect(missingForDirectory({ lookUp, revalidate: async () => ({ kind: 'no-opinion' }) })).toBe(
    undefined,
  );
});
