import { randomBytes } from 'node:crypto';
import { createJwtIssuer } from '@sallyport/test-servers/jwt-issuer';
import { ldapToken, type People, startPeople } from '@sallyport/test-servers/people';
import { startRedis } from '@sallyport/test-servers/redis';
import { issue } from '@sallyport/test-servers/redis-tokens';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken, secret } from '@sallyport/test-servers/tokens';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  type Config,
  type ConfigFolder,
  configText,
  createConfigFolder,
} from '../../testing/config-folder.ts';
import { startGatewayIn } from '../../testing/started-gateway.ts';

/** Makes a folder with a gateway.yaml for one test. @returns what runs commands there */
async function place(config: Config, files: Readonly<Record<string, string>> = {}) {
  const created = await createConfigFolder(config, files);
  onTestFinished(() => created[Symbol.asyncDispose]());
  return created.run;
}

const down = 'redis://127.0.0.1:1';

describe('explain of a token that is refused or unknown', () => {
  const issuer = createJwtIssuer();
  const old = { url: down, tokenPrefix: 'old_', tokenPattern: '\\w{9}' };
  const authenticators = [
    issuer.authenticator(),
    { name: 'robots', use: 'redis', options: { url: down } },
    { name: 'old', use: 'redis', options: old },
  ];
  let folder: ConfigFolder;
  beforeAll(async () => {
    folder = await createConfigFolder({ authenticators }, issuer.files);
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  test('says which issuer or checksum is wrong, and that a token is cut off, and quotes nothing else of it', async () => {
    const shape = 'not the shape of its tokens';
    const reasonsOf = async (token: string) => {
      const { code, stdout } = await folder.run(['explain', '-o', 'json'], token);
      expect(code).toBe(3);
      return JSON.parse(stdout).authenticators.map(({ reason }: { reason: string }) => reason);
    };
    expect(await reasonsOf(issuer.token({ iss: `${issuer.url}/` }))).toEqual([
      `the token is a JWT of the issuer "${issuer.url}/" (iss), which is not in the options; the nearest one there is ${issuer.url}: write it there as the token has it, or get a token of one that is there`,
      ...[shape, shape],
    ]);
    const cut =
      'the token begins like a JWT, but is not a whole one with an issuer (iss) and a signature: was it cut off?';
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
    const text = await folder.run(['explain'], issuer.token({ iss: 'x\u001b[2J\u202e' }));
    expect(text.stdout).toContain(String.raw`issuer "x\u001b[2J\u{202e}"`);
  });

  test('shows the audiences of the token, and those asked for', async () => {
    const stepsOf = async (token: string, ...words: readonly string[]) => {
      const { code, stdout } = await folder.run(['explain', '-o', 'json', ...words], token);
      expect(code).toBe(3);
      return JSON.parse(stdout).steps.map(({ step }: { step: string }) => step);
    };
    const good = issuer.token({ sub: 'jane' });
    expect(await stepsOf(good, '--audience', 'vault')).toContain(
      'the token is valid for the audiences kubernetes, and asked for is vault (the review)',
    );
    expect(await stepsOf(issuer.token({ aud: ['vault', 'cli'] }))).toEqual([
      `issuer ${issuer.url}: the token is for the audiences "vault", "cli" (aud), and issuer.audiences has only kubernetes: get a token for one of these, or add one`,
    ]);
  });

  test('shows the value of a claim that fails its rule', async () => {
    const claimValidationRules = [{ claim: 'owner', requiredValue: '123456' }];
    const authenticator = issuer.authenticator({}, { claimValidationRules });
    const run = await place({ authenticators: [authenticator] }, issuer.files);
    expect((await run(['explain'], issuer.token({ owner: 123456 }))).stdout).toContain(
      'claim owner does not have the required value: it is the number 123456, and the rule has the string "123456": a number never equals a string\n',
    );
  });

  test('gives no answer that kube-apiserver might not get, where it depends on unknown audiences', async () => {
    const token = issuer.token({ sub: 'jane' });
    const text = await folder.run(['explain'], token);
    const status = {
      authenticated: true,
      user: { username: 'oidc:jane' },
      audiences: ['kubernetes'],
    };
    expect(text).toMatchObject({ code: 4, stdout: expect.not.stringContaining('would get') });
    expect(text.stdout).toContain(`
What kube-apiserver gets depends on the audiences that it asks for.
If it asks for kubernetes: ${JSON.stringify(status, null, 2)}
Otherwise, the token is refused. What it asks for is not known, since server.apiAudiences is empty.
To see its answer, name its --api-audiences, or else its --service-account-issuer: sallyport explain `);
    const inJson = await folder.run(['explain', '-o', 'json'], token);
    expect([inJson.code, JSON.parse(inJson.stdout)]).toMatchObject([
      4,
      { status: null, ifAskedFor: { audiences: ['kubernetes'], status } },
    ]);
    const named = await folder.run(['explain', '--audience', 'kubernetes'], token);
    expect(named).toMatchObject({ code: 0, stdout: expect.stringContaining('would get: {') });
  });

  test.each([
    { apiAudiences: ['kubernetes'], code: 0 },
    { apiAudiences: ['vault'], code: 3 },
  ])('knows the answer with server.apiAudiences $apiAudiences', async ({ apiAudiences, code }) => {
    const run = await place({ server: { apiAudiences }, authenticators }, issuer.files);
    expect(await run(['explain'], issuer.token({ sub: 'jane' }))).toMatchObject({
      code,
      stdout: expect.stringContaining('kube-apiserver would get: {'),
    });
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
    const robots = { ...staticAuthenticator, username: { prefix: 'robot:' } };
    const files = {
      ...people.files,
      'tokens.yaml': tokensFile({ [token]: 'ci' }),
      'sealing-key': secret(randomBytes(32).toString('base64')),
    };
    const sealingKeys = [{ file: 'sealing-key' }];
    await using created = await createConfigFolder(
      {
        authenticators: [people.authenticator(), robots],
        cache: { redis: { url: redis.url, sealingKeys, timeout: '2s' } },
      },
      files,
    );
    await using gateway = await startGatewayIn(created.folder);
    const run = (...words: readonly string[]) => created.run(words);
    const json = async (name: string) => {
      const { code, stdout } = await run('explain', '--user', name, '-o', 'json');
      return { code, ...JSON.parse(stdout) };
    };
    expect(await gateway.review(ldapToken('alice', randomToken()))).toEqual({
      authenticated: false,
    });
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
    const run = await place({ authenticators: [robots, more] });
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

/** A plugin whose every check fails, without a dependency. */
const brokenPlugin = `
const schema = () => ({ type: 'object', properties: {} });
export default {
  specificationVersion: 1,
  name: 'broken',
  caching: 'none',
  optionsSchema: { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }), jsonSchema: { input: schema, output: schema } } },
  create: async () => ({ authenticate: async () => { throw new Error('down'); }, close: async () => {} }),
};
`;

describe('explain of a static token', () => {
  test('shows what each authenticator answers, and what kube-apiserver would get', async () => {
    const token = randomToken();
    const files = { 'tokens.yaml': tokensFile({ [token]: 'ci' }) };
    const run = await place({ authenticators: [staticAuthenticator] }, files);
    const { code, stdout } = await run(['explain', '-o', 'json'], token);
    expect(code).toBe(0);
    const { authenticators, status } = JSON.parse(stdout);
    const milliseconds = expect.any(Number);
    expect(authenticators).toEqual([
      { authenticator: 'robots', answer: 'authenticated', reason: 'ci', milliseconds },
    ]);
    expect(status).toMatchObject({ authenticated: true, user: { username: 'ci' } });
  });

  test('that could not be checked exits 1', async () => {
    const authenticators = [{ name: 'corp', use: './broken.js' }];
    const run = await place({ authenticators }, { 'broken.js': brokenPlugin });
    const { code, stdout } = await run(['explain', '-o', 'json'], randomToken());
    expect(code).toBe(1);
    expect(JSON.parse(stdout).status).toEqual({
      authenticated: false,
      error: 'authenticator corp unavailable',
    });
  });

  test('that is missing says how to give one', async () => {
    const run = await place(
      { authenticators: [staticAuthenticator] },
      { 'tokens.yaml': tokensFile({}) },
    );
    const { code, stderr } = await run(['explain']);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/standard input/)]);
  });

  test('that is too long says why no authenticator was asked', async () => {
    const files = { 'tokens.yaml': tokensFile({ [randomToken()]: 'ci' }) };
    const run = await place({ authenticators: [staticAuthenticator] }, files);
    const { code, stdout } = await run(['explain', '-o', 'json'], randomToken().repeat(1000));
    expect(code).toBe(3);
    expect(JSON.parse(stdout).authenticators[0]).toMatchObject({
      answer: 'not asked',
      reason: expect.stringContaining('server.maxTokenSize'),
    });
  });

  test('says with an edit that is refused how to go on, and the copy of the last good file works', async () => {
    const token = randomToken();
    const good = configText({ authenticators: [staticAuthenticator] });
    const files = { 'tokens.yaml': tokensFile({ [token]: 'ci' }), 'last-good.yaml': good };
    const run = await place(good.replace('listen:', 'lissten:'), files);
    const refused = await run(['explain'], token);
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toMatch(
      /gateway\.yaml:\d+:\d+: .*lissten.*\n {2}fix: .*\nRunning gateways keep .* --config and a copy of its last valid version/,
    );
    expect((await run(['explain', '--config', 'last-good.yaml'], token)).code).toBe(0);
    expect((await run(['explain', '--config', 'missing.yaml'], token)).stderr).not.toContain(
      'last valid',
    );
  });
});
