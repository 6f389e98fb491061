import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { secondFactor } from './second-factor.ts';
import { folderWithProbe } from './testing/config-folder.ts';

const cache =
  'cache: { redis: { url: redis://127.0.0.1:6379, sealingKeys: [{ env: SEALING_KEY }] } }';
const environment = { SEALING_KEY: randomBytes(32).toString('base64') };

interface Written {
  /** Keys of `login.secondFactor`, after `redis`. */
  readonly factor?: string;
  readonly redis?: string;
  /** Keys of `login`. */
  readonly login?: string;
  readonly cache?: string;
  /** Keys of the authenticator `corp`, and of `sessions`. */
  readonly corp?: string;
  readonly sessions?: string;
}

/** A config whose second factor begins in line 3. */
const yaml = ({
  factor = 'required: all',
  redis = 'redis: { url: redis://127.0.0.1:6379 }',
  login = 'authenticators: [corp]',
  cache: shared = cache,
  corp = '',
  sessions = '',
}: Written) => `login:
  publicUrl: https://login.example.com
  secondFactor: { ${redis}, ${factor} }
  sessions: sessions
  ${login}
authenticators:
  - { name: corp, use: ./probe.js${corp} }
  - { name: partner, use: ./probe.js }
  - { name: sessions, use: ./probe.js${sessions} }
${shared}
`;

async function problems(written: Written): Promise<readonly string[]> {
  await using folder = await folderWithProbe();
  const all = await folder.problems(yaml(written), environment);
  // The probe issues no tokens.
  return all.filter((problem) => !problem.includes("can't issue tokens"));
}

test.each([
  { written: {}, milliseconds: 1_000 },
  { written: { commandTimeout: '9s' }, milliseconds: 9_000 },
])('a command of the Redis with $written has $milliseconds ms', ({ written, milliseconds }) => {
  const redis = { url: 'redis://127.0.0.1:6379', ...written };
  const { connection } = secondFactor.parse({ required: 'all', redis }).redis;
  expect(connection.commandTimeout).toBe(milliseconds);
});

describe('`login.secondFactor` is refused', () => {
  test.each<{ name: string; written: Written; expected: string }>([
    {
      name: 'with a time of commands that is too short',
      written: { redis: 'redis: { url: redis://127.0.0.1:6379, commandTimeout: 49ms }' },
      expected: 'login.secondFactor.redis.commandTimeout: "49ms" is too short: write at least 50ms',
    },
    {
      name: 'with a time of commands that is too long',
      written: { redis: 'redis: { url: redis://127.0.0.1:6379, commandTimeout: 31s }' },
      expected: 'login.secondFactor.redis.commandTimeout: "31s" is too long: write at most 30s',
    },
    {
      name: 'without `required`, which has no default',
      written: { factor: 'methods: [totp]' },
      expected: 'login.secondFactor.required: is missing',
    },
    {
      name: 'with another word in `required`',
      written: { factor: 'required: some' },
      expected: 'login.secondFactor.required: must be all, none, or { groups: [GROUP] }',
    },
    {
      name: 'without a group',
      written: { factor: 'required: { groups: [] }' },
      expected: 'login.secondFactor.required.groups: must not be empty: write at least one entry',
    },
    {
      name: 'with no method',
      written: { factor: 'required: all, methods: []' },
      expected: 'login.secondFactor.methods: must',
    },
    {
      name: 'with another method',
      written: { factor: 'required: all, methods: [sms]' },
      expected: 'login.secondFactor.methods[0]: must be totp or passkey',
    },
    {
      name: 'without cache.redis',
      written: { cache: '' },
      expected:
        'gateway.yaml:3:3: login.secondFactor: needs the sealing keys of cache.redis, and its lockout guard for all replicas: add cache.redis, or remove this key',
    },
    {
      name: 'where no one has a password',
      written: { login: 'browser: true' },
      expected:
        'gateway.yaml:3:3: login.secondFactor: has no effect: without login.authenticators, no one logs in with a password: remove it, and require',
    },
    {
      name: 'with passkeys and no page',
      written: { factor: 'required: all, methods: [passkey]' },
      expected:
        'login.secondFactor.methods: passkeys work in a browser alone: add login.browser: true, or remove passkey',
    },
    {
      name: 'with an authenticator whose users do not log in',
      written: { factor: 'required: all, authenticators: [partner]' },
      expected:
        'login.secondFactor.authenticators[0]: "partner" is not in login.authenticators, whose users log in with a password: write one of corp',
    },
    {
      name: 'with an authenticator in place of a list',
      written: { factor: 'required: all, authenticators: corp' },
      expected: 'login.secondFactor.authenticators: must be a list: write [corp]',
    },
    {
      name: 'with an authenticator in place of a list, for groups that no one has',
      written: { factor: 'required: { groups: ["system:nope"] }, authenticators: corp' },
      expected: 'login.secondFactor.authenticators: must be a list: write [corp]',
    },
    {
      name: 'with a password of Redis in the file',
      written: { redis: 'redis: { url: redis://127.0.0.1:6379, password: hunter2 }' },
      expected:
        'login.secondFactor.redis.password: is a secret, which must not be in this file: write { file: PATH } or { env: NAME } instead; to make the file: (umask 077; cat > PATH)',
    },
    {
      name: 'with a Redis on another machine in clear text',
      written: { redis: 'redis: { url: redis://redis.example.com }' },
      expected:
        'login.secondFactor.redis.url: uses clear text: write rediss://, or insecure: true if anyone on the network path may remove second factors',
    },
    {
      name: 'without a Redis',
      written: { redis: 'methods: [totp]' },
      expected:
        'login.secondFactor.redis: must be keys and values: write { url: rediss://redis.example.com:6379 }',
    },
  ])('$name', async ({ written, expected }) => {
    const found = await problems(written);
    expect(found).toContainEqual(expect.stringContaining(expected));
    expect(found.join()).not.toContain('hunter2');
  });

  test.each([
    { url: 'https://192.0.2.1', host: '192.0.2.1' },
    { url: 'https://[2001:db8::1]', host: '[2001:db8::1]' },
  ])('with passkeys at $url, which is no DNS name', async ({ url, host }) => {
    await using folder = await folderWithProbe();
    const text = yaml({
      factor: 'required: all, methods: [passkey]',
      login: 'authenticators: [corp]\n  browser: true',
    }).replace('https://login.example.com', `"${url}"`);
    expect(await folder.problems(text, environment)).toContainEqual(
      expect.stringContaining(
        `login.secondFactor.methods: passkeys need a DNS name, and login.publicUrl has the address ${host}: write a DNS name into`,
      ),
    );
  });
});

describe('`reviews: false` is refused', () => {
  test.each<{ name: string; written: Written; expected: string }>([
    {
      name: 'for sessions, which only reviews use',
      written: { sessions: ', reviews: false' },
      expected:
        'authenticators[2].reviews: would refuse every session: only reviews ask about them: remove this key',
    },
    {
      name: 'where nothing else uses the authenticator',
      written: { corp: ', reviews: false', login: 'authenticators: [partner]' },
      expected:
        'authenticators[0].reviews: leaves nothing that uses this authenticator: remove this key, or name',
    },
  ])('$name', async ({ written, expected }) => {
    expect(await problems(written)).toContainEqual(expect.stringContaining(expected));
  });

  test('but not next to a name that may be its own, mistyped', async () => {
    const reported = await problems({ corp: ', reviews: false', login: 'authenticators: [crop]' });
    expect(reported).toEqual([expect.stringContaining('did you mean corp?')]);
  });

  test('for sessions even where it is a directory of others, and no other use would help', async () => {
    await using folder = await folderWithProbe();
    const text = yaml({ sessions: ', reviews: false' }).replace(
      'name: partner, use: ./probe.js',
      'name: oidc, use: ./probe.js, directory: { authenticator: sessions }',
    );
    const found = await folder.problems(text, environment);
    expect(found).toContainEqual(
      expect.stringMatching(/would refuse every session: .* ask about them: remove this key$/),
    );
  });

  test('and not where people log in, or where it is a directory of others', async () => {
    expect(await problems({ corp: ', reviews: false' })).toEqual([]);
    const ofOthers = yaml({ corp: ', reviews: false', login: 'authenticators: [partner]' });
    await using folder = await folderWithProbe();
    const text = ofOthers.replace(
      'name: sessions, use: ./probe.js',
      'name: oidc, use: ./probe.js, directory: { authenticator: corp }',
    );
    const found = await folder.problems(text, environment);
    expect(found.filter((problem) => problem.includes('reviews'))).toEqual([]);
  });
});
