import { spawn } from 'node:child_process';
import { readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type CommandResult, gatewayFolder, runCommand, spawnCommand } from './fixtures/command.ts';
import { temporaryFolder } from './fixtures/folder.ts';
import { configText } from './fixtures/gateway.ts';
import type { IssuerOptions, StoredToken } from './fixtures/issuer-plugin.ts';
import { collectOutput } from './fixtures/output.ts';
import { staticAuthenticator, tokensFile } from './fixtures/static-tokens.ts';
import { randomToken, secret, sha256 } from './fixtures/tokens.ts';
import { waitFor, within } from './fixtures/wait-for.ts';

const plugin = fileURLToPath(new URL('fixtures/issuer-plugin.ts', import.meta.url));

interface Place {
  readonly folder: string;
  readonly config: string;
  /** What `spawnCommand` needs besides the arguments. */
  readonly setup: { readonly cwd: string; readonly env: Readonly<Record<string, string>> };
  run(commandArguments: readonly string[], input?: string): Promise<CommandResult>;
  stored(): Promise<StoredToken[]>;
  /** Which calls the plugin noted, in their order. */
  calls(): Promise<string>;
}

interface Setup {
  /** Besides a username and a group prefix of `robot:`. */
  readonly authenticator?: object;
  readonly options?: Partial<IssuerOptions> | { readonly password: object };
  /** Take the place of the one that issues tokens. */
  readonly authenticators?: readonly object[];
  readonly tokens?: readonly StoredToken[];
  readonly env?: Readonly<Record<string, string>>;
}

function issuing(name: string, more: object = {}, options: object = {}): object {
  return { name, use: './issuer-plugin.ts', ...more, options: { file: 'tokens.json', ...options } };
}

/** A folder with a config and the tokens that the issuer plugin has. */
async function createPlace(setup: Setup = {}): Promise<Place> {
  const folder = await temporaryFolder('issue');
  const config = join(folder, 'gateway.yaml');
  const prefixes = { username: { prefix: 'robot:' }, groups: { prefix: 'robot:' } };
  const authenticators = setup.authenticators ?? [
    issuing('robots', { ...prefixes, ...setup.authenticator }, setup.options),
  ];
  await symlink(plugin, join(folder, 'issuer-plugin.ts'));
  await writeFile(config, configText({ authenticators }));
  await writeFile(join(folder, 'tokens.json'), JSON.stringify(setup.tokens ?? []));
  await writeFile(join(folder, 'tokens.yaml'), tokensFile({ [randomToken()]: 'ci' }));
  const commandSetup = { cwd: folder, env: { SALLYPORT_CONFIG: config, ...setup.env } };
  return {
    folder,
    config,
    setup: commandSetup,
    run: (commandArguments, input) => runCommand(['token', ...commandArguments], commandSetup, input),
    stored: async () => JSON.parse(await readFile(join(folder, 'tokens.json'), 'utf8')),
    calls: () => readFile(join(folder, 'tokens.json.calls'), 'utf8').catch(() => ''),
  };
}

/** When so many hours are over. */
const inHours = (hours: number): string => new Date(Date.now() + hours * 3_600_000).toISOString();

/** The record of a token, made an hour ago unless `more` says otherwise. */
function record(digest: string, username = 'jane', more: Partial<StoredToken> = {}): StoredToken {
  return {
    digest: digest.padEnd(64, '0'),
    user: { username },
    issuedAt: inHours(-1.005),
    issuedBy: 'ops',
    ...more,
  };
}

describe.concurrent('sallyport token', () => {
  test.each(['create', 'list', 'revoke', 'hash'])('%s --help tells how, and exits 0', async (verb) => {
    const { code, stdout, stderr } = await (await createPlace()).run([verb, '--help']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(new RegExp(`^Usage: sallyport token ${verb} `));
    expect(stdout).toContain('--output <format>');
  });

  test('--help lists the verbs', async () => {
    const { stdout } = await (await createPlace()).run(['--help']);
    expect(stdout.match(/^ {2}\w+ \[options\]/gm)).toEqual(
      ['create', 'list', 'revoke', 'hash'].map((verb) => `  ${verb} [options]`),
    );
  });

  test('a token lives: it is made, taken, listed, revoked, refused', async () => {
    const { folder, setup, run, calls } = await createPlace();
    const made = await run(['create', '--user', 'jane', '--group', 'dev', '--ttl', '8h']);
    expect(made.code).toBe(0);
    const token = secret(made.stdout.trim());
    const explain = async (): Promise<{ authenticated: boolean }> =>
      JSON.parse((await runCommand(['explain', '-o', 'json'], setup, token)).stdout).status;
    expect(await explain()).toEqual({
      authenticated: true,
      user: { username: 'robot:jane', groups: ['robot:dev'] },
    });
    expect((await run(['list'])).stdout).toMatch(
      new RegExp(`^${sha256(token).slice(0, 12)} +robot:jane +robot:dev +\\d+s +7h59m +good$`, 'm'),
    );
    const revoked = await run(['revoke', '--token', '--reason', 'leaked', '--by', 'ops'], `${token}\n`);
    expect(revoked).toMatchObject({ code: 0, stderr: '' });
    expect(await explain()).toEqual({ authenticated: false });
    expect((await run(['list', '--user', 'jane'])).stdout).toMatch(/ revoked$/m);
    // Each issuer was closed, and nothing else was kept of the token.
    expect(await calls()).toBe('closed\n'.repeat(4));
    expect(await readFile(join(folder, 'tokens.json'), 'utf8')).not.toContain(token);
  });
});

describe.concurrent('whose tokens', () => {
  const two = [issuing('ci', {}, { tokenPrefix: 'ci_' }), issuing('robots'), staticAuthenticator2('people')];

  function staticAuthenticator2(name: string): object {
    return { ...staticAuthenticator, name };
  }

  test.each([['list'], ['create', '--user', 'jane', '--ttl', '8h'], ['revoke', '--user', 'jane']])(
    '%s asks for --authenticator where several issue tokens',
    async (...command) => {
      const { run, calls } = await createPlace({ authenticators: two });
      const { code, stdout, stderr } = await run(command);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toBe('sallyport: several authenticators issue tokens: write --authenticator ci or robots\n');
      expect(await calls()).toBe('');
    },
  );

  test('--authenticator picks one, and the way to revoke names it', async () => {
    const { run, config } = await createPlace({ authenticators: two });
    const { code, stdout, stderr } = await run(['create', '--authenticator', 'ci', '--user', 'jane', '--ttl', '1h']);
    expect([code, stdout.slice(0, 3)]).toEqual([0, 'ci_']);
    const digest = sha256(secret(stdout.trim())).slice(0, 12);
    const command = `sallyport token revoke --digest ${digest} --authenticator ci --config ${config}`;
    expect(stderr).toContain(`\nTo revoke it: ${command}\n`);
    expect((await run(command.split(' ').slice(2))).stdout).toContain(`revoked ${digest}  jane  (issued `);
  });

  test('an unknown name is wrong usage, with the one that was meant', async () => {
    const { run, config } = await createPlace({ authenticators: two });
    const { code, stderr } = await run(['list', '--authenticator', 'robot']);
    expect(code).toBe(2);
    expect(stderr).toBe(
      `sallyport: --authenticator: "robot" is not in ${config}, which has ci, robots, people. Did you mean robots?\n`,
    );
  });

  test('one that issues none is a fault, and so is a config without one', async () => {
    const several = await createPlace({ authenticators: two });
    expect(await several.run(['list', '--authenticator', 'people'])).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'sallyport: authenticator people (@sallyport/authenticator-static) issues no tokens; those that do: ci, robots\n',
    });
    const none = await createPlace({ authenticators: [staticAuthenticator2('people')] });
    expect(await none.run(['list'])).toEqual({
      code: 1,
      stdout: '',
      stderr: `sallyport: no authenticator of ${none.config} issues tokens; it has people (@sallyport/authenticator-static)\n`,
    });
  });

  test('an issuer that can’t be made is told with its place and its words', async () => {
    const { run, config, calls } = await createPlace({ options: { fails: 'createTokenIssuer', message: 'no url' } });
    expect(await run(['list'])).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        new RegExp(
          `^sallyport: ${config}:\\d+:\\d+: authenticators\\[0\\]: authenticator robots \\(.*\\) can't issue tokens: no url\n$`,
        ),
      ),
    });
    expect(await calls()).toBe('');
  });
});

describe.concurrent('token create', () => {
  const create = ['create', '--user', 'jane', '--ttl', '8h'];

  test('prints the token alone, and on standard error what it is, without it', async () => {
    const { run } = await createPlace({ options: { tokenPrefix: 'slp_' } });
    const { code, stdout, stderr } = await run([...create, '--group', 'dev', '--group', 'ops', '--audience', 'vault']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^slp_[\w-]{32}\n$/);
    const token = stdout.trim();
    expect(stderr).not.toContain(token.slice(4));
    expect(stderr.split('\n')).toEqual([
      'The token is shown this once. As Kubernetes sees it:',
      '  user       robot:jane',
      '  groups     robot:dev, robot:ops',
      '  audiences  vault',
      expect.stringMatching(/^ {2}until {6}20\d\d-.*Z \(8h\)$/),
      `  digest     ${sha256(token).slice(0, 12)}`,
      expect.stringMatching(/^To revoke it: sallyport token revoke --digest [0-9a-f]{12} --config \//),
      '',
    ]);
  });

  test('keeps all that is said of the token', async () => {
    const { run, stored } = await createPlace({ env: { SUDO_USER: 'zoë' } });
    const said = ['--uid', '7', '--extra', 'team=a', 'team=b=c', '--extra', 'x/y=z', '--reason', 'a build'];
    const { code } = await run([
      'create',
      '--user',
      'jane',
      '--ttl',
      'never',
      '--not-before',
      '2030-01-31T13:00:00+01:00',
      ...said,
    ]);
    expect(code).toBe(0);
    expect(await stored()).toEqual([
      {
        digest: expect.stringMatching(/^[0-9a-f]{64}$/),
        user: { username: 'jane', uid: '7', extra: { team: ['a', 'b=c'], 'x/y': ['z'] } },
        notBefore: '2030-01-31T12:00:00.000Z',
        issuedAt: expect.any(String),
        issuedBy: 'zoë',
        reason: 'a build',
      },
    ]);
    await run([...create, '--issued-by', 'ops']);
    expect((await stored())[1]).toMatchObject({ issuedBy: 'ops' });
  });

  test('says of a token that begins later and never ends when it is good', async () => {
    const { run } = await createPlace();
    const { stderr } = await run([
      'create',
      '--user',
      'jane',
      '--ttl',
      'never',
      '--not-before',
      '2099-01-01T00:00:00Z',
    ]);
    expect(stderr).toContain('\n  groups     none\n  from       2099-01-01T00:00:00Z\n  until      never ends\n');
  });

  test('-o json prints all on standard output', async () => {
    const { run } = await createPlace();
    const { code, stdout, stderr } = await run([
      ...create,
      '--group',
      'dev',
      '--reason',
      'r',
      '--issued-by',
      'ops',
      '-o',
      'json',
    ]);
    expect([code, stderr]).toEqual([0, '']);
    const json = JSON.parse(stdout);
    expect(json).toEqual({
      token: expect.any(String),
      authenticator: 'robots',
      digest: sha256(json.token),
      state: 'good',
      user: { username: 'robot:jane', groups: ['robot:dev'] },
      record: { username: 'jane', groups: ['dev'] },
      expiresAt: expect.stringMatching(/Z$/),
      issuedAt: expect.stringMatching(/Z$/),
      issuedBy: 'ops',
      reason: 'r',
    });
    expect(stdout.split(json.token).length).toBe(2);
  });

  test.each([
    [
      '--ttl is missing',
      ['--user', 'jane'],
      '--ttl is missing: write --ttl 8h, or --ttl never for a token without an end',
    ],
    ['no time', ['--user', 'jane', '--ttl', '0'], '--ttl must be longer than 0'],
    ['no duration', ['--user', 'jane', '--ttl', 'soon'], '--ttl: "soon" is no duration: write --ttl 8h, 30d or never'],
    ['nobody', ['--user', '', '--ttl', '8h'], '--user is empty'],
    ['an empty group', ['--user', 'jane', '--ttl', '8h', '--group', ''], '--group is empty'],
    ['an extra without a value', ['--user', 'jane', '--ttl', '8h', '--extra', 'team'], '--extra needs key=value'],
    ['nobody who has it made', ['--user', 'jane', '--ttl', '8h', '--issued-by', ''], '--issued-by is empty'],
    [
      'an end before the beginning',
      ['--user', 'jane', '--ttl', '8h', '--not-before', '2099-01-01T00:00:00Z'],
      '--not-before is not before the end',
    ],
    ['the prefix', ['--user', 'robot:jane', '--ttl', '8h'], '--user is without the prefix robot:; write --user jane'],
    ['the prefix alone', ['--user', 'robot:', '--ttl', '8h'], '--user is without the prefix robot:; write --user NAME'],
    [
      'a group with the prefix',
      ['--user', 'jane', '--ttl', '8h', '--group', 'robot:dev'],
      '--group is without the prefix robot:; write --group dev',
    ],
  ])('%s is wrong usage, and makes nothing', async (_name, options, message) => {
    const { run, stored, calls } = await createPlace();
    const { code, stdout, stderr } = await run(['create', ...options]);
    expect([code, stdout, await stored(), await calls()]).toEqual([2, '', [], '']);
    expect(stderr.startsWith(`sallyport: ${message}`)).toBe(true);
  });

  test('without --user is wrong usage', async () => {
    const { code, stderr } = await (await createPlace()).run(['create', '--ttl', '8h']);
    expect([code, stderr]).toEqual([2, "error: required option '--user <name>' not specified\n"]);
  });

  test('without prefixes a name stands as it is', async () => {
    const { run } = await createPlace({ authenticators: [issuing('robots')] });
    const { code, stdout } = await run(['create', '--user', 'robot:jane', '--ttl', '8h', '-o', 'json']);
    expect([code, JSON.parse(stdout).user]).toEqual([0, { username: 'robot:jane' }]);
  });

  test.each([
    [
      'a system: name',
      { username: { prefix: '' } },
      ['--user', 'system:admin'],
      'a system: name is not in allowSystemNames: system:admin',
    ],
    [
      'a system: group',
      { groups: { prefix: '' } },
      ['--user', 'jane', '--group', 'system:masters'],
      'a system: name is not in allowSystemNames: system:masters',
    ],
    [
      "a name of another's",
      {},
      ['--user', 'ci:jane'],
      'the prefix robot:ci: belongs to another authenticator: robot:ci:jane',
    ],
    ['too many groups', { groups: { max: 1 } }, ['--user', 'jane', '--group', 'a', 'b'], '2 groups, over groups.max 1'],
    ['an extra key', {}, ['--user', 'jane', '--extra', 'Team=a'], 'an extra key is not lowercase: Team'],
  ])('refuses %s, which each use would be refused for', async (_name, policy, user, rule) => {
    const authenticators = [
      issuing('robots', { username: { prefix: 'robot:' }, ...policy }),
      { ...staticAuthenticator, name: 'ci', username: { prefix: 'robot:ci:' } },
    ];
    const { run, config, stored, calls } = await createPlace({ authenticators });
    const { code, stdout, stderr } = await run(['create', ...user, '--ttl', '8h']);
    expect([code, stdout, await stored(), await calls()]).toEqual([1, '', [], '']);
    expect(stderr).toBe(
      `sallyport: no token was made, since each use of it would be refused: ${rule}. ` +
        `Give other names, or change what ${config} allows authenticator robots\n`,
    );
  });

  test('allowed system: names pass', async () => {
    const { run } = await createPlace({ authenticator: { groups: {}, allowSystemNames: ['system:masters'] } });
    const { code, stderr } = await run([...create, '--group', 'system:masters']);
    expect([code, stderr.includes('  groups     system:masters\n')]).toEqual([0, true]);
  });

  test('warns of groups that groups.allow leaves out', async () => {
    const { run, stored } = await createPlace({ authenticator: { groups: { allow: ['dev*'] } } });
    const { code, stderr } = await run([...create, '--group', 'dev-a', '--group', 'qa', '--group', 'ops']);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /^sallyport: groups\.allow of authenticator robots leaves out qa, ops: Kubernetes will not see that the token has it\n/,
    );
    expect(stderr).toContain('\n  groups     dev-a\n');
    expect((await stored())[0]?.user.groups).toEqual(['dev-a', 'qa', 'ops']);
  });

  test('an issuer’s error is told in its words, with its place, and the issuer is closed', async () => {
    const { run, config, calls } = await createPlace({ options: { fails: 'create' } });
    const { code, stdout, stderr } = await run(create);
    expect([code, stdout, await calls()]).toEqual([1, '', 'closed\n']);
    expect(stderr).toContain(`sallyport: ${config}:`);
    expect(stderr).toMatch(
      /: authenticators\[0\]: authenticator robots \(.*\) could not make the token: the store is away: start it\n$/,
    );
  });

  test('an error that quotes a secret of the options is withheld', async () => {
    const { run } = await createPlace({
      options: { fails: 'create', message: 'the password PASSWORD is wrong', password: { env: 'PASSWORD' } },
      env: { PASSWORD: randomToken() },
    });
    const { code, stderr } = await run(create);
    expect(code).toBe(1);
    expect(stderr).toMatch(/could not make the token: what the plugin says of it quotes a secret and is withheld\n$/);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s ends it at once, and it says that a token may be left',
    async (signal) => {
      const { setup, calls } = await createPlace({ options: { hangs: 'create' } });
      const child = spawnCommand(['token', ...create], setup);
      const ended = new Promise((resolve) => child.once('close', resolve));
      if (!child.stdout || !child.stderr) {
        throw new Error('no output');
      }
      const output = collectOutput(child.stdout, child.stderr);
      await waitFor(async () => (await calls()) === 'hangs\n', 'the call');
      child.kill(signal);
      expect(await within(ended, 'the end')).toBe(1);
      expect(output.text()).toMatch(
        / may or may not have made the token, which "sallyport token list --user jane" tells: interrupted\n$/,
      );
      expect(await calls()).toBe('hangs\nclosed\n');
    },
  );

  test('a token that can’t be printed is no success', async () => {
    const { setup } = await createPlace();
    const command = `exec '${process.execPath}' '${join(gatewayFolder, 'src/cli.ts')}' token ${create.join(' ')} > /dev/full`;
    const child = spawn('sh', ['-c', command], { ...setup, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    expect(await within(new Promise((resolve) => child.once('close', resolve)), 'the end')).toBe(1);
    expect(stderr).toContain("sallyport: standard output can't be written: ENOSPC");
    expect(stderr).toContain('\nTo revoke it: ');
  });
});

describe.concurrent('token list', () => {
  // Made by each test: their ages are looked at.
  const makeTokens = (): StoredToken[] => [
    record('a1', 'old', { issuedAt: inHours(-24 * 5 - 3.1), expiresAt: inHours(-2.1) }),
    record('a2', 'new', { user: { username: 'new', groups: ['dev', 'ops'] }, issuedAt: inHours(-0.505) }),
    record('a3', 'later', { notBefore: inHours(1), expiresAt: inHours(24 * 8.1), issuedAt: inHours(-2.005) }),
    record('a4', 'gone', { issuedAt: inHours(-3.1), revoked: { at: inHours(-1), by: 'ops', reason: 'left' } }),
    record('a5', 'ci:x', { issuedAt: inHours(-4.1) }),
    record('b1', 'x', { fault: 'user.username is not a string' }),
    record('a6', 'timeless', { issuedAt: undefined, issuedBy: undefined } as object),
  ];
  const authenticators = (options = {}): object[] => [
    issuing('robots', { username: { prefix: 'robot:' }, groups: { prefix: 'robot:', allow: ['dev'] } }, options),
    { ...staticAuthenticator, name: 'ci', username: { prefix: 'robot:ci:' } },
  ];

  test('prints a table: names as Kubernetes sees them, the newest first, what can’t be read last', async () => {
    const { run } = await createPlace({ authenticators: authenticators(), tokens: makeTokens() });
    const { code, stdout, stderr } = await run(['list']);
    expect([code, stdout.split('\n').map((line) => line.split(/ {3,}/))]).toEqual([
      0,
      [
        ['DIGEST', 'USER', 'GROUPS', 'AGE', 'EXPIRES', 'STATE'],
        ['a20000000000', 'robot:new', 'robot:dev', '30m', 'never', 'good'],
        ['a30000000000', 'robot:later', '120m', '8d', 'not yet valid'],
        ['a40000000000', 'robot:gone', '3h6m', 'never', 'revoked'],
        ['a50000000000', 'robot:ci:x', '4h6m', 'never', 'refused by policy'],
        ['a10000000000', 'robot:old', '5d3h', '126m ago', 'expired'],
        ['a60000000000', 'robot:timeless', 'never', 'good'],
        ['b10000000000', 'unreadable: user.username is not a string'],
        [''],
      ],
    ]);
    expect(stderr).toBe(
      'sallyport: 1 record is unreadable and authenticates nobody: mend or delete what is stored there\n',
    );
  });

  test('-o json has whole digests, both names and ISO times', async () => {
    const tokens = makeTokens();
    const { run } = await createPlace({ authenticators: authenticators(), tokens });
    const { code, stdout, stderr } = await run(['list', '-o', 'json']);
    expect([code, stderr]).toEqual([0, expect.stringContaining('1 record is unreadable')]);
    const listed = JSON.parse(stdout);
    expect(listed.unreadable).toEqual([{ digest: tokens[5]?.digest, fault: 'user.username is not a string' }]);
    expect(listed.tokens.map(({ state }: { state: string }) => state)).toEqual([
      'good',
      'not yet valid',
      'revoked',
      'refused by policy',
      'expired',
      'good',
    ]);
    expect(listed.tokens[0]).toEqual({
      authenticator: 'robots',
      digest: tokens[1]?.digest,
      state: 'good',
      user: { username: 'robot:new', groups: ['robot:dev'] },
      record: { username: 'new', groups: ['dev', 'ops'] },
      issuedAt: tokens[1]?.issuedAt,
      issuedBy: 'ops',
    });
    expect(listed.tokens[2].revoked).toEqual(tokens[3]?.revoked);
    expect(listed.tokens[3].breach).toEqual({
      rule: 'the prefix robot:ci: belongs to another authenticator',
      name: 'robot:ci:x',
    });
  });

  test('tells the last use where it is tracked', async () => {
    const used = [
      record('a1', 'a', { issuedAt: inHours(-1.1), lastUsedAt: inHours(-0.205) }),
      record('a2', 'b', { issuedAt: inHours(-2.1), lastUsedAt: null }),
      record('a3', 'c', { issuedAt: inHours(-3.1) }),
    ];
    const { run } = await createPlace({ tokens: used });
    const lines = (await run(['list'])).stdout.split('\n').map((line) => line.split(/ {3,}/).slice(-3));
    expect(lines.slice(0, 4)).toEqual([
      ['EXPIRES', 'LAST USE', 'STATE'],
      ['never', '12m ago', 'good'],
      ['never', 'never', 'good'],
      ['3h6m', 'never', 'good'],
    ]);
    const { tokens: json } = JSON.parse((await run(['list', '-o', 'json'])).stdout);
    expect(json.map((one: StoredToken) => one.lastUsedAt)).toEqual([used[0]?.lastUsedAt, null, undefined]);
  });

  test.each([
    [['--user', 'new'], ['robot:new']],
    [['--user', 'robot:new'], ['robot:new']],
    [['--user', 'ew'], []],
    [['--digest', 'A3'], ['robot:later']],
    [['--digest', 'a', '--user', 'old'], ['robot:old']],
    [['--digest', 'a3', '--user', 'old'], []],
  ])('%j picks out %j', async (filter, users) => {
    const { run } = await createPlace({ authenticators: authenticators(), tokens: makeTokens() });
    const { code, stdout } = await run(['list', '-o', 'json', ...filter]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout).tokens.map(({ user }: StoredToken) => user.username)).toEqual(users);
  });

  test('nothing is told as nothing, and exits 0', async () => {
    const { run } = await createPlace();
    expect(await run(['list'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'sallyport: authenticator robots has no tokens\n',
    });
    expect(await run(['list', '--user', 'x'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'sallyport: authenticator robots has no such token\n',
    });
    expect(await run(['list', '-o', 'json'])).toMatchObject({
      code: 0,
      stdout: '{\n  "tokens": [],\n  "unreadable": []\n}\n',
    });
  });

  test.each([
    [['--user', ''], '--user is empty'],
    [['--user', 'robot:'], '--user is the prefix alone: write --user robot:NAME'],
    [['--digest', 'xyz'], '--digest has a character that is no hexadecimal digit'],
    [['--digest', ''], '--digest has 0 digits: give at least the first 1 of 64'],
    [['--digest', '0'.repeat(65)], '--digest has 65 digits: SHA-256 has 64'],
  ])('%j is wrong usage', async (filter, message) => {
    const { run, calls } = await createPlace();
    const { code, stdout, stderr } = await run(['list', ...filter]);
    expect([code, stdout, await calls()]).toEqual([2, '', '']);
    expect(stderr.startsWith(`sallyport: ${message}`)).toBe(true);
  });

  test('a listing that breaks off prints no part for the whole', async () => {
    const { run, calls } = await createPlace({
      authenticators: authenticators({ fails: 'list', after: 2 }),
      tokens: makeTokens(),
    });
    const { code, stdout, stderr } = await run(['list']);
    expect([code, stdout, await calls()]).toEqual([1, '', 'closed\n']);
    expect(stderr).toMatch(/ could not list its tokens: the store is away: start it\n$/);
  });

  test('what others wrote into a name can’t play tricks on the terminal', async () => {
    const evil = record('a1', 'x\u001b[2J\nb20000000000   root', { fault: undefined } as object);
    const { run } = await createPlace({ tokens: [evil, record('a2', 'y', { fault: 'bad\u001b[31m' })] });
    const { stdout } = await run(['list']);
    expect(stdout).toContain(String.raw`robot:x\u{1b}[2J\u{a}b20000000000   root`);
    expect(stdout).not.toContain('\u001b');
    expect(stdout.split('\n').length).toBe(4);
  });

  test('many are listed in seconds, with no word of progress where nobody looks', async () => {
    const many = Array.from({ length: 20_000 }, (_, index) => record(sha256(String(index)), `u${index}`));
    const { run } = await createPlace({ tokens: many });
    const begin = performance.now();
    const { code, stdout, stderr } = await run(['list']);
    expect([code, stdout.split('\n').length, stderr]).toEqual([0, 20_002, '']);
    expect(performance.now() - begin).toBeLessThan(10_000);
  });
});

describe.concurrent('token revoke', () => {
  const tokens = [
    record('abcdef0011', 'jane', { issuedAt: inHours(-24 * 5.01) }),
    record('abcdef0022', 'bob'),
    record('cc', 'jane', { revoked: { at: '2026-01-01T00:00:00.000Z', by: 'sec' } }),
  ];
  const ofCaches = [
    'Answers that were cached before may pass a little longer: for some seconds in a gateway, and in each kube-apiserver',
    'until its own cache ends, after 2 minutes unless its --authentication-token-webhook-cache-ttl says otherwise.',
    '',
  ];

  test.each([['jane'], ['robot:jane']])('--user %s revokes all of that user, and nobody else’s', async (user) => {
    const { run, stored, calls } = await createPlace({ tokens });
    const { code, stdout, stderr } = await run(['revoke', '--user', user, '--reason', 'left', '--by', 'zoë']);
    expect([code, stderr, await calls()]).toEqual([0, '', 'closed\n']);
    expect(stdout.split('\n')).toEqual([
      'revoked abcdef001100  robot:jane  (issued 5d ago by ops)',
      'cc0000000000  robot:jane  was revoked already at 2026-01-01T00:00:00Z by sec',
      '1 token revoked, 1 revoked already.',
      ...ofCaches,
    ]);
    expect((await stored()).map(({ revoked }) => revoked)).toEqual([
      { at: expect.any(String), by: 'zoë', reason: 'left' },
      undefined,
      { at: '2026-01-01T00:00:00.000Z', by: 'sec' },
    ]);
  });

  test('says by whom: the person behind sudo', async () => {
    const { run, stored } = await createPlace({ tokens, env: { SUDO_USER: 'zoë' } });
    await run(['revoke', '--user', 'bob']);
    expect((await stored())[1]?.revoked).toEqual({ at: expect.any(String), by: 'zoë' });
  });

  test('--token takes it from standard input', async () => {
    const token = randomToken();
    const { run, stored } = await createPlace({ tokens: [record(sha256(token))] });
    const { code, stdout } = await run(['revoke', '--token'], `${token}\n`);
    expect([code, stdout.split('\n')[1]]).toEqual([0, '1 token revoked.']);
    expect((await stored())[0]).toHaveProperty('revoked');
  });

  test.each([
    ['its first digits', 'ABCDEF0022'],
    ['the whole', 'abcdef0022'.padEnd(64, '0')],
  ])('--digest takes %s', async (_name, digest) => {
    const { run, stored } = await createPlace({ tokens });
    const { code, stdout } = await run(['revoke', '--digest', digest]);
    expect([code, stdout.split('\n')[0]]).toEqual([
      0,
      expect.stringMatching(/^revoked abcdef002200 {2}robot:bob {2}\(issued \d+m ago by ops\)$/),
    ]);
    expect((await stored()).map(({ revoked }) => revoked !== undefined)).toEqual([false, true, true]);
  });

  test('first digits of several are wrong usage, and revoke nothing', async () => {
    const { run, stored } = await createPlace({ tokens });
    const { code, stdout, stderr } = await run(['revoke', '--digest', 'abcdef00']);
    expect([code, stdout, await stored()]).toEqual([2, '', tokens]);
    expect(stderr).toBe(
      'sallyport: --digest abcdef00 is the beginning of several, give more digits:\n' +
        '    abcdef001100  robot:jane\n    abcdef002200  robot:bob\n',
    );
  });

  test('of many, ten are told, with as many digits as tell them apart', async () => {
    const many = Array.from({ length: 12 }, (_, index) => record(`abcdef012345${10 + index}`));
    const { run } = await createPlace({ tokens: many });
    const { code, stderr } = await run(['revoke', '--digest', 'abcdef012345']);
    expect([code, stderr.split('\n').length]).toEqual([2, 13]);
    expect(stderr).toContain(`    ${many[9]?.digest}  robot:jane\n    and 2 more\n`);
  });

  test.each([
    ['a token', ['--token'], 'no such token'],
    ['a user', ['--user', 'ann'], 'no token of user robot:ann'],
    ['first digits', ['--digest', 'DEADBEEF'], 'no token whose digest begins with deadbeef'],
    ['a digest', ['--digest', 'd'.repeat(64)], `no token whose digest begins with ${'d'.repeat(64)}`],
  ])('%s that is not there exits 1', async (_name, what, message) => {
    const { run } = await createPlace({ tokens });
    const token = randomToken();
    const stderr = `sallyport: authenticator robots has ${message}\n`;
    expect(await run(['revoke', ...what], token)).toEqual({ code: 1, stdout: '', stderr });
    const json = await run(['revoke', '-o', 'json', ...what], token);
    expect(json).toMatchObject({ code: 1, stderr });
    expect(JSON.parse(json.stdout)).toEqual({ revoked: [], already: [], unreadable: [] });
  });

  test.each([
    [
      [],
      'say which tokens to revoke by one of these: --token (which is read from standard input), --digest DIGITS, --user NAME',
    ],
    [['--token', '--user', 'jane'], 'say which tokens to revoke by one of these'],
    [['--digest', 'abcdef0011', '--user', 'jane'], 'say which tokens to revoke by one of these'],
    [['--digest', 'abcdef0'], '--digest has 7 digits: give at least the first 8 of 64'],
    [['--digest', 'not-hex-at-all'], '--digest has a character that is no hexadecimal digit'],
    [['--user', ''], '--user is empty'],
    [['--user', 'robot:'], '--user is the prefix alone'],
    [['--user', 'jane', '--reason', ''], '--reason is empty'],
    [['--user', 'jane', '--by', ''], '--by is empty'],
    [['--token'], 'no token on standard input'],
  ])('%j is wrong usage, and revokes nothing', async (what, message) => {
    const { run, stored, calls } = await createPlace({ tokens });
    const { code, stdout, stderr } = await run(['revoke', ...what]);
    expect([code, stdout, await stored(), await calls()]).toEqual([2, '', tokens, '']);
    expect(stderr.startsWith(`sallyport: ${message}`)).toBe(true);
  });

  test('-o json tells the same in three lists', async () => {
    const { run } = await createPlace({ tokens: [...tokens, record('ee', 'x', { fault: 'broken' })] });
    const { code, stdout } = await run(['revoke', '--user', 'jane', '--by', 'zoë', '-o', 'json']);
    expect([code, JSON.parse(stdout)]).toEqual([
      1,
      {
        revoked: [
          {
            authenticator: 'robots',
            digest: tokens[0]?.digest,
            state: 'revoked',
            user: { username: 'robot:jane' },
            record: { username: 'jane' },
            issuedAt: tokens[0]?.issuedAt,
            issuedBy: 'ops',
            revoked: { at: expect.stringMatching(/Z$/), by: 'zoë' },
          },
        ],
        already: [expect.objectContaining({ digest: tokens[2]?.digest, revoked: tokens[2]?.revoked })],
        unreadable: [{ digest: 'ee'.padEnd(64, '0'), fault: 'broken' }],
      },
    ]);
  });

  test('what can’t be read may be the user’s: it is told, the others are revoked, and it exits 1', async () => {
    const { run, stored } = await createPlace({ tokens: [record('ee', 'x', { fault: 'broken' }), ...tokens] });
    const { code, stdout, stderr } = await run(['revoke', '--user', 'bob']);
    expect([code, stdout.split('\n').slice(0, 2)]).toEqual([
      1,
      [expect.stringMatching(/^revoked abcdef002200 {2}robot:bob /), '1 token revoked, 1 unreadable.'],
    ]);
    expect(stderr).toBe(
      'sallyport: ee0000000000 was not revoked: its record is unreadable, so it may be theirs: broken\n',
    );
    expect((await stored())[2]).toHaveProperty('revoked');
  });

  test('one that can’t be read is not revoked by its digest either', async () => {
    const { run } = await createPlace({ tokens: [record('eeeeeeee', 'x', { fault: 'broken' })] });
    expect(await run(['revoke', '--digest', 'eeeeeeee'])).toEqual({
      code: 1,
      stdout: '0 tokens revoked, 1 unreadable.\n',
      stderr:
        'sallyport: eeeeeeee0000 was not revoked: its record is unreadable, so it authenticates nobody as it is: broken\n',
    });
  });

  test('a fault in the middle: what was revoked until then is told, then the fault', async () => {
    const { run, calls } = await createPlace({ tokens, options: { fails: 'revoke', after: 1 } });
    const { code, stdout, stderr } = await run(['revoke', '--user', 'jane']);
    expect([code, await calls()]).toEqual([1, 'closed\n']);
    expect(stdout).toMatch(/^revoked abcdef001100 .*\n1 token revoked\.\nAnswers /);
    expect(stderr).toMatch(/ could not revoke all that was asked: the store is away: start it\n$/);
  });

  test('the same in JSON', async () => {
    const { run } = await createPlace({ tokens, options: { fails: 'revoke', after: 1 } });
    const { code, stdout, stderr } = await run(['revoke', '--user', 'jane', '-o', 'json']);
    expect([code, JSON.parse(stdout).revoked.length]).toEqual([1, 1]);
    expect(stderr).toContain('could not revoke all that was asked');
  });

  test('an error that quotes the token is withheld', async () => {
    const { run } = await createPlace({ options: { fails: 'revoke', message: 'no key slp:TOKEN' } });
    const { code, stdout, stderr } = await run(['revoke', '--token'], randomToken());
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/: what the plugin says of it quotes a secret and is withheld\n$/);
  });

  test('Ctrl-C in the middle: what was revoked until then is told', async () => {
    const { setup, calls } = await createPlace({ tokens, options: { hangs: 'revoke', after: 1 } });
    const child = spawnCommand(['token', 'revoke', '--user', 'jane', '-o', 'json'], setup);
    const ended = new Promise((resolve) => child.once('close', resolve));
    if (!child.stdout || !child.stderr) {
      throw new Error('no output');
    }
    const output = collectOutput(child.stdout, child.stderr);
    await waitFor(async () => (await calls()) === 'hangs\n', 'the second token');
    child.kill('SIGINT');
    expect(await within(ended, 'the end')).toBe(1);
    expect(JSON.parse(output.stdout()).revoked).toHaveLength(1);
    expect(output.text()).toMatch(/ could not revoke all that was asked: interrupted\n$/);
    expect(await calls()).toBe('hangs\nclosed\n');
  });

  test('goes on when nobody reads what it prints', async () => {
    const theirs = Array.from({ length: 20 }, (_, index) => record(sha256(String(index))));
    const { setup, stored } = await createPlace({ tokens: theirs });
    const child = spawnCommand(['token', 'revoke', '--user', 'jane'], setup);
    child.stdout?.destroy();
    expect(await within(new Promise((resolve) => child.once('close', resolve)), 'the end')).toBe(0);
    expect((await stored()).every(({ revoked }) => revoked !== undefined)).toBe(true);
  });
});

describe.concurrent('sallyport check', () => {
  const check = async (...prefixes: (string | undefined)[]): Promise<CommandResult> => {
    const authenticators = prefixes.map((tokenPrefix, index) =>
      issuing(['ci', 'robots', 'people'][index] ?? '', {}, tokenPrefix === undefined ? {} : { tokenPrefix }),
    );
    const { setup } = await createPlace({ authenticators });
    return runCommand(['check', '-o', 'json'], setup);
  };

  test('warns of tokens that are taken for those of another authenticator', async () => {
    const { code, stdout } = await check('slp_', 'slp_ci_');
    expect(code).toBe(0);
    expect(JSON.parse(stdout).findings.slice(-3)).toEqual([
      expect.objectContaining({ check: 'authenticator ci', result: 'ok' }),
      expect.objectContaining({ check: 'authenticator robots', result: 'ok' }),
      {
        check: 'token prefixes',
        result: 'warning',
        detail: expect.stringMatching(
          /^ci and robots: their tokens begin with slp_ and slp_ci_, .*a trip for nothing.*robots is never asked\. Give them prefixes of their own$/,
        ),
      },
    ]);
  });

  test.each([[['slp_', 'ghp_']], [['', '', 'slp_']], [[undefined, undefined]]])('%j are well', async (prefixes) => {
    const { code, stdout } = await check(...prefixes);
    expect(code).toBe(0);
    expect(stdout).not.toContain('warning');
  });

  test('says of a plugin whose createTokenIssuer is no function what it must be', async () => {
    const { folder, setup } = await createPlace({ authenticators: [{ name: 'robots', use: './odd.ts' }] });
    const text = await readFile(plugin, 'utf8');
    await writeFile(
      join(folder, 'odd.ts'),
      text.replace('  createTokenIssuer,\n', '  createTokenIssuer: {} as never,\n'),
    );
    const { code, stdout } = await runCommand(['check'], setup);
    expect(code).toBe(1);
    expect(stdout).toContain('lacks createTokenIssuer (a function, or left out)');
  });
});
