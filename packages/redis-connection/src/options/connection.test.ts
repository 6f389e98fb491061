import { section } from '@sallyport/plugin-options';
import { describe, expect, test } from 'vitest';
import { complaints, settled } from '../../fixtures/written-options.ts';
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

  test.each<[Record<string, unknown>, string]>([
    [{ username: 'gateway' }, `password: must stand beside username: ${passwordFix}`],
    [{ url: 'rediss://gateway@redis' }, `password: must stand beside username: ${passwordFix}`],
    [{ url: 'rediss://gateway:a@redis', username: 'gateway' }, 'username: stands in the url too: keep one'],
    [{ url: 'rediss://gateway:a@redis', password: 'a' }, 'password: stands in the url too: keep one'],
    [{ database: 10_000 }, 'database: must be a whole number from 0 to 9999'],
    [{ certFile: 'a.crt' }, 'keyFile: must name the key of certFile: write keyFile: tls/redis-client.key'],
    [
      { url: 'redis://localhost', caFile: 'ca.crt' },
      'caFile: does nothing: no server is reached with TLS; remove it, or use rediss://',
    ],
  ])('of %j is refused', (keys, complaint) => {
    expect(complaints({ url, ...keys })).toEqual([complaint]);
  });
});

describe('those who use a connection', () => {
  const terms = { risk: 'whoever listens learns of everything', consent: 'nobody minds' };
  const another: ServerUrl = { secure: true, address: { host: 'another', port: 6379 } };
  const schemaFor = (other?: ServerUrl) =>
    section(connectionShape(terms), '{ url: … }', (keys, complain) =>
      settleConnection(keys, { commandTimeout: 1_000, terms, another: other }, complain),
    );
  const messages = (written: object, other?: ServerUrl) =>
    (schemaFor(other).safeParse(written).error?.issues ?? []).map(({ message }) => message);

  test('say themselves what clear text costs', () => {
    expect(messages({ url: 'redis://redis' })).toEqual([
      'is reached in clear text: write rediss://, or insecure: true if nobody minds',
    ]);
    const { properties } = schemaFor()['~standard'].jsonSchema.input({ target: 'draft-2020-12' });
    expect(properties).toMatchObject({
      insecure: { description: 'Speak clear text with servers elsewhere: whoever listens learns of everything.' },
    });
  });

  test('may reach another server by the same keys, which do something for it', () => {
    const written = { url: 'unix:/redis.sock', caFile: 'ca.crt' };
    expect(messages(written, another)).toEqual([]);
    expect(messages(written)).toHaveLength(1);
    const clear = { url: 'unix:/redis.sock', insecure: true };
    expect(messages(clear, { ...another, secure: false })).toEqual([]);
    expect(messages(clear, another)).toEqual(['would make nothing insecure: remove it']);
  });
});
