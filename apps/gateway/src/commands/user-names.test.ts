import type { Authenticator, UserInfo } from '@sallyport/authenticator';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { GatewayConfig } from '../config/types.ts';
import { corpConfig } from '../runtime/testing/link-parts.ts';
import { candidatesFor, findUser, requirePrefix } from './user-names.ts';

const authenticator = (user: string, group: string) => ({
  username: { prefix: user },
  groups: { prefix: group, max: 10 },
});
const corp = authenticator('corp:', 'team:');
const robots = authenticator('robot:', 'team:');
const breakGlass = authenticator('', '');

describe('a name', () => {
  test.each([
    ['with a prefix', 'corp:alice', [corp, robots, breakGlass]],
    ['of any kind where no authenticator has a prefix', 'alice', [breakGlass]],
    ['of any kind without an authenticator', 'alice', []],
  ])('%s is right as it is', (_name, name, authenticators) => {
    expect(candidatesFor('user', name, authenticators)).toBeUndefined();
  });

  test('without a prefix may be each of the names with one', () => {
    const both = [
      { name: 'corp:alice', isExact: false },
      { name: 'robot:alice', isExact: false },
    ];
    expect(candidatesFor('user', 'alice', [corp, robots])).toEqual(both);
  });

  test('that an authenticator without a prefix may have is one of them, with --exact', () => {
    expect(candidatesFor('user', 'alice', [breakGlass, corp])).toEqual([
      { name: 'corp:alice', isExact: false },
      { name: 'alice', isExact: true },
    ]);
    expect(candidatesFor('user', 'alice', [breakGlass, corp], true)).toBeUndefined();
  });

  test('with the prefix of users has none of groups; two authenticators with one prefix are one candidate', () => {
    expect(candidatesFor('group', 'corp:alice', [corp, robots])).toEqual([{ name: 'team:corp:alice', isExact: false }]);
  });

  test('is not a prefix alone', () => {
    expect(() => candidatesFor('user', 'corp:', [corp])).toThrow('--user is the prefix alone: write --user corp:NAME');
  });
});

type LookUp = NonNullable<Authenticator['lookUp']>;

/** Authenticators by their names, which are their prefixes too. Null: it can't look users up. */
function config(lookUps: Readonly<Record<string, LookUp | null | 'broken'>>): GatewayConfig {
  const authenticators = Object.entries(lookUps).map(([name, lookUp]) => ({
    ...corpConfig,
    ...{ name, username: { prefix: name === 'plain' ? '' : `${name}:` }, groups: { prefix: 'g:', max: 10 } },
    problem: () => ({ file: 'f', path: '', message: 'broken' }),
    plugin: {
      name: 'probe',
      async create() {
        if (lookUp === 'broken') throw new Error('broken');
        return { authenticate: () => ({ kind: 'no-opinion' }), close: async () => {}, ...(lookUp && { lookUp }) };
      },
    },
  }));
  return { authenticators, baseDirectory: '/', lockout: { maxFailures: 3, window: 1 } } as unknown as GatewayConfig;
}

const knows: LookUp = async (username): Promise<UserInfo> => ({ username });
const knowsNot: LookUp = async () => undefined;
const isDown: LookUp = () => Promise.reject(new Error('down'));

afterEach(() => void vi.useRealTimers());

describe('a command that changes something', () => {
  const refusal = (name: string, lookUps: Parameters<typeof config>[0], kind: 'user' | 'group' = 'user') =>
    requirePrefix(config(lookUps), kind, name).then(
      () => '',
      (error: Error) => error.message.split('\n').slice(1).join('\n'),
    );

  test('lists the names that may be meant, those that an authenticator knows first', async () => {
    expect(await refusal('carol', { oidc: null, partner: knowsNot, lab: isDown, plain: knowsNot, corp: knows })).toBe(
      `  --user corp:carol      # known: corp
  --user oidc:carol      # cannot be looked up: oidc
  --user partner:carol   # not known: partner
  --user lab:carol       # could not be checked: lab
  --user carol --exact   # not known: plain`,
    );
  });

  test('waits 2 s at most for those that know users', async () => {
    vi.useFakeTimers();
    const listed = refusal('carol', { corp: knows, hung: () => new Promise(() => undefined) });
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await listed).toContain('--user hung:carol   # could not be checked: hung');
  });

  test('goes on where an authenticator can not be made, and asks no one about groups', async () => {
    expect(await refusal("o'neil $x", { corp: knows, broken: 'broken' })).toBe(
      `  --user 'corp:o'\\''neil $x'     # known: corp\n  --user 'broken:o'\\''neil $x'   # could not be checked: broken`,
    );
    expect(await refusal('ops', { corp: knows }, 'group')).toBe('  --group g:ops');
  });

  test('lists them for the helpdesk as its script takes them', async () => {
    vi.stubEnv('SALLYPORT_HELPDESK', 'sallyport-helpdesk');
    onTestFinished(() => void vi.unstubAllEnvs());
    expect(await refusal('jane', { corp: knows, plain: knows })).toBe(
      '  corp:jane   # known: corp\n  jane        # known: plain. An administrator can name this user, with --exact',
    );
  });
});

describe('a command that shows a user', () => {
  const remarks = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  afterEach(() => void remarks.mockClear());

  test('takes the one name that is known, and says what was not looked up', async () => {
    expect(await findUser(config({ oidc: null, partner: knowsNot, corp: knows }), 'jane')).toEqual({
      name: 'corp:jane',
      isExact: false,
    });
    expect(remarks).toHaveBeenCalledWith('sallyport: jane is corp:jane (not looked up: oidc cannot be looked up)\n');
    expect(await findUser(config({ plain: knows, partner: knowsNot }), 'jane')).toEqual({
      name: 'jane',
      isExact: true,
    });
  });

  test('takes the only name that there may be without a look-up', async () => {
    expect(await findUser(config({ corp: isDown }), 'jane')).toEqual({ name: 'corp:jane', isExact: false });
  });

  test('takes a name with its prefix, or that is exact, as it is', async () => {
    const two = config({ corp: isDown, partner: isDown });
    expect(await findUser(two, 'corp:jane')).toEqual({ name: 'corp:jane', isExact: false });
    expect(await findUser(two, 'jane', { isExact: true })).toEqual({ name: 'jane', isExact: true });
    expect(remarks).not.toHaveBeenCalled();
  });

  test.each([
    [{ corp: knows, partner: knows }, '--user jane is several users, since names are as Kubernetes sees them'],
    [
      { corp: isDown, partner: knowsNot },
      'no authenticator of this config is known to have a user jane. But corp (down) could not be asked, so the name may be right',
    ],
  ])('lists the names when it is not one', async (lookUps, problem) => {
    await expect(findUser(config(lookUps), 'jane')).rejects.toThrow(
      `${problem}. Write one of these:\n  --user corp:jane`,
    );
  });
});
