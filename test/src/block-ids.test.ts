import { createJwtIssuer } from '@sallyport/test-servers/jwt-issuer';
import { redisForFile } from '@sallyport/test-servers/redis-for-file';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { http1Client, review } from './testing/clients.ts';
import { refused } from './testing/redis-gateway.ts';
import { type Replicas, replicasConfig, startReplicas } from './testing/replicas.ts';

const both = (one: object): object[] => [one, one];

const apiServer = 'https://kubernetes.default.svc';
const passes = both({
  authenticated: true,
  user: { username: 'oidc:jane' },
  audiences: [apiServer],
});
const isRefused = both(refused);

const issuer = createJwtIssuer();
const redis = await redisForFile();
/** Two gateways that share the answers about the JWTs of an issuer. Reviews name no audience, so the config does. */
let replicas: Replicas;

beforeAll(async () => {
  const cache = { store: 'shared', authenticatedTtl: '5m' };
  const authenticator = issuer.authenticator({ cache }, { apiAudiences: [apiServer] });
  const config = {
    ...replicasConfig([authenticator], redis.url),
    server: { apiAudiences: [apiServer] },
  };
  replicas = await startReplicas(2, config, issuer.files);
});

afterAll(() => replicas[Symbol.asyncDispose]());

test('a block of a jti or a sid keeps out the tokens that have it, cached or not, until it is ended', async () => {
  const { operator, ask } = replicas;
  const [one, refreshed, other] = [
    issuer.token({ sub: 'jane', jti: '1', sid: 'laptop' }),
    issuer.token({ sub: 'jane', jti: '2', sid: 'laptop' }),
    issuer.token({ sub: 'jane', jti: 'laptop', sid: '1' }),
  ];
  const askAll = async () => [await ask(one), await ask(refreshed), await ask(other)];
  expect(await askAll()).toEqual([passes, passes, passes]);
  const ofJti = ['--jti', '1'];
  const ofSid = ['--sid', 'laptop'];
  for (const { words, name, expected } of [
    { words: ofJti, name: 'jti 1', expected: [isRefused, passes, passes] },
    { words: ofSid, name: 'sid laptop', expected: [isRefused, isRefused, passes] },
  ]) {
    const blocked = await operator.run([
      'block',
      ...words,
      '--for',
      '1h',
      '--reason',
      'leaked',
      '--by',
      'eve',
    ]);
    expect(await askAll()).toEqual(expected);
    expect(blocked).toMatchObject({ code: 0, stderr: '' });
    expect(blocked.stdout).toContain(`blocked ${name} until `);
    expect(blocked.stdout).toContain('\nconfirmed by 2 of 2 replicas.\n');
  }
  const { stdout } = await operator.run(['blocks']);
  for (const row of [/\njti +1 +\S+Z +\d+m +eve/, /\nsid +laptop +\S+Z +\d+m +eve/])
    expect(stdout).toMatch(row);
  expect(await operator.run(['unblock', ...ofSid])).toMatchObject({ code: 0, stderr: '' });
  expect(await askAll()).toEqual([isRefused, passes, passes]);
  expect(await operator.run(['unblock', ...ofJti])).toMatchObject({ code: 0, stderr: '' });
  expect(await askAll()).toEqual([passes, passes, passes]);
});

test('an answer that a replica finds in Redis has the ids too, also very long ones', async () => {
  const { operator, gateways } = replicas;
  const [first, second] = gateways;
  const jti = 'j'.repeat(8_000);
  const token = issuer.token({ sub: 'jane', jti });
  using early = http1Client(first?.url ?? '');
  using late = http1Client(second?.url ?? '');
  expect(await review(early, token)).toEqual(passes[0]);
  const blocked = await operator.run(['block', '--jti', jti, '--for', '1h']);
  const seen = second?.output.lines.length;
  expect(await review(late, token)).toEqual(refused);
  const line = await second?.waitForLog('token review', seen);
  expect(line).toMatchObject({ reason: 'blocked', subject: 'oidc:jane', cached: 'redis' });
  const [, name] = /^blocked jti (sha256:[0-9a-f]{64}) until/.exec(blocked.stdout) ?? [];
  expect(blocked).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/--jti is very long: is it a whole token\?/),
  });
  expect(blocked.stdout).toContain(`unblock --jti ${name} `);
  // The printed id is as good as the id itself.
  expect(await operator.run(['unblock', '--jti', String(name)])).toMatchObject({
    code: 0,
    stderr: '',
  });
  expect(await review(late, token)).toEqual(passes[0]);
});

test('explain shows the ids of a token, and the block that refuses it', async () => {
  const { operator } = replicas;
  const subjects = ['ann', 'bob', 'cleo'].map((sub) => ({
    sub,
    jti: sub,
    sid: `${sub}'s lap\u001btop`,
  }));
  const [ofSid = '', ofUser = '', ofToken = ''] = subjects.map(issuer.token);
  const before = await operator.run(['explain', '-o', 'json'], ofSid);
  expect(JSON.parse(before.stdout)).toMatchObject({
    credential: { jti: 'ann', sid: subjects[0]?.sid },
    blocked: null,
  });
  expect((await operator.run(['explain'], issuer.token({ sub: 'ann' }))).stdout).not.toMatch(
    /IDS|BLOCKED/,
  );
  const block = (words: readonly string[], token: string) =>
    operator.run(['block', ...words, '--for', '1h', '--by', 'eve', '--reason', 'leaked'], token);
  for (const [words, token, name] of [
    [['--sid', String(subjects[0]?.sid)], ofSid, "sid ann's lap\\u{1b}top"],
    [['--user', 'oidc:bob'], ofUser, 'user oidc:bob'],
  ] as const) {
    await block(words, token);
    for (const asked of [[], ['--audience', 'of-another-cluster']]) {
      const { code, stdout } = await operator.run(['explain', ...asked], token);
      const [, shown = ''] = /\nBLOCKED\n(.*)\n/.exec(stdout) ?? [];
      expect([code, shown.replace(/until \S+Z/, 'until T')]).toEqual([
        3,
        `${name}, until T, by eve: leaked`,
      ]);
      expect(stdout.includes('audience-mismatch')).toBe(asked.length > 0);
      if (token === ofSid)
        expect(stdout).toContain("\nIDS OF THE TOKEN\njti ann\nsid ann's lap\\u{1b}top\n");
    }
  }
  await block(['--token'], ofToken);
  const { code, stdout } = await operator.run(['explain', '-o', 'json'], ofToken);
  expect([code, JSON.parse(stdout).blocked]).toMatchObject([
    3,
    { kind: 'token', by: 'eve', reason: 'leaked' },
  ]);
});
