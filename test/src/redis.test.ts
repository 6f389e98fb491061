import { readFile } from 'node:fs/promises';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  isRobot,
  type RobotGateway,
  refused,
  robots,
  startRobotGateway,
  unavailable,
} from './testing/redis-gateway.ts';
import { issue, mistyped, newToken, recordKey, serviceAccountToken, writeRecord } from './testing/redis-tokens.ts';
import { metricsText } from './testing/scrape.ts';
import { staticAuthenticator, tokensFile } from './testing/static-tokens.ts';
import { randomToken, sha256 } from './testing/tokens.ts';

const programs = ['redis-server', 'valkey-server'] as const;

/** The authenticators of one gateway: each has a way to the one Redis, and records of its own there. */
const ways: Readonly<Record<string, (redis: RedisServer) => object>> = {
  tcp: ({ url }) => ({ url }),
  tls: ({ tlsUrl }) => ({ url: tlsUrl, caFile: 'tls/redis-ca.crt' }),
  socket: ({ socket }) => ({ url: `unix:${socket}` }),
  hash: ({ url }) => ({ url, layout: 'hash' }),
};

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

describe.each(programs)('a gateway in front of %s', (program) => {
  let redis: RedisServer;
  let robotGateway: RobotGateway;
  beforeAll(async () => {
    redis = await startRedis({ program });
    const entries = Object.entries(ways).map(([name, options]) =>
      robots({ ...options(redis), keyPrefix: `${name}:token:` }, { name, groups: { prefix: 'team:' } }),
    );
    const files = { 'tls/redis-ca.crt': await readFile(redis.caFile, 'utf8') };
    robotGateway = await startRobotGateway(entries, { files });
  });
  afterAll(async () => {
    await robotGateway[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
  });

  /** A new token whose record only this authenticator reads. */
  async function issueFor(name: string, record: object): Promise<string> {
    const token = newToken();
    await redis.client().set(`${name}:token:${sha256(token)}`, JSON.stringify(record));
    return token;
  }

  test.each(['tcp', 'tls', 'socket'])('lets robots in over %s, with the names of their records', async (way) => {
    expect(await robotGateway.ask(await issueFor(way, jane))).toEqual(isJane);
    expect(await robotGateway.ask(await issueFor(way, { username: 'ci' }))).toEqual(isRobot('ci'));
    expect(await robotGateway.ask(newToken())).toEqual(refused);
    expect(await robotGateway.metric('connected', `authenticator="${way}"`)).toBe(1);
  });

  test('lets robots in whose records are hashes', async () => {
    const issueHash = async (fields: Readonly<Record<string, string>>): Promise<string> => {
      const token = newToken();
      await redis.client().hset(`hash:token:${sha256(token)}`, fields);
      return token;
    };
    const fields = { username: 'jane', uid: 'u-7', groups: 'dev, ops', extra: JSON.stringify(jane.extra) };
    expect(await robotGateway.ask(await issueHash(fields))).toEqual(isJane);
    expect(await robotGateway.ask(await issueHash({ ...fields, expiresAt: '2001-05-01T00:00:00Z' }))).toEqual(refused);
  });

  test('refuses what is expired, not yet valid or revoked, and the log says why', async () => {
    const { output } = robotGateway.gateway;
    for (const [reason, fields] of Object.entries({
      expired: { expiresAt: '2001-05-01T00:00:00Z' },
      'not-yet-valid': { notBefore: '2098-05-01T00:00:00Z' },
      revoked: { revokedAt: '2026-05-01T00:00:00Z', revokedBy: 'ada', revokedReason: 'leaked' },
    })) {
      expect(await robotGateway.ask(await issueFor('tcp', { ...jane, ...fields }))).toEqual(refused);
      const logged = await output.waitForLine((line) => line.reason === reason, reason);
      expect(logged).toMatchObject({ level: 'info', msg: 'token review', outcome: 'rejected', subject: 'jane' });
    }
  });
});

describe('a gateway in front of Redis', () => {
  /** No authenticator of Redis knows it. */
  const other = newToken();
  const people = { ...staticAuthenticator, name: 'people' };
  const files = { 'tokens.yaml': tokensFile({ [other]: 'ada' }) };
  let redis: RedisServer;
  let robotGateway: RobotGateway;
  const serverOf = () => redis;
  beforeAll(async () => {
    redis = await startRedis();
    const pattern = { tokenPrefix: 'acme-', tokenPattern: 'acme-[A-Za-z0-9_-]{32}', keyPrefix: 'acme:token:' };
    const entries = [robots({ url: redis.url, ...pattern }, { name: 'foreign' }), robots({ url: redis.url }), people];
    const server = { apiAudiences: ['https://kubernetes.default.svc'] };
    robotGateway = await startRobotGateway(entries, { server, files });
  });
  afterAll(async () => {
    await robotGateway[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
  });

  test('asks the next authenticator about a token without a record, unless with unknown: rejected', async () => {
    await using strict = await startRobotGateway([robots({ url: redis.url, unknown: 'rejected' }), people], { files });
    expect(await robotGateway.ask(other)).toEqual({ authenticated: true, user: { username: 'ada' } });
    expect(await strict.ask(other)).toEqual(refused);
    for (const { ask } of [robotGateway, strict]) expect(await ask(newToken())).toEqual(refused);
  });

  test('can not check a record that is bad, and the log names its digest and its field', async () => {
    const { ask, gateway } = robotGateway;
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
    const { ask, gateway, metric } = robotGateway;
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
    const { ask } = robotGateway;
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
    const { ask } = robotGateway;
    const token = await issue(serverOf, { username: 'ci' });
    await redis.client().config('RESETSTAT');
    expect(await ask(token)).toEqual(isRobot('ci'));
    const before = await reads(redis);
    expect(before.sort()).toEqual(['cmdstat_getrange:calls=1', 'cmdstat_pttl:calls=1']);
    for (const other of [serviceAccountToken(), randomToken(), mistyped(token), `${token}A`, 'sp_', 'a.b.c']) {
      expect(await ask(other)).toEqual(refused);
    }
    expect((await reads(redis)).sort()).toEqual(before);
  });

  test('takes tokens issued elsewhere by their prefix and pattern, and then none of its own', async () => {
    const { ask } = robotGateway;
    const [foreign, own] = [`acme-${randomToken()}`, newToken()];
    const record = JSON.stringify({ username: 'ci' });
    for (const token of [foreign, own]) await redis.client().set(`acme:token:${sha256(token)}`, record);
    expect(await ask(foreign)).toEqual(isRobot('ci'));
    expect(await ask(own)).toEqual(refused);
  });
});
