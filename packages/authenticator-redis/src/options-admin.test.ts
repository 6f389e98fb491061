import { testRefusals } from '@sallyport/test-servers/written-options';
import { describe, expect, test } from 'vitest';
import { complaints, settled } from './testing/written-options.ts';

const secret = 'not-a-real-one';
const gateway = { username: 'gateway', password: 'of the gateway' };
const adminOf = (written: Record<string, unknown>) => settled(written).admin;

describe('admin', () => {
  test('is never quoted in a complaint, since it may contain a password', () => {
    const quoted = '§§';
    for (const url of [
      `redis://admin:${quoted}@`,
      `http://${quoted}`,
      `rediss://a:%${quoted}@b`,
      `unix:${quoted}`,
    ]) {
      for (const admin of [
        { url },
        url,
        [url],
        { url: [url] },
        { [url]: url },
        { url, password: [url] },
      ]) {
        const problems = complaints({ url: 'unix:/redis.sock', admin });
        expect(problems).not.toEqual([]);
        if (!Object.hasOwn(Object(admin), url)) expect(problems.join()).not.toContain(quoted);
      }
    }
  });

  test("left out is the gateway's own connection", () => {
    const { admin, connection } = settled({
      url: 'rediss://redis/3',
      ...gateway,
      commandTimeout: '2s',
      caFile: 'ca.crt',
    });
    expect(admin).toEqual(connection);
    expect(admin).toMatchObject(gateway);
  });

  test('is another user on the same servers', () => {
    const url = `rediss://gateway:${secret}@redis/3`;
    const admin = { username: 'admin', password: secret };
    const settings = { commandTimeout: '2s', caFile: 'ca.crt' };
    const { connection } = settled({ url, ...settings });
    expect(adminOf({ url, ...settings, admin })).toEqual({ ...connection, ...admin });
    expect(adminOf({ sentinels: ['rediss://a'], name: 'm', ...gateway, admin })).toMatchObject({
      servers: { kind: 'sentinel', name: 'm' },
      ...admin,
    });
    expect(adminOf({ cluster: ['rediss://a'], ...gateway, admin })).toMatchObject({
      servers: { kind: 'cluster' },
      ...admin,
    });
  });

  test('with only a password is the default user', () => {
    expect(
      adminOf({ url: 'rediss://redis', ...gateway, admin: { password: secret } }),
    ).toMatchObject({
      password: secret,
    });
    expect(
      adminOf({ url: 'rediss://redis', ...gateway, admin: { password: secret } }),
    ).not.toHaveProperty('username');
  });

  test('with a URL has its login, and the database of the URL or of the options', () => {
    const url = `rediss://admin:${secret}@redis-b:7000`;
    const admin = (one: object, changed: object = {}) =>
      adminOf({ url: 'rediss://redis-a', ...gateway, ...changed, admin: one });
    expect(admin({ url })).toEqual({
      servers: {
        kind: 'server',
        secure: true,
        database: 0,
        address: { host: 'redis-b', port: 7000 },
      },
      username: 'admin',
      password: secret,
      tls: { minVersion: 'TLSv1.2' },
      commandTimeout: 1_000,
    });
    expect(admin({ url }, { database: 3 })).toMatchObject({ servers: { database: 3 } });
    expect(admin({ url: `${url}/4` }, { database: 3 })).toMatchObject({ servers: { database: 4 } });
    expect(admin({ url: 'unix:/redis.sock' })).not.toHaveProperty('password');
    expect(admin({ url: 'rediss://b', username: 'admin', password: secret })).toMatchObject({
      username: 'admin',
    });
  });

  test('may be the only connection with TLS', () => {
    const written = { url: 'unix:/redis.sock', caFile: 'ca.crt', admin: { url: 'rediss://redis' } };
    expect(adminOf(written)).toMatchObject({ tls: { caFile: 'ca.crt' } });
    expect(
      complaints({
        url: 'unix:/redis.sock',
        caFile: 'ca.crt',
        admin: { url: 'redis://localhost' },
      }),
    ).toEqual(['caFile: does nothing: no server is reached with TLS: remove it, or use rediss://']);
  });

  test('in clear text must be allowed explicitly, whatever the gateway uses', () => {
    const admin = { url: `redis://admin:${secret}@redis.example.com` };
    const problem = 'admin.url: uses clear text: write rediss://, or insecure: true next to admin';
    for (const url of ['unix:/redis.sock', 'redis://localhost', 'rediss://redis']) {
      expect(complaints({ url, admin })).toEqual([problem]);
      expect(complaints({ url, admin, insecure: true })).toEqual([]);
      expect(complaints({ url, admin: { url: 'redis://localhost' } })).toEqual([]);
    }
  });

  const from = 'write { file: secrets/redis } or { env: REDIS_ADMIN_PASSWORD }';
  const required = 'admin.password: is required with username: write { env: REDIS_ADMIN_PASSWORD }';
  const keys = 'admin: must be keys and values: write { url: { env: REDIS_ADMIN_URL } }';
  testRefusals(
    (admin: unknown) => complaints({ url: 'rediss://redis', admin }),
    [
      [null, keys],
      [`redis://:${secret}@redis`, keys],
      [
        {},
        'admin.url: is missing, and so are username and password: write { env: REDIS_ADMIN_URL }',
      ],
      [{ username: 'admin' }, required],
      [{ url: 'rediss://admin@redis' }, required],
      [
        { username: '', password: secret },
        'admin.username: must not be empty: write sallyport-admin',
      ],
      [{ password: '' }, `admin.password: must not be empty: ${from}`],
      [{ password: 7 }, `admin.password: must be a secret: ${from}`],
      [
        { url: `rediss://u:${secret}@a`, username: 'u' },
        'admin.username: is in the url too: keep one',
      ],
      [
        { url: `rediss://u:${secret}@a`, password: secret },
        'admin.password: is in the url too: keep one',
      ],
      [
        { url: 'rediss://a', cluster: [] },
        'admin: has an unknown key: cluster; known here: url, username, password',
      ],
    ],
  );
});
