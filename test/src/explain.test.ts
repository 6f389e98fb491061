import { join } from 'node:path';
import { startRedis } from '@sallyport/test-servers/redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sealingKey, startCacheGateway } from './testing/cache-gateway.ts';
import { runCommand } from './testing/command.ts';
import { configFolder } from './testing/config-folder.ts';
import { createJwtIssuer } from './testing/jwt-issuer.ts';
import { ldapToken, type People, startPeople } from './testing/ldap-gateway.ts';
import { issue } from './testing/redis-tokens.ts';
import { tokensFile } from './testing/static-tokens.ts';
import { randomToken, secret } from './testing/tokens.ts';

/** Makes a folder with a gateway.yaml, for commands. */
async function place(config: object, files: Readonly<Record<string, string>>) {
  const folder = await configFolder({ ...config }, files);
  const env = { SALLYPORT_CONFIG: join(folder, 'gateway.yaml') };
  return (words: readonly string[], input = '') => runCommand(words, { cwd: folder, env }, input);
}

describe('explain of a token that is refused or unknown', () => {
  const issuer = createJwtIssuer();
  const run = place(
    {
      authenticators: [
        issuer.authenticator(),
        { name: 'robots', use: 'redis', options: { url: 'redis://127.0.0.1:1' } },
        {
          name: 'old',
          use: 'redis',
          options: { url: 'redis://127.0.0.1:1', tokenPrefix: 'old_', tokenPattern: '\\w{9}' },
        },
      ],
    },
    issuer.files,
  );

  test('says which issuer or checksum is wrong, and that a token is cut off, and quotes nothing else of it', async () => {
    const shape = 'not the shape of its tokens';
    const reasonsOf = async (token: string) => {
      const { code, stdout } = await (await run)(['explain', '-o', 'json'], token);
      expect(code).toBe(3);
      return JSON.parse(stdout).authenticators.map(({ reason }: { reason: string }) => reason);
    };
    expect(await reasonsOf(issuer.token({ iss: `${issuer.url}/` }))).toEqual([
      `the token is a JWT of the issuer "${issuer.url}/" (iss), which is not in the options; the nearest one there is ${issuer.url}`,
      ...[shape, shape],
    ]);
    const cut =
      'the token begins like a JWT, but is not a whole one with an issuer (iss): was it cut off?';
    expect(await reasonsOf(secret(issuer.token({}).slice(0, 70)))).toEqual([cut, shape, shape]);
    const body = secret(randomToken().padEnd(49, 'A').slice(0, 49));
    expect(await reasonsOf(`sp_${body}`)).toEqual([
      shape,
      'the token begins with sp_, but its checksum is wrong: it was mistyped or changed. Copy it again',
      shape,
    ]);
    expect(await reasonsOf(`old_${body}`)).toEqual([
      shape,
      shape,
      'the token begins with old_, but does not match tokenPattern',
    ]);
    const text = await (await run)(['explain'], issuer.token({ iss: 'x\u001b[2J\u202e' }));
    expect(text.stdout).toContain(String.raw`issuer "x\u001b[2J\u{202e}"`);
  });

  test('shows the audiences of the token, and those asked for', async () => {
    const stepsOf = async (token: string, ...words: readonly string[]) => {
      const { code, stdout } = await (await run)(['explain', '-o', 'json', ...words], token);
      expect(code).toBe(3);
      return JSON.parse(stdout).steps.map(({ step }: { step: string }) => step);
    };
    const good = issuer.token({ sub: 'jane' });
    expect(await stepsOf(good, '--audience', 'vault')).toContain(
      'the token is valid for the audiences kubernetes, and asked for is vault (the review)',
    );
    expect(await stepsOf(good)).toContain(
      'the token is valid for the audiences kubernetes, and asked for is none: the review names none, and server.apiAudiences is empty',
    );
    expect(await stepsOf(issuer.token({ aud: ['vault', 'cli'] }))).toEqual([
      `issuer ${issuer.url}: the token is for the audiences "vault", "cli" (aud), and issuer.audiences has only kubernetes`,
    ]);
  });
});

describe('explain', () => {
  let people: People;
  beforeAll(async () => {
    people = await startPeople();
  });
  afterAll(() => people[Symbol.asyncDispose]());

  test('shows the groups of the backend, those left out, the final ones, and the searches that ran', async () => {
    const run = await place({ authenticators: [people.authenticator()] }, people.files);
    const { suffix } = people.slapd;
    const json = await run(['explain', '-o', 'json'], people.alice.token);
    expect(json).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(json.stdout)).toMatchObject({
      groups: [
        {
          ...{ authenticator: 'corp', username: 'corp:alice' },
          ...{
            backend: ['k8s-admins', 'operators'],
            leftOut: ['operators'],
            final: ['corp:k8s-admins'],
          },
        },
      ],
      steps: [
        `user search below "ou=people,${suffix}" (scope sub), filter (uid=alice): 1 entry`,
        `the entry of the user is "${people.alice.dn}"`,
        `group search below "ou=groups,${suffix}" (scope sub), filter (member=${people.alice.dn}): 1 entry`,
        `group search, level 2 below "ou=groups,${suffix}" (scope sub), filter (member=cn=operators,ou=groups,${suffix}): 1 entry`,
        `group search, level 3 below "ou=groups,${suffix}" (scope sub), filter (member=cn=k8s-admins,ou=groups,${suffix}): 0 entries`,
      ].map((step) => ({ authenticator: 'corp', step })),
    });
    const text = await run(['explain'], people.alice.token);
    expect(text.stdout).toMatch(
      /GROUPS of corp:alice, from authenticator corp\nBACKEND +KUBERNETES\n/,
    );
    expect(text.stdout).toMatch(
      /k8s-admins +corp:k8s-admins\noperators +left out by groups\.allow\n/,
    );
    expect(text.stdout).toContain('\nSTEPS\ncorp: user search below');
    expect((await run(['explain'], people.bob.token)).stdout).toContain(
      'none: the backend names none',
    );
  });

  test('shows values of a filter escaped, as they were sent', async () => {
    const run = await place({ authenticators: [people.authenticator()] }, people.files);
    const { code, stdout } = await run(
      ['explain', '-o', 'json'],
      ldapToken('a*)(uid=\u00e9\\', randomToken()),
    );
    expect(code).toBe(3);
    expect(JSON.parse(stdout).steps).toEqual([
      {
        authenticator: 'corp',
        step: expect.stringContaining('filter (uid=a\\2a\\29\\28uid=é\\5c): 0 entries'),
      },
    ]);
  });

  test('of a user needs no token: who knows the name, groups by source, blocked and locked out in the running fleet', async () => {
    const logins = async () =>
      (await people.slapd.operations()).bindsByDn.get(people.alice.dn) ?? 0;
    const before = await logins();
    await using redis = await startRedis();
    const token = randomToken();
    const robots = {
      name: 'robots',
      use: 'static',
      username: { prefix: 'robot:' },
      options: { tokensFile: 'tokens.yaml' },
    };
    await using replica = await startCacheGateway({
      authenticators: [people.authenticator(), robots],
      files: { ...people.files, 'tokens.yaml': tokensFile({ [token]: 'ci' }) },
      redis: { url: redis.url },
      keys: [sealingKey()],
    });
    const { folder } = replica.gateway;
    const run = (...words: readonly string[]) =>
      runCommand([...words, '--config', join(folder, 'gateway.yaml')], { cwd: folder });
    const json = async (name: string) => {
      const { code, stdout } = await run('explain', '--user', name, '-o', 'json');
      return { code, ...JSON.parse(stdout) };
    };
    expect(await replica.ask(ldapToken('alice', randomToken()))).toEqual({ authenticated: false });
    expect((await run('block', '--group', 'corp:k8s-admins', '--for', '1h')).code).toBe(0);
    expect(await json('corp:alice')).toMatchObject({
      code: 0,
      authenticators: [
        { authenticator: 'corp', answer: 'known', reason: 'corp:alice', tokens: null },
      ],
      groups: [{ authenticator: 'corp', leftOut: ['operators'], final: ['corp:k8s-admins'] }],
      steps: expect.arrayContaining([
        {
          authenticator: 'corp',
          step: 'account state: not known, the entry shows none of its attributes',
        },
      ]),
      blocked: { kind: 'group', name: 'corp:k8s-admins' },
      lockouts: [{ user: 'corp:alice', refused: 1, lockedOut: false }],
    });
    expect(await json('robot:ci')).toMatchObject({
      code: 0,
      authenticators: [{ authenticator: 'robots', answer: 'known' }],
      blocked: null,
      lockouts: [],
    });
    const text = await run('explain', '--user', 'corp:eve');
    expect([text.code, text.stderr]).toEqual([3, '']);
    expect(text.stdout).toMatch(/corp +not known\n/);
    expect(text.stdout).toMatch(/\naccount in corp: not found\nnot blocked\nnot locked out\n/);

    // Without the prefix, the only known name is meant, but not for a command that changes something.
    const bare = await run('explain', '--user', 'ci', '-o', 'json');
    expect([bare.code, bare.stderr]).toEqual([0, 'sallyport: ci is robot:ci\n']);
    expect(JSON.parse(bare.stdout)).toMatchObject({
      user: 'robot:ci',
      authenticators: [{ authenticator: 'robots' }],
    });
    const unsure = await run('block', '--user', 'alice', '--for', '1h');
    expect(unsure.code).toBe(2);
    expect(unsure.stderr).toMatch(
      /nothing was done.*\n {2}fix: write one of these.*\n {4}--user corp:alice +# known: corp\n {4}--user robot:alice +# not known: robots\n$/s,
    );
    const nobody = await run('explain', '--user', 'nobody');
    expect([nobody.code, nobody.stdout]).toEqual([2, '']);
    expect(nobody.stderr).toMatch(
      / knows a user nobody.*corp:nobody +# not known: corp\n.*robot:nobody +#/s,
    );
    // No bind beside that of the one login.
    expect(await logins()).toBe(before + 1);

    // A part that can't be read hides no other part.
    await redis.stop();
    const cut = await json('corp:alice');
    expect(cut).toMatchObject({
      code: 0,
      authenticators: [{ answer: 'known' }],
      ...{ blocked: null, lockouts: null, sessions: null, audit: null },
      unread: {
        blocks: expect.stringContaining('refused'),
        lockouts: expect.stringContaining('refused'),
        audit: 'the config has no audit',
      },
    });
    const { stdout } = await run('explain', '--user', 'corp:alice');
    expect(stdout).toMatch(
      /\nblocked: not known, since .*refused.*\nlocked out: not known, for the same reason\naudit trail: not read, since /,
    );
  });

  test('of a user goes on without an authenticator that is down or that lacks a file, and says why it was not asked', async () => {
    const entries = [
      people.authenticator(),
      people.authenticator({
        options: { urls: ['ldaps://127.0.0.1:1'] },
        entry: { name: 'down', username: { prefix: 'down:' } },
      }),
      people.authenticator({
        options: { caFile: 'gone.crt' },
        entry: { name: 'old', username: { prefix: 'old:' } },
      }),
    ];
    const run = await place({ authenticators: entries }, people.files);
    const missing =
      /gateway\.yaml:\d+:\d+: authenticators\[2\]\.options\.caFile: authenticator old .*gone\.crt can't be read/;
    const found = await run(['explain', '--user', 'alice']);
    expect([found.code, found.stdout]).toEqual([
      0,
      expect.stringMatching(/\ncorp +known +corp:alice\n/),
    ]);
    expect(found.stderr).toMatch(missing);
    const unknown = await run(['explain', '--user', 'nobody']);
    expect([unknown.code, unknown.stdout]).toEqual([2, '']);
    expect(unknown.stderr).toMatch(
      /But down \(no directory server could answer: .*connection refused.*\), old \(it can't be made\) can't be asked/,
    );
    const old = await run(['explain', '--user', 'old:alice']);
    expect([old.code, old.stdout]).toEqual([1, expect.stringMatching(missing)]);
    // No account is not found where no directory has answered.
    expect(old.stdout).not.toContain('account in');
  });

  test('of a user of issued tokens reads those tokens, and counts the valid ones', async () => {
    await using redis = await startRedis();
    const robots = {
      name: 'robots',
      use: 'redis',
      ...{ username: { prefix: 'robot:' }, groups: { prefix: 'team:', allow: ['dev', 'ops'] } },
      options: { url: redis.url },
    };
    const more = {
      ...robots,
      name: 'more',
      username: { prefix: 'more:' },
      options: { url: redis.url, keyPrefix: 'more:' },
    };
    const run = await place({ authenticators: [robots, more] }, {});
    for (const record of [
      { username: 'old', groups: ['dev'], revokedAt: '2026-05-01T00:00:00Z' },
      { username: 'old', expiresAt: '2026-05-01T00:00:00Z' },
      { username: 'ci', groups: ['dev'] },
      { username: 'ci', groups: ['ops', 'other'] },
      { username: 'ci', groups: ['admins'], revokedAt: '2026-05-01T00:00:00Z' },
      { username: 'bot' },
    ]) {
      await issue(() => redis, record);
    }
    const json = await run(['explain', '--user', 'robot:ci', '-o', 'json']);
    expect([json.code, json.stderr]).toEqual([0, '']);
    expect(JSON.parse(json.stdout)).toMatchObject({
      authenticators: [{ authenticator: 'robots', answer: 'known', reason: 'robot:ci', tokens: 2 }],
      groups: [
        { backend: ['dev', 'ops', 'other'], leftOut: ['other'], final: ['team:dev', 'team:ops'] },
      ],
      steps: [
        'tokens issued to this name: 2 valid, 1 revoked, 0 expired',
        'the tokens have different groups: each token gives only its own',
      ].map((step) => ({ authenticator: 'robots', step })),
    });
    // A robot whose tokens have all ended is who calls.
    const ended = await run(['explain', '--user', 'old']);
    expect([ended.code, ended.stderr]).toEqual([0, 'sallyport: old is robot:old\n']);
    expect(ended.stdout).toMatch(/\nrobots +known +0 +robot:old\n/);
    expect(ended.stdout).toMatch(
      /\n0 valid tokens of robots, 1 revoked, 1 expired\. To list all: .* token list --user robot:old /,
    );
    expect(ended.stdout).not.toContain('GROUPS');
    const unknown = await run(['explain', '--user', 'robot:nobody']);
    expect([unknown.code, unknown.stderr]).toEqual([3, '']);
    expect(unknown.stdout).toMatch(/\nrobots +not known +0\n/);
    await redis.stop();
    const down = await run(['explain', '--user', 'robot:ci', '-o', 'json']);
    expect(down.code).toBe(1);
    expect(JSON.parse(down.stdout).authenticators).toMatchObject([
      { answer: 'could not be checked', tokens: null },
    ]);
  });
});
