import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startRedis } from '@sallyport/test-servers/redis';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { waitFor } from '@sallyport/test-servers/wait-for';
import { describe, expect, onTestFinished, test } from 'vitest';
import { configText, createConfigFolder } from '../../testing/config-folder.ts';
import { startGatewayIn } from '../../testing/started-gateway.ts';
import { accountFiles, accounts, tokensOfUsers } from './testing/accounts.ts';
import type { Accounts } from './testing/accounts-plugin.ts';

const jane = { username: 'jane', groups: ['admins', 'staff'] };

interface Finding {
  readonly check: string;
  readonly result: string;
  readonly detail: string;
}

/** Runs commands with these authenticators. */
async function place(authenticators: readonly object[], files: Readonly<Record<string, string>>) {
  const created = await createConfigFolder({ authenticators }, files);
  onTestFinished(() => created[Symbol.asyncDispose]());
  return created.run;
}

/** The rows of a table, each with one space between its cells. */
const tableOf = (text: string, title: string) =>
  text
    .slice(text.indexOf(title))
    .split('\n\n', 1)
    .flatMap((table) => table.split('\n'))
    .map((row) => row.replace(/ {2,}/g, ' | '));

describe('check', () => {
  const checked = async (authenticators: readonly object[], users: readonly object[] = [jane]) => {
    const tokens = Object.fromEntries(users.map((user) => [randomToken(), user]));
    const run = await place(authenticators, accountFiles(tokens, { jane }));
    const { code, stdout } = await run(['check', '-o', 'json']);
    const findings: readonly Finding[] = JSON.parse(stdout).findings;
    const shown = findings.filter(({ result }) => result !== 'ok');
    return [code, ...shown.map(({ check, result, detail }) => `${check} ${result}: ${detail}`)];
  };
  const used = (name: string, use: string) =>
    `authenticator ${name} warning: FOLDER/accounts.mjs: its backend works, but: the config uses it so: ${use}`;
  const withoutFolder = (one: unknown) =>
    String(one).replaceAll(/\/\S*\/(?=accounts\.mjs|gateway\.yaml)/g, 'FOLDER/');

  test('says to each plugin how the config uses it', async () => {
    const directory = { authenticator: 'corp', by: { extra: 'mail' } };
    const found = await checked([
      accounts('oidc', { directory, groups: {} }),
      accounts('corp'),
      accounts('other'),
    ]);
    expect(found.map(withoutFolder)).toEqual([
      '0',
      used('oidc', '{"lookedUpBy":{"extra":"mail"}}'),
      used('corp', '{"isDirectory":true}'),
      used('other', '{}'),
    ]);
  });

  test('warns of users who do not have what they are looked up by', async () => {
    const ada = { username: 'ada', uid: '7' };
    const found = await checked(
      [tokensOfUsers('oidc', { by: 'uid' }), accounts('corp')],
      [ada, jane],
    );
    expect(found).toContain(
      "authenticator oidc warning: @sallyport/authenticator-static: 1 of its users can't be looked up in corp, since they don't have a uid: jane: " +
        'set the option of oidc that gives its users a uid, or another directory.by',
    );
  });

  test('finds a directory that can not look users up, as serve does', async () => {
    const authenticators = [tokensOfUsers('oidc'), accounts('corp', {}, { withoutLookUp: true })];
    const found = await checked(authenticators);
    const problem =
      "authenticator oidc (@sallyport/authenticator-static): corp can't look users up for others (its plugin has no lookUp)";
    expect(found.map(withoutFolder).filter((one) => one.startsWith('directory'))).toEqual([
      `directory error: FOLDER/gateway.yaml:9:22: authenticators[0].directory.authenticator: ${problem}: ` +
        'write the name of an authenticator that can look users up, such as one with use: ldap',
    ]);
    expect(found[0]).toBe(1);
    const files = accountFiles({ [randomToken()]: jane }, { jane });
    await using created = await createConfigFolder({ authenticators }, files);
    await expect(startGatewayIn(created.folder)).rejects.toThrow(problem);
  });

  test.each([
    {
      name: 'itself',
      authenticators: [accounts('oidc', { directory: { authenticator: 'oidc' } })],
      problem: 'is this authenticator itself',
    },
    {
      name: 'no one',
      authenticators: [tokensOfUsers('oidc'), accounts('crop')],
      problem: '"corp" is not an authenticator of this file: did you mean crop?',
    },
    {
      name: 'one that has a directory of its own',
      authenticators: [
        tokensOfUsers('oidc'),
        accounts('corp', { directory: { authenticator: 'oidc' } }),
      ],
      problem: 'corp has a directory of its own',
    },
  ])('finds a directory that is $name', async ({ authenticators, problem }) => {
    const [code, ...found] = await checked(authenticators);
    expect(code).toBe(1);
    expect(found.join('\n')).toContain(`authenticators[0].directory.authenticator: ${problem}`);
  });
});

describe('explain of a token', () => {
  const found = { jane: { username: 'jane', groups: ['admins', 'staff'] } };
  const explained = async (
    directory: { groups?: string; refresh?: string },
    own: object = {},
    accountsFound: Accounts = found,
  ) => {
    const more = directory.groups === undefined ? [] : ['other'];
    const token = randomToken();
    const user = { username: 'jane', groups: ['of-token', ...more] };
    const files = accountFiles({ [token]: user }, accountsFound);
    const run = await place([tokensOfUsers('oidc', directory, own), accounts('corp')], files);
    const { stdout } = await run(['explain'], token);
    return {
      text: stdout,
      json: async () => JSON.parse((await run(['explain', '-o', 'json'], token)).stdout),
    };
  };
  test('shows that the groups of the directory replace those of the token', async () => {
    const { text, json } = await explained({});
    expect(tableOf(text, 'GROUPS of oidc:jane')).toEqual([
      'GROUPS of oidc:jane, from authenticator oidc',
      'BACKEND | KUBERNETES',
      'of-token | replaced by the groups of corp',
    ]);
    expect(tableOf(text, 'GROUPS of corp:jane')).toEqual([
      'GROUPS of corp:jane, from authenticator corp (directory of oidc)',
      'BACKEND | KUBERNETES',
      'admins | corp:admins',
      'staff | corp:staff',
    ]);
    expect(tableOf(text, 'STEPS')).toEqual([
      'STEPS',
      'oidc: the user is looked up in corp as "jane"',
      'oidc: join (uid=jane): 1 entry',
    ]);
    const all = { authenticator: 'oidc', directoryGroups: 'replace' };
    const own = { username: 'oidc:jane', backend: ['of-token'], leftOut: ['of-token'], final: [] };
    const ofCorp = { username: 'corp:jane', backend: ['admins', 'staff'], leftOut: [] };
    expect((await json()).groups).toEqual([
      { ...all, ...own },
      { ...all, directory: 'corp', ...ofCorp, final: ['corp:admins', 'corp:staff'] },
    ]);
  });

  test.each([
    { groups: 'add', other: 'left out by groups.allow', staff: 'corp:staff' },
    {
      groups: 'keep',
      other: 'left out by groups.allow',
      staff: 'not used: directory.groups is keep',
    },
  ])('shows the groups of both with $groups', async ({ groups, other, staff }) => {
    const own = { groups: { prefix: 'o:', allow: ['of-*'] } };
    const { text } = await explained({ groups }, own);
    expect(tableOf(text, 'GROUPS of oidc:jane').slice(2)).toEqual([
      'of-token | o:of-token',
      `other | ${other}`,
    ]);
    expect(tableOf(text, 'GROUPS of corp:jane').at(-1)).toBe(`staff | ${staff}`);
  });

  test('says which of the two is down, and how long gateways use its last answer', async () => {
    const { text } = await explained({ refresh: '7m' }, { cache: 'off' }, null);
    expect(text).toMatch(/^oidc +error +\S+ +directory corp: connect ECONNREFUSED$/m);
    expect(text).toMatch(
      /\nCACHED ANSWERS\ncorp, the directory of oidc, can't be asked now\. A gateway that has one in its memory, which this command can't see, uses it for up to 17m after corp gave it \(refresh and staleTtl\)\.\n$/,
    );
  });

  test('says that a directory that answers could not check this user', async () => {
    const { text } = await explained({}, {}, { jane: null });
    expect(text).toMatch(
      /^oidc +error +\S+ +directory corp: several entries \(looked up: "jane"\)$/m,
    );
    expect(text).toMatch(
      /\nCACHED ANSWERS\ncorp, the directory of oidc, answers, but could not check this user\. /,
    );
  });

  test('finds the names of the directory even if both have one prefix for users', async () => {
    const own = { username: { prefix: 'corp:' }, groups: { prefix: 'o:' } };
    const { text } = await explained({ groups: 'add' }, own);
    expect(tableOf(text, 'GROUPS of corp:jane, from authenticator corp').at(-1)).toBe(
      'staff | corp:staff',
    );
  });

  test('says nothing of a directory where the token does not say whom to look up', async () => {
    const more = { groups: {}, directory: { authenticator: 'corp', by: 'uid' } };
    const oidc = accounts('oidc', more, { tokenPrefix: 'oidc-' });
    const run = await place([oidc, accounts('corp')], accountFiles({}, { jane }));
    const { stdout: text } = await run(['explain'], 'oidc-jane');
    expect(text).toMatch(/^oidc +error +\S+ +the token has no value of uid, by which/m);
    expect(text).not.toMatch(/CACHED ANSWERS|can't be asked/);
  });
});

describe('explain --user', () => {
  const staff = { username: 'jane', groups: ['staff'] };
  const explained = async (directory: object, accountsFound: Accounts, name = 'oidc:jane') => {
    const more = { groups: {}, directory: { authenticator: 'corp', ...directory } };
    const oidc = accounts('oidc', more, { withoutLookUp: true });
    const run = await place([oidc, accounts('corp')], accountFiles({}, accountsFound));
    const { code, stdout } = await run(['explain', '--user', name]);
    const json = JSON.parse((await run(['explain', '--user', name, '-o', 'json'])).stdout);
    return { code, stdout, json };
  };

  test('looks the user of a token up in the directory, as a token would', async () => {
    const { code, stdout, json } = await explained({}, { jane: staff });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^oidc +known +oidc:jane$/m);
    expect(tableOf(stdout, 'GROUPS')).toEqual([
      'GROUPS of corp:jane, from authenticator corp (directory of oidc)',
      'BACKEND | KUBERNETES',
      'staff | corp:staff',
    ]);
    expect(stdout).toContain('\noidc: join (uid=jane): 1 entry\n');
    expect(stdout).toContain(
      '\naccount in corp (directory of oidc): nothing known against the user\n',
    );
    expect(json.authenticators).toMatchObject([
      { authenticator: 'oidc', answer: 'known', account: 'good', directory: 'corp' },
    ]);
  });

  test.each<{
    name: string;
    directory: object;
    accountsFound: Accounts;
    status: number;
    shown: RegExp;
  }>([
    {
      name: 'a disabled account',
      directory: {},
      accountsFound: { jane: { ...staff, refused: 'disabled' } },
      status: 0,
      shown: /^oidc +known +oidc:jane\n.*^account in corp \(directory of oidc\): disabled$/ms,
    },
    {
      name: 'no account',
      directory: {},
      accountsFound: {},
      status: 3,
      shown: /^oidc +not known\n.*^account in corp \(directory of oidc\): not found$/ms,
    },
    {
      name: 'no account, and such users are let in',
      directory: { missing: 'accept' },
      accountsFound: {},
      status: 3,
      shown:
        /^oidc +can't be looked up +only a token shows its user, whom corp does not know \(directory\.missing is accept\)$/m,
    },
    {
      name: 'a directory that is down',
      directory: {},
      accountsFound: null,
      status: 1,
      shown:
        /^oidc +error +directory corp: connect ECONNREFUSED\n.*^corp can't be asked now\. What the gateways have cached of oidc:jane is not known/ms,
    },
    {
      name: 'another key',
      directory: { by: { extra: 'mail' } },
      accountsFound: { jane: staff },
      status: 3,
      shown:
        /^oidc +can't be looked up +only a token shows its user's extra mail, by which corp finds them$/m,
    },
    {
      name: 'groups that only a token shows',
      directory: { groups: 'add' },
      accountsFound: { jane: staff },
      status: 0,
      shown: /^staff +corp:staff\n.*^oidc: only a token shows the groups that oidc itself gives$/ms,
    },
  ])('shows $name', async ({ directory, accountsFound, status, shown }) => {
    const { code, stdout } = await explained(directory, accountsFound);
    expect(code).toBe(status);
    expect(stdout).toMatch(shown);
  });

  test('shows a directory that can not start, in JSON with the keys of every row', async () => {
    const oidc = accounts(
      'oidc',
      { groups: {}, directory: { authenticator: 'corp' } },
      { withoutLookUp: true },
    );
    const corp = accounts('corp', {}, { isBroken: true });
    const run = await place([oidc, corp], accountFiles({}, { jane: staff }));
    const { code, stdout, stderr } = await run(['explain', '--user', 'oidc:jane', '-o', 'json']);
    expect([code, stderr]).toEqual([1, '']);
    expect(JSON.parse(stdout).authenticators).toEqual([
      {
        authenticator: 'oidc',
        answer: 'could not be checked',
        reason: expect.stringContaining('the CA is missing'),
        tokens: null,
        account: null,
        directory: 'corp',
        isNotForLogins: false,
      },
    ]);
  });

  test('a user of the directory is shown as without it', async () => {
    const { stdout } = await explained({}, { jane: staff }, 'corp:jane');
    expect(tableOf(stdout, 'GROUPS')[0]).toBe('GROUPS of corp:jane, from authenticator corp');
    expect(stdout).toContain('\naccount in corp: nothing known against the user\n');
    expect(stdout).not.toContain('oidc');
  });
});

test('a gateway counts, records and shows what a directory says of users, and commands see what it has cached', async () => {
  await using redis = await startRedis();
  const token = randomToken();
  const user = { username: 'jane', groups: ['of-token'] };
  const corp = accounts('corp');
  const config = (oidc: object) => ({
    authenticators: [oidc, corp],
    cache: { redis: { url: redis.url, timeout: '2s', sealingKeys: [{ file: 'sealing-key' }] } },
    audit: { output: 'audit.log' },
  });
  const files = {
    ...accountFiles({ [token]: user }, { jane }),
    'sealing-key': secret(randomBytes(32).toString('base64')),
  };
  const oidc = tokensOfUsers('oidc', { refresh: '1s' });
  await using created = await createConfigFolder(config(oidc), files);
  await using gateway = await startGatewayIn(created.folder);
  const run = async (...words: readonly string[]) =>
    (await created.run(words, words.includes('--user') ? '' : token)).stdout;
  const metrics = async () => (await fetch(`${gateway.adminUrl}/metrics`)).text();
  const name = 'sallyport_directory_lookups_total';
  const lookups = async (result: string) => {
    const series = `${name}{authenticator="oidc",result="${result}"} `;
    return Number((await metrics()).split(series)[1]?.split('\n', 1)[0]);
  };

  expect((await gateway.review(token)).user?.groups).toEqual(['corp:admins', 'corp:staff']);
  expect([await lookups('found'), await lookups('stale'), await lookups('missing')]).toEqual([
    1, 0, 0,
  ]);
  const logged = gateway
    .log()
    .split('\n')
    .find((line) => line.includes('"token review"'));
  expect(JSON.parse(logged ?? '')).toMatchObject({ authenticator: 'oidc', directory: 'corp' });
  const [line] = await waitFor(async () => {
    const trail = await readFile(join(created.folder, 'audit.log'), 'utf8');
    return trail.endsWith('\n') && trail.split('\n');
  }, 'a line of the audit trail');
  expect(JSON.parse(line ?? '')).toMatchObject({
    directory: 'corp',
    account: 'corp:jane',
    username: 'oidc:jane',
  });

  await created.write('accounts.json', JSON.stringify(null));
  await expect
    .poll(async () => {
      await gateway.review(token);
      return lookups('stale');
    })
    .toBeGreaterThan(0);
  const status = JSON.parse(await (await fetch(`${gateway.adminUrl}/status.json`)).text());
  const [shown] = status.authenticators;
  expect(shown).toMatchObject({ healthy: true, directory: { name: 'corp', healthy: false } });
  expect(shown.outage.reason).toBe('directory corp: connect ECONNREFUSED');
  expect(await run('explain')).toMatch(
    /\ncorp, the directory of oidc, can't be asked now\. Until \S+ at the latest, the gateways use their cached answer about this user, shown above\. /,
  );
  const ofUser = () => run('explain', '--user', 'oidc:jane');
  expect(await ofUser()).toMatch(
    /\ncorp can't be asked now\. The gateways still let oidc:jane in by 1 cached answer, until \S+ at the latest, unless there is a block\n/,
  );
  expect(await run('revoke', '--user', 'oidc:jane')).toContain(
    'They keep what corp said of the account and its groups.',
  );
  const json = JSON.parse(await run('explain', '--user', 'oidc:jane', '-o', 'json'));
  expect(json.cached).toMatchObject([{ authenticator: 'oidc', directory: 'corp', answers: 1 }]);
  expect(json.audit).toContainEqual(
    expect.objectContaining({ directory: 'corp', account: 'corp:jane', cached: 'stale' }),
  );
  const ofAccount = JSON.parse(await run('explain', '--user', 'corp:jane', '-o', 'json'));
  expect(ofAccount.audit).toContainEqual(expect.objectContaining({ username: 'oidc:jane' }));
  await run('revoke', '--user', 'corp:jane');
  expect(await ofUser()).toContain(
    "\ncorp can't be asked now, and no answer about oidc:jane is in the cache that the gateways share\n",
  );

  await created.write('accounts.json', JSON.stringify({ jane }));
  await run('block', '--user', 'corp:jane', '--for', '1h');
  const blocked = await ofUser();
  expect(blocked).toMatch(/^oidc +known +oidc:jane$/m);
  expect(blocked).toMatch(/\nblocked as user corp:jane until /);
  const without = configText(config(tokensOfUsers('oidc', {}, { directory: undefined })));
  await created.write('gateway.yaml', without);
  await gateway.reload();
  expect(await metrics()).not.toContain(`${name}{`);
});
