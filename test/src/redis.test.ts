import { readFile } from 'node:fs/promises';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import {
  issue,
  mistyped,
  newToken,
  recordKey,
  serviceAccountToken,
  writeRecord,
} from '@sallyport/test-servers/redis-tokens';
import { staticAuthenticator, tokensFile } from '@sallyport/test-servers/static-tokens';
import { randomToken, sha256 } from '@sallyport/test-servers/tokens';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  isRobot,
  type RobotGateway,
  refused,
  robots,
  startRobotGateway,
  unavailable,
} from './testing/redis-gateway.ts';
import { metricsText } from './testing/scrape.ts';

/** The ways to Redis of more authenticators. Each has records of its own there. */
const ways: Readonly<Record<string, (redis: RedisServer, valkey: RedisServer) => object>> = {
  tls: ({ tlsUrl }) => ({ url: tlsUrl, caFile: 'tls/redis-ca.crt' }),
  socket: ({ socket }) => ({ url: `unix:${socket}` }),
  hash: ({ url }) => ({ url, layout: 'hash' }),
  valkey: (_redis, { url }) => ({ url }),
};

const jane = {
  username: 'jane',
  uid: 'u-7',
  groups: ['dev', 'ops'],
  extra: { team: ['build', 'run'] },
};

const isJane = {
  authenticated: true,
  user: { ...jane, username: 'robot:jane', groups: ['team:dev', 'team:ops'] },
};

/** A token that no authenticator of Redis knows. */
const other = newToken();

/** The timeout is long: a busy machine is not an outage. */
const patient = { commandTimeout: '8s' };

const people = { ...staticAuthenticator, name: 'people' };

let redis: RedisServer;
let valkey: RedisServer;
let robotGateway: RobotGateway;
const serverOf = () => redis;
beforeAll(async () => {
  [redis, valkey] = await Promise.all([startRedis(), startRedis({ program: 'valkey-server' })]);
  const entries = Object.entries(ways).map(([name, options]) =>
    robots(
      { ...options(redis, valkey), ...patient, keyPrefix: `${name}:token:` },
      { name, groups: { prefix: 'team:' }, timeout: '9s' },
    ),
  );
  const files = {
    'tls/redis-ca.crt': await readFile(redis.caFile, 'utf8'),
    'tokens.yaml': tokensFile({ [other]: 'ada' }),
  };
  const first = robots({ url: redis.url, ...patient }, { timeout: '9s' });
  robotGateway = await startRobotGateway([first, ...entries, people], { files });
});
afterAll(async () => {
  await robotGateway[Symbol.asyncDispose]();
  await Promise.all([redis[Symbol.asyncDispose](), valkey[Symbol.asyncDispose]()]);
});

test.each(Object.keys(ways))(
  'lets robots in over %s, with the names of their records',
  async (way) => {
    const { ask, metric } = robotGateway;
    const [token, key] = [newToken(), (one: string) => `${way}:token:${sha256(one)}`];
    const server = way === 'valkey' ? valkey : redis;
    if (way === 'hash') {
      await server
        .client()
        .hset(key(token), { ...jane, groups: 'dev, ops', extra: JSON.stringify(jane.extra) });
    } else {
      await server
        .client()
        .set(key(token), JSON.stringify({ ...jane, issuedBy: 'ada', 'x-ticket': 4711 }));
    }
    expect(await ask(token)).toEqual(isJane);
    expect(await metric('connected', `authenticator="${way}"`)).toBe(1);
  },
);

test('refuses what is expired, not yet valid or revoked, and the log says why', async () => {
  const { ask, gateway } = robotGateway;
  for (const [reason, fields] of Object.entries({
    expired: { expiresAt: '2001-05-01T00:00:00Z' },
    'not-yet-valid': { notBefore: '2098-05-01T00:00:00Z' },
    revoked: { revokedAt: '2026-05-01T00:00:00Z', revokedBy: 'ada', revokedReason: 'leaked' },
  })) {
    expect(await ask(await issue(serverOf, { ...jane, ...fields }))).toEqual(refused);
    const logged = await gateway.output.waitForLine((line) => line.reason === reason, reason);
    expect(logged).toMatchObject({
      level: 'info',
      msg: 'token review',
      outcome: 'rejected',
      subject: 'jane',
    });
  }
});

test('asks the next authenticator about a token without a record', async () => {
  expect(await robotGateway.ask(other)).toEqual({ authenticated: true, user: { username: 'ada' } });
  expect(await robotGateway.ask(newToken())).toEqual(refused);
});

test('lets good tokens pass among any number of bad records, which open no circuit and are in the log', async () => {
  const { ask, gateway, metric } = robotGateway;
  for (let count = 0; count < 20; count++) {
    const token = newToken();
    if (count % 2 === 0) await writeRecord(serverOf, token, '{}');
    else await redis.client().hset(recordKey(token), { username: 'jane' });
    expect(await ask(token)).toEqual(unavailable);
    const logged = await gateway.output.waitForLine(
      (line) => String(line.reason).includes(sha256(token)),
      'the reason',
    );
    expect(logged).toMatchObject({
      msg: 'authenticator could not check a token',
      authenticator: 'robots',
    });
  }
  expect(await ask(await issue(serverOf, { username: 'ci' }))).toEqual(isRobot('ci'));
  expect(gateway.output.lines.filter(({ msg }) => msg.includes('circuit opened'))).toEqual([]);
  expect(await metric('connected', 'authenticator="robots"')).toBe(1);
  expect(await metric('errors_total', 'kind="type"')).toBe(10);
  expect(await metric('errors_total')).toBe(10);
  expect(await metricsText(gateway)).not.toMatch(/jane|robot:/);
});

/** Reads how often Redis was read so far. This file itself never reads it. */
async function reads(): Promise<string[]> {
  const info = await redis.client().info('commandstats');
  return (
    info.match(/^cmdstat_(getrange|hgetall|pttl|exists|eval_ro|scan):calls=\d+/gm) ?? []
  ).sort();
}

test('makes no trip for tokens of another shape, or with a typing mistake in them', async () => {
  const { ask } = robotGateway;
  const token = await issue(serverOf, { username: 'ci' });
  await redis.client().config('RESETSTAT');
  expect(await ask(token)).toEqual(isRobot('ci'));
  expect(await reads()).toEqual(['cmdstat_getrange:calls=1', 'cmdstat_pttl:calls=1']);
  for (const one of [
    serviceAccountToken(),
    randomToken(),
    mistyped(token),
    `${token}A`,
    'sp_',
    'a.b.c',
  ]) {
    expect(await ask(one)).toEqual(refused);
  }
  expect(await reads()).toEqual(['cmdstat_getrange:calls=1', 'cmdstat_pttl:calls=1']);
});
