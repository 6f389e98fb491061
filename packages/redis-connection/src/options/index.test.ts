import { section } from '@sallyport/plugin-kit';
import { testRefusals } from '@sallyport/test-servers/written-options';
import { describe, expect, test } from 'vitest';
import { complaints, settled } from '../testing/written-options.ts';
import { connectionShape, type ServerUrl, settleConnection } from './index.ts';

const login = { username: 'gateway', password: 'of the gateway' };
const passwordFix = 'write { file: secrets/redis } or { env: REDIS_PASSWORD }';
const url = 'rediss://redis.example.com';

describe('a connection', () => {
  test('has the login of the keys or of the URL, and TLS', () => {
    expect(settled({ url, ...login, serverName: 'redis', minVersion: 'TLSv1.3' })).toMatchObject({
      ...login,
      tls: { serverName: 'redis', minVersion: 'TLSv1.3' },
    });
    expect(settled({ url: 'rediss://:in-the-url@redis', username: 'gateway' })).toMatchObject({
      username: 'gateway',
      password: 'in-the-url',
    });
    expect(settled({ url })).not.toHaveProperty('username');
  });

  testRefusals(
    (keys: object) => complaints({ url, ...keys }),
    [
      [{ username: 'gateway' }, `password: is required with username: ${passwordFix}`],
      [{ username: '' }, 'username: must not be empty: write sallyport'],
      [{ username: 'a\nb' }, 'username: must be a single-line string: write sallyport'],
      [{ password: '' }, `password: must not be empty: ${passwordFix}`],
      [{ password: 1234 }, `password: must be a secret: ${passwordFix}`],
      [{ password: { env: 'A' } }, `password: must be a secret: ${passwordFix}`],
      [
        { password: 'a\0' },
        `password: must not contain NUL or unpaired surrogates: ${passwordFix}`,
      ],
      [
        { password: 'a\uD800' },
        `password: must not contain NUL or unpaired surrogates: ${passwordFix}`,
      ],
      [{ url: 'rediss://gateway@redis' }, `password: is required with username: ${passwordFix}`],
      [
        { url: 'rediss://gateway:a@redis', username: 'gateway' },
        'username: is in the url too: keep one',
      ],
      [{ url: 'rediss://gateway:a@redis', password: 'a' }, 'password: is in the url too: keep one'],
      ...[-1, 1.5, '1', 10_000].map(
        (database) => [{ database }, 'database: must be a whole number from 0 to 9999'] as const,
      ),
      [{ minVersion: 'TLSv1.1' }, 'minVersion: must be TLSv1.2 or TLSv1.3'],
      [
        { caFile: '-----BEGIN CERTIFICATE-----\n' },
        'caFile: must be a path, not the content of a file: write tls/redis-ca.crt',
      ],
      [
        { url: 'rediss://a', caFile: 'https://ca.example.com/ca.crt' },
        'caFile: must be the path of a file, not a URL: save the file on this machine, and write its path, such as tls/redis-ca.crt',
      ],
      [
        { certFile: 'a.crt' },
        'keyFile: must name the key of certFile: write keyFile: tls/redis-client.key',
      ],
      [
        { url: 'redis://localhost', caFile: 'ca.crt' },
        'caFile: does nothing: no server is reached with TLS: remove it, or use rediss://',
      ],
    ],
  );
});

describe('users of a connection', () => {
  const terms = { risk: 'anyone can read it', consent: 'that is acceptable' };
  const another: ServerUrl = { secure: true, address: { host: 'another', port: 6379 } };
  const schemaFor = (other?: ServerUrl) =>
    section(connectionShape(terms), '{ url: … }', (keys, complain) =>
      settleConnection(keys, { commandTimeout: 1_000, terms, another: other }, complain),
    );
  const messages = (written: object, other?: ServerUrl) =>
    (schemaFor(other).safeParse(written).error?.issues ?? []).map(({ message }) => message);

  test('describe the risk of clear text themselves', () => {
    expect(messages({ url: 'redis://redis' })).toEqual([
      'uses clear text: write rediss://, or insecure: true if that is acceptable',
    ]);
    const { properties } = schemaFor()['~standard'].jsonSchema.input({ target: 'draft-2020-12' });
    expect(properties).toMatchObject({
      insecure: {
        description: 'Allow clear text with servers on other machines: anyone can read it.',
      },
    });
  });

  test('may reach another server with the same keys, which then have an effect', () => {
    const written = { url: 'unix:/redis.sock', caFile: 'ca.crt' };
    expect(messages(written, another)).toEqual([]);
    expect(messages(written)).toHaveLength(1);
    const clear = { url: 'unix:/redis.sock', insecure: true };
    expect(messages(clear, { ...another, secure: false })).toEqual([]);
    expect(messages(clear, another)).toEqual([
      'has no effect, since no server uses clear text: remove it',
    ]);
  });
});
