import { randomBytes } from 'node:crypto';
import { conformanceCases, type ValidToken } from '@sallyport/authenticator/conformance';
import { newPassword } from '@sallyport/test-servers/passwords';
import { type RedisServer, startRedis } from '@sallyport/test-servers/redis';
import { afterAll, beforeAll, describe, test } from 'vitest';
import plugin from './index.ts';
import { type LayoutName, layouts } from './layouts.ts';
import { lookUpRights } from './testing/access-lists.ts';
import { store } from './testing/records.ts';
import { makeToken } from './token.ts';

// An abort must end a call long before its own timeout would. Only what fails waits for the others.
const patience = { deadline: 40_000, recoverWithin: 100_000, limit: 200_000 };
const password = newPassword();
const reader = `user gateway on >${password} ~sallyport:token:* ${[...lookUpRights('json'), ...lookUpRights('hash')].join(' ')}`;

const users = Array.from({ length: 150 }, (_, index): ValidToken => {
  const user = {
    username: `robot-${index}`,
    uid: `${index}`,
    groups: ['robots', `team-${index}`],
    extra: { team: ['a'] },
  };
  return { token: makeToken('sp_'), user };
});
const refused = {
  expired: {
    token: makeToken('sp_'),
    record: { username: 'former', expiresAt: '2020-01-01T00:00:00Z' },
  },
  'not-yet-valid': {
    token: makeToken('sp_'),
    record: { username: 'future', notBefore: '2999-01-01T00:00:00Z' },
  },
  revoked: {
    token: makeToken('sp_'),
    record: { username: 'gone', revokedAt: '2020-01-01T00:00:00Z' },
  },
} as const;

describe.each(Object.keys(layouts) as LayoutName[])('records as %s', (layout) => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis({ users: [reader] });
    for (const { token, user } of users) await store(redis.client(), layout, token, { ...user });
    for (const { token, record } of Object.values(refused))
      await store(redis.client(), layout, token, record);
  });
  afterAll(() => redis?.[Symbol.asyncDispose]());

  const cases = conformanceCases({
    plugin,
    get options() {
      const { tlsUrl: url, caFile } = redis;
      return {
        url,
        username: 'gateway',
        password,
        caFile,
        layout,
        unknown: 'rejected',
        commandTimeout: '30s',
      };
    },
    get badOptions() {
      const good = { url: redis.url, password };
      return [
        { options: { password }, key: 'url' },
        { options: { ...good, cluster: ['127.0.0.1'] }, key: 'url' },
        { options: { ...good, layout: 'xml' }, key: 'layout' },
        { options: { ...good, tokenPattern: '(' }, key: 'tokenPattern' },
        { options: { ...good, caFile: redis.caFile }, key: 'caFile' },
        { options: { url: 'redis://gateway@redis.example.com', insecure: true }, key: 'password' },
        { options: { ...good, url: `redis://x:${password}@redis.example.com` }, key: 'url' },
      ];
    },
    baseDirectory: '/',
    validTokens: users.slice(0, 4),
    rejectedTokens: [
      ...Object.entries(refused).map(([reason, { token, record }]) => ({
        token,
        reason: reason as keyof typeof refused,
        subject: record.username,
      })),
      { token: makeToken('sp_'), reason: 'invalid-credentials' as const },
    ],
    foreignTokens: [randomBytes(32).toString('base64url'), makeToken('xx_'), 'alice:password'],
    secrets: [password],
    backend: { stop: () => redis.stop(), start: () => redis.start(), hang: () => redis.hang() },
    sendsPasswords: false,
    watchesFiles: true,
    manyTokens: async (count) => users.slice(0, count),
    ...patience,
  });

  // Cases that need a user's password are left out: a skipped test would stop the CI.
  for (const { name, skip, run } of cases) if (skip === undefined) test(name, run);
});
