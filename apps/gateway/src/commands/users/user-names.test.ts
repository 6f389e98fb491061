import { AuthenticatorError } from '@sallyport/authenticator';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createTestContext } from '../../testing/command-context.ts';
import type { CommandContext } from '../context.ts';
import { configOf, hangs, isDown, knows, knowsNot, type LookUp } from './testing/look-ups.ts';
import { candidatesFor, findUser, remarkFound, requirePrefix } from './user-names.ts';

const authenticator = (user: string, group: string) => ({
  username: { prefix: user },
  groups: { prefix: group, max: 10 },
});
const corp = authenticator('corp:', 'team:');
const robots = authenticator('robot:', 'team:');
const breakGlass = authenticator('', '');

describe('a name', () => {
  test.each([
    { title: 'with a prefix', name: 'corp:alice', authenticators: [corp, robots, breakGlass] },
    {
      title: 'of any kind where no authenticator has a prefix',
      name: 'alice',
      authenticators: [breakGlass],
    },
    { title: 'of any kind without an authenticator', name: 'alice', authenticators: [] },
  ])('$title is right as it is', ({ name, authenticators }) => {
    expect(candidatesFor('user', name, authenticators)).toBeUndefined();
  });

  test('without a prefix may be each of the names with one', () => {
    const both = [
      { name: 'corp:alice', isExact: false },
      { name: 'robot:alice', isExact: false },
    ];
    expect(candidatesFor('user', 'alice', [corp, robots])).toMatchObject(both);
  });

  test('that an authenticator without a prefix may have is one of them, with --exact', () => {
    expect(candidatesFor('user', 'alice', [breakGlass, corp])).toMatchObject([
      { name: 'corp:alice', isExact: false },
      { name: 'alice', isExact: true },
    ]);
    expect(candidatesFor('user', 'alice', [breakGlass, corp], true)).toBeUndefined();
  });

  test('with the prefix of users has none of groups; two authenticators with one prefix are one candidate', () => {
    expect(candidatesFor('group', 'corp:alice', [corp, robots])).toMatchObject([
      { name: 'team:corp:alice', isExact: false },
    ]);
  });

  test('whose prefix is in another case most likely has that prefix', () => {
    expect(candidatesFor('user', 'CORP:alice', [corp, robots])).toMatchObject([
      { name: 'corp:alice', isExact: false },
    ]);
  });

  test('is not a prefix alone', () => {
    expect(() => candidatesFor('user', 'corp:', [corp])).toThrow(
      '--user is only a prefix: write --user corp:NAME',
    );
  });
});

afterEach(() => void vi.useRealTimers());

describe('a command that changes something', () => {
  const refusal = (
    name: string,
    lookUps: Parameters<typeof configOf>[0],
    kind: 'user' | 'group' = 'user',
    { context = createTestContext(), wait }: { context?: CommandContext; wait?: number } = {},
  ) =>
    requirePrefix(context, configOf(lookUps), kind, name, wait === undefined ? {} : { wait }).then(
      () => '',
      (error: Error) => error.message.split('\n').slice(1).join('\n'),
    );

  test('of a service account is refused, whose tokens no gateway gets', async () => {
    const name = 'system:serviceaccount:ci:deploy';
    const refuse = (options: object) =>
      requirePrefix(createTestContext(), configOf({ corp: knowsNot }), 'user', name, options);
    await expect(refuse({})).rejects.toThrow(
      `nothing was done: ${name} is a service account, whose tokens kube-apiserver checks itself: it asks no gateway: remove its role bindings, or the account: kubectl delete serviceaccount -n ci deploy`,
    );
    await expect(refuse({ exact: true })).resolves.toBeUndefined();
    await expect(
      requirePrefix(createTestContext(), configOf({ corp: knows, plain: knows }), 'user', name, {}),
    ).rejects.toThrow(`--user ${name} --exact`);
  });

  test('lists the names that may be meant, those that an authenticator knows first', async () => {
    expect(
      await refusal('carol', {
        oidc: null,
        partner: knowsNot,
        lab: isDown,
        plain: knowsNot,
        corp: knows,
      }),
    ).toBe(
      `  --user corp:carol      # known: corp
  --user oidc:carol      # can't be looked up: oidc
  --user partner:carol   # not known: partner
  --user lab:carol       # error: lab
  --user carol --exact   # not known: plain`,
    );
  });

  test('for a user who must exist, lists no name that nobody knows, and names who could not be asked', async () => {
    const problem = (lookUps: Parameters<typeof configOf>[0]) =>
      requirePrefix(createTestContext(), configOf(lookUps), 'user', 'carol', { mustExist: true });
    await expect(problem({ corp: knowsNot, partner: knowsNot })).rejects.toThrow(
      'nothing was done: no authenticator of this config knows a user carol: check the name. If it is right, write it with its prefix: corp: or partner:, or add --exact if the name is right as it is',
    );
    await expect(problem({ corp: knowsNot, lab: isDown })).rejects.toThrow(
      /kubernetes sees them\. Not asked: lab \(down\): write one of these.*:\n {2}--user lab:carol +# error: lab$/i,
    );
  });

  test('asks about the name after a prefix that is written in another case', async () => {
    const isCarol: LookUp = async (name) => (name === 'carol' ? { username: name } : undefined);
    expect(await refusal('CORP:carol', { corp: isCarol, partner: knowsNot })).toBe(
      '  --user corp:carol   # known: corp',
    );
    const problem = requirePrefix(
      createTestContext(),
      configOf({ corp: isCarol }),
      'user',
      'CORP:bob',
      { mustExist: true },
    );
    await expect(problem).rejects.toThrow(/knows a user CORP:bob: .* with its prefix: corp:/);
  });

  test.each([
    { options: {}, limit: 10_000 },
    { options: { wait: 0 }, limit: 2_000 },
    { options: { wait: 600_000 }, limit: 10_000 },
  ])(
    'waits $limit ms for directories that know users, with $options',
    async ({ options, limit }) => {
      vi.useFakeTimers();
      let hasEnded = false;
      const listed = refusal('carol', { corp: knows, hung: hangs }, 'user', options);
      void listed.then(() => (hasEnded = true));
      await vi.advanceTimersByTimeAsync(limit - 1);
      expect(hasEnded).toBe(false);
      await vi.advanceTimersByTimeAsync(1);
      expect(await listed).toContain('--user hung:carol   # error: hung');
    },
  );

  test('goes on where an authenticator cannot be made, and asks no one about groups', async () => {
    expect(await refusal("o'neil $x", { corp: knows, broken: 'broken' })).toBe(
      `  --user 'corp:o'\\''neil $x'     # known: corp\n  --user 'broken:o'\\''neil $x'   # error: broken`,
    );
    expect(await refusal('ops', { corp: knows }, 'group')).toBe('  --group g:ops');
  });

  test('lists them for the helpdesk as its script takes them', async () => {
    const environment = { SALLYPORT_HELPDESK: 'sallyport-helpdesk' };
    const context = createTestContext({ environment });
    expect(await refusal('jane', { corp: knows, plain: knows }, 'user', { context })).toBe(
      '  corp:jane   # known: corp\n  jane        # known: plain. An administrator can name this user, with --exact',
    );
  });
});

describe('a command that shows a user', () => {
  test('takes the one name that is known, and says what was not looked up', async () => {
    const doubt = " (not looked up: oidc can't be looked up)";
    expect(
      await findUser(
        createTestContext(),
        configOf({ oidc: null, partner: knowsNot, corp: knows }),
        'jane',
      ),
    ).toEqual({
      ...{ name: 'corp:jane', isExact: false },
      doubt,
    });
    const context = createTestContext();
    remarkFound(context, 'jane', 'corp:jane', doubt);
    expect(context.printed.stderr).toBe(`sallyport: jane is corp:jane${doubt}\n`);
    expect(
      await findUser(createTestContext(), configOf({ plain: knows, partner: knowsNot }), 'jane'),
    ).toEqual({
      ...{ name: 'jane', isExact: true },
      doubt: '',
    });
  });

  test('takes the name by which an authenticator knows the user, also in the list of names', async () => {
    const isJane: LookUp = async () => ({ username: 'jane' });
    expect(
      await findUser(createTestContext(), configOf({ corp: isJane, partner: knowsNot }), 'JANE'),
    ).toMatchObject({
      name: 'corp:jane',
    });
    await expect(
      findUser(createTestContext(), configOf({ corp: isJane, partner: isJane }), 'JANE'),
    ).rejects.toThrow(
      '\n  --user corp:jane      # known: corp\n  --user partner:jane   # known: partner',
    );
  });

  test('takes the one who cannot be checked, if that is because of this user', async () => {
    const failed: LookUp = () =>
      Promise.reject(new AuthenticatorError('failed', 'more than 2 groups'));
    expect(
      await findUser(createTestContext(), configOf({ corp: failed, partner: knowsNot }), 'jane'),
    ).toEqual({
      ...{ name: 'corp:jane', isExact: false },
      doubt: '',
    });
    await expect(
      findUser(createTestContext(), configOf({ corp: failed, partner: knows }), 'jane'),
    ).rejects.toThrow(
      '\n  --user corp:jane      # error for this user: corp (more than 2 groups)\n',
    );
  });

  test('takes the only name that there may be without a look-up', async () => {
    expect(await findUser(createTestContext(), configOf({ corp: isDown }), 'jane')).toMatchObject({
      name: 'corp:jane',
      isExact: false,
    });
  });

  test('takes a name with its prefix, or that is exact, as it is', async () => {
    const two = configOf({ corp: isDown, partner: isDown });
    expect(await findUser(createTestContext(), two, 'corp:jane')).toEqual({
      name: 'corp:jane',
      isExact: false,
      doubt: '',
    });
    expect(await findUser(createTestContext(), two, 'jane', { isExact: true })).toEqual({
      name: 'jane',
      isExact: true,
      doubt: '',
    });
    const context = createTestContext();
    remarkFound(context, 'jane', 'jane', '');
    expect(context.printed.stderr).toBe('');
  });

  test.each([
    {
      lookUps: { corp: knows, partner: knows },
      problem: '--user jane matches several users, since names are as Kubernetes sees them',
    },
    {
      lookUps: { corp: isDown, partner: knowsNot },
      problem:
        "no authenticator of this config knows a user jane. But corp (down) can't be asked, so the name might be right",
    },
  ])('lists the names when $problem', async ({ lookUps, problem }) => {
    await expect(findUser(createTestContext(), configOf(lookUps), 'jane')).rejects.toThrow(
      `${problem}: write one of these:\n  --user corp:jane`,
    );
  });
});
