import { readFile } from 'node:fs/promises';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { describe, expect, test } from 'vitest';
import {
  isRobot,
  type RobotGateway,
  refused,
  robots,
  startRobotGateway,
  unavailable,
} from './testing/redis-gateway.ts';
import {
  issue,
  issueHash,
  mistyped,
  newToken,
  recordKey,
  serviceAccountToken,
  writeRecord,
} from './testing/redis-tokens.ts';
import { metricsText } from './testing/scrape.ts';
import { staticAuthenticator, tokensFile } from './testing/static-tokens.ts';
import { randomToken, sha256 } from './testing/tokens.ts';

const programs = ['redis-server', 'valkey-server'] as const;

const ways: readonly [string, (redis: RedisServer) => object][] = [
  ['redis://', ({ url }) => ({ url })],
  ['rediss:// and its CA', ({ tlsUrl }) => ({ url: tlsUrl, caFile: 'tls/redis-ca.crt' })],
  ['a Unix socket', ({ socket }) => ({ url: `unix:${socket}` })],
];

const jane = {
  username: 'jane',
  uid: 'u-7',
  groups: ['dev', 'ops'],
  extra: { team: ['build', 'run'] },
  expiresAt: '2099-05-01T00:00:00Z',
  issuedBy: 'ada',
  'x-ticket': 4711,
};

const isJane = {
  authenticated: true,
  user: { username: 'robot:jane', uid: 'u-7', groups: ['team:dev', 'team:ops'], extra: { team: ['build', 'run'] } },
};

/** How often the gateway has read so far: this file itself never does. */
async function reads(redis: RedisServer): Promise<string[]> {
  const info = await redis.client().info('commandstats');
  return info.match(/^cmdstat_(getrange|hgetall|pttl|exists|eval|scan):calls=\d+/gm) ?? [];
}

describe.concurrent.each(programs)('a gateway in front of %s', (program) => {
  test.each(ways)('lets robots in over %s, with the names of their records', async (_name, options) => {
    await using redis = await startRedis({ program });
    const files = { 'tls/redis-ca.crt': await readFile(redis.caFile, 'utf8') };
    const entry = { groups: { prefix: 'team:' } };
    await using robotGateway = await startRobotGateway([robots(options(redis), entry)], { files });
    expect(await robotGateway.ask(await issue(() => redis, jane))).toEqual(isJane);
    expect(await robotGateway.ask(await issue(() => redis, { username: 'ci' }))).toEqual(isRobot('ci'));
    expect(await robotGateway.ask(newToken())).toEqual(refused);
    expect(await robotGateway.metric('connected')).toBe(1);
  });

  test('lets robots in whose records are hashes', async () => {
    await using redis = await startRedis({ program });
    const options = { url: redis.url, layout: 'hash' };
    await using robotGateway = await startRobotGateway([robots(options, { groups: { prefix: 'team:' } })]);
    const fields = { username: 'jane', uid: 'u-7', groups: 'dev, ops', extra: JSON.stringify(jane.extra) };
    expect(await robotGateway.ask(await issueHash(() => redis, fields))).toEqual(isJane);
    const past = { ...fields, expiresAt: '2001-05-01T00:00:00Z' };
    expect(await robotGateway.ask(await issueHash(() => redis, past))).toEqual(refused);
  });

  test('refuses what is expired, not yet valid or revoked, and the log says why', async () => {
    await using redis = await startRedis({ program });
    await using robotGateway = await startRobotGateway([robots({ url: redis.url })]);
    const { output } = robotGateway.gateway;
    for (const [reason, fields] of Object.entries({
      expired: { expiresAt: '2001-05-01T00:00:00Z' },
      'not-yet-valid': { notBefore: '2098-05-01T00:00:00Z' },
      revoked: { revokedAt: '2026-05-01T00:00:00Z', revokedBy: 'ada', revokedReason: 'leaked' },
    })) {
      expect(await robotGateway.ask(await issue(() => redis, { ...jane, ...fields }))).toEqual(refused);
      const logged = await output.waitForLine((line) => line.reason === reason, reason);
      expect(logged).toMatchObject({ level: 'info', msg: 'token review', outcome: 'rejected', subject: 'jane' });
    }
  });
});

/** A Redis of its own behind it. */
interface RobotGatewayWithRedis extends RobotGateway {
  readonly redis: RedisServer;
  readonly serverOf: () => RedisServer;
}

async function startWithRedis(options: object = {}): Promise<RobotGatewayWithRedis> {
  await using resources = new AsyncDisposableStack();
  const redis = resources.use(await startRedis());
  const server = { apiAudiences: ['https://kubernetes.default.svc'] };
  const robotGateway = resources.use(await startRobotGateway([robots({ url: redis.url, ...options })], { server }));
  const owned = resources.move();
  return { ...robotGateway, redis, serverOf: () => redis, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

describe.concurrent('a gateway in front of Redis', () => {
  test.each([
    ['no-opinion', { authenticated: true, user: { username: 'ada' } }],
    ['rejected', refused],
  ])('with unknown: %s asks the next authenticator, or none', async (unknown, status) => {
    await using redis = await startRedis();
    const token = newToken();
    const others = [{ ...staticAuthenticator, name: 'people' }];
    await using robotGateway = await startRobotGateway([robots({ url: redis.url, unknown }), ...others], {
      files: { 'tokens.yaml': tokensFile({ [token]: 'ada' }) },
    });
    expect(await robotGateway.ask(token)).toEqual(status);
    expect(await robotGateway.ask(newToken())).toEqual(refused);
  });

  test('can not check a record that is bad, and the log names its digest and its field', async () => {
    await using robotGateway = await startWithRedis();
    const { ask, gateway, serverOf } = robotGateway;
    for (const [text, problem] of [
      ['{"username": "jane"', 'is not JSON'],
      ['{"groups":["dev"]}', 'username is missing'],
      ['{"username":"jane","expires":"2099-05-01T00:00:00Z"}', 'has an unknown field expires'],
      ['{"username":"jane","expiresAt":"2099-05-01T00:00:00"}', 'expiresAt must be a date and time with its zone'],
      ['{"username":"jane","groups":"dev"}', 'groups must be a list'],
    ] as const) {
      const token = newToken();
      await writeRecord(serverOf, token, text);
      expect(await ask(token)).toEqual(unavailable);
      const logged = await gateway.output.waitForLine((line) => String(line.reason).includes(sha256(token)), problem);
      expect(logged).toMatchObject({ msg: 'authenticator could not check a token', authenticator: 'robots' });
      expect(logged.reason).toContain(`is bad: ${problem}`);
    }
  });

  test('lets good tokens pass among any number of bad records, which open no circuit', async () => {
    await using robotGateway = await startWithRedis();
    const { ask, gateway, metric, redis, serverOf } = robotGateway;
    for (let count = 0; count < 20; count++) {
      const token = newToken();
      if (count % 2 === 0) await writeRecord(serverOf, token, '{}');
      else await redis.client().hset(recordKey(token), { username: 'jane' });
      expect(await ask(token)).toEqual(unavailable);
    }
    expect(await ask(await issue(serverOf, { username: 'ci' }))).toEqual(isRobot('ci'));
    expect(gateway.output.lines.filter(({ msg }) => msg.includes('circuit opened'))).toEqual([]);
    expect(await metric('connected', 'authenticator="robots"')).toBe(1);
    expect(await metric('faults_total', 'kind="type"')).toBe(10);
    expect(await metric('faults_total')).toBe(10);
    const metrics = await metricsText(gateway);
    expect(metrics).not.toMatch(/jane|robot:/);
  });

  test('holds tokens to the audiences that they are bound to', async () => {
    await using robotGateway = await startWithRedis();
    const { ask, serverOf } = robotGateway;
    const user = { username: 'robot:ci' };
    const bound = await issue(serverOf, { username: 'ci', audiences: ['vault', 'registry'] });
    expect(await ask(bound, ['registry', 'elsewhere'])).toEqual({ authenticated: true, user, audiences: ['registry'] });
    expect(await ask(bound, ['elsewhere'])).toEqual(refused);
    expect(await ask(bound)).toEqual(refused);
    const audiences = ['https://kubernetes.default.svc'];
    expect(await ask(await issue(serverOf, { username: 'ci', audiences }))).toEqual({
      authenticated: true,
      user,
      audiences,
    });
  });

  test('makes no trip for tokens of another shape, or with a typing mistake in them', async () => {
    await using robotGateway = await startWithRedis();
    const { ask, redis, serverOf } = robotGateway;
    const token = await issue(serverOf, { username: 'ci' });
    expect(await ask(token)).toEqual(isRobot('ci'));
    const before = await reads(redis);
    expect(before.sort()).toEqual(['cmdstat_getrange:calls=1', 'cmdstat_pttl:calls=1']);
    for (const other of [serviceAccountToken(), randomToken(), mistyped(token), `${token}A`, 'sp_', 'a.b.c']) {
      expect(await ask(other)).toEqual(refused);
    }
    expect((await reads(redis)).sort()).toEqual(before);
  });

  test('takes tokens issued elsewhere by their prefix and pattern, and then none of its own', async () => {
    await using robotGateway = await startWithRedis({ tokenPrefix: 'acme-', tokenPattern: 'acme-[A-Za-z0-9_-]{32}' });
    const { ask, serverOf } = robotGateway;
    const foreign = `acme-${randomToken()}`;
    await writeRecord(serverOf, foreign, JSON.stringify({ username: 'ci' }));
    expect(await ask(foreign)).toEqual(isRobot('ci'));
    expect(await ask(await issue(serverOf, { username: 'ci' }))).toEqual(refused);
  });
});
