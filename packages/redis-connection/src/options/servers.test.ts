import { describe, expect, test } from 'vitest';
import { complaints, settled } from '../../fixtures/written-options.ts';

const secureFix = 'write rediss://, or insecure: true if everybody on the wire may say who is who';
const clear = `is reached in clear text: ${secureFix}`;
const idle = 'does nothing without sentinels: remove it';
const secret = 'not-a-real-one';

describe('servers', () => {
  test('are one, or a master that sentinels name, or a cluster', () => {
    expect(settled({ url: 'rediss://redis' }).servers.kind).toBe('server');
    expect(settled({ cluster: ['rediss://redis'] }).servers).toEqual({
      kind: 'cluster',
      secure: true,
      nodes: [{ host: 'redis', port: 6379 }],
    });
    const sentinel = { sentinels: ['rediss://a', 'rediss://b:1'], name: 'mymaster', database: 3 };
    expect(settled({ ...sentinel, sentinelUsername: 'sallyport', sentinelPassword: secret })).toEqual({
      servers: {
        kind: 'sentinel',
        secure: true,
        database: 3,
        sentinels: [
          { host: 'a', port: 26_379 },
          { host: 'b', port: 1 },
        ],
        name: 'mymaster',
        sentinelUsername: 'sallyport',
        sentinelPassword: secret,
      },
      tls: { minVersion: 'TLSv1.2' },
      commandTimeout: 1_000,
    });
    expect(settled({ ...sentinel, sentinelPassword: secret }).servers).not.toHaveProperty('sentinelUsername');
  });

  test.each<[Record<string, unknown>, string[]]>([
    [{}, ['url: must say where Redis is: write url: rediss://redis.example.com:6379, or give sentinels or cluster']],
    [{ url: 'rediss://a', cluster: ['rediss://a'] }, ['url: must stand alone: keep one of url, sentinels and cluster']],
    [
      { url: 'rediss://a', sentinels: ['rediss://a'], name: 'm' },
      ['url: must stand alone: keep one of url, sentinels and cluster'],
    ],
    [
      { cluster: ['rediss://a'], sentinels: ['rediss://a'], name: 'm' },
      ['cluster: must stand alone: keep one of url, sentinels and cluster'],
    ],
    [{ sentinels: ['rediss://a'] }, ['name: must say what the sentinels call the master: write name: mymaster']],
    [{ sentinels: ['rediss://a'], name: '' }, ['name: must not be empty: write mymaster']],
    [
      { sentinels: [], name: 'm' },
      [
        'sentinels: must have 1 to 64 entries: write [sentinel-a.example.com, sentinel-b.example.com, sentinel-c.example.com]',
      ],
    ],
    [
      { cluster: 'rediss://a' },
      ['cluster: must be a list: write [redis-a.example.com, redis-b.example.com, redis-c.example.com]'],
    ],
    [
      { cluster: Array.from({ length: 65 }, (_, index) => `rediss://a${index}`) },
      ['cluster: must have 1 to 64 entries: write [redis-a.example.com, redis-b.example.com, redis-c.example.com]'],
    ],
    [
      { url: 'rediss://a', name: 'm', sentinelUsername: 'u', sentinelPassword: secret },
      [`name: ${idle}`, `sentinelUsername: ${idle}`, `sentinelPassword: ${idle}`],
    ],
    [{ cluster: ['rediss://a'], name: 'm' }, [`name: ${idle}`]],
    [
      { sentinels: ['rediss://a'], name: 'm', sentinelUsername: 'u' },
      ['sentinelPassword: must stand beside sentinelUsername: write { file: secrets/sentinel }'],
    ],
    [{ url: 'rediss://a/1', database: 1 }, ['database: stands in the url too: keep one']],
    [{ url: 'unix:/a?db=0', database: 0 }, ['database: stands in the url too: keep one']],
    [{ cluster: ['rediss://a'], database: 1 }, ['database: must be 0 in a cluster, which has no other: remove it']],
    [
      { sentinels: ['rediss://a', 'b'], name: 'm' },
      ['sentinels.1: must begin like the first: all with rediss://, or none', `sentinels.1: ${clear}`],
    ],
    [{ cluster: ['localhost', 'rediss://b'] }, ['cluster.1: must begin like the first: all with rediss://, or none']],
  ])('%j are refused', (written, expected) => {
    expect(complaints(written)).toEqual(expected);
  });

  test('a database of 0 is no problem in a cluster', () => {
    expect(complaints({ cluster: ['rediss://a'], database: 0 })).toEqual([]);
  });
});

describe('clear text', () => {
  test.each([
    { url: 'redis://localhost' },
    { url: 'redis://127.0.0.1:7000' },
    { url: 'redis://127.8.9.10' },
    { url: 'redis://[::1]' },
    { url: 'unix:/run/redis.sock' },
    { cluster: ['localhost', '127.0.0.1:7000', '[::1]'] },
    { sentinels: ['127.0.0.1'], name: 'm' },
  ])('is allowed within this machine, and then nothing is insecure: %j', (written) => {
    expect(complaints(written)).toEqual([]);
    expect(complaints({ ...written, insecure: true })).toEqual(['insecure: would make nothing insecure: remove it']);
    expect(complaints({ ...written, insecure: false })).toEqual([]);
  });

  test.each<[Record<string, unknown>, string]>([
    [{ url: 'redis://redis.example.com' }, 'url'],
    [{ url: 'redis://localhost.example.com' }, 'url'],
    [{ url: 'redis://128.0.0.1' }, 'url'],
    [{ url: 'redis://0.0.0.0' }, 'url'],
    [{ url: 'redis://[::2]' }, 'url'],
    [{ url: 'redis://[::ffff:192.0.2.1]' }, 'url'],
    [{ url: `redis://gateway:${secret}@redis.example.com` }, 'url'],
    [{ cluster: ['localhost', 'redis-a'] }, 'cluster.1'],
    [{ cluster: ['192.0.2.1', '192.0.2.2'] }, 'cluster.0'],
    [{ sentinels: ['127.0.0.1', 'localhost', 'sentinel-c'], name: 'm' }, 'sentinels.2'],
  ])('to another machine is refused unless it is said aloud: %j', (written, place) => {
    expect(complaints(written)).toEqual([`${place}: ${clear}`]);
    expect(complaints({ ...written, insecure: false })).toEqual([`${place}: ${clear}`]);
    expect(complaints({ ...written, insecure: true })).toEqual([]);
    expect(complaints({ ...written, insecure: 'yes' })).toEqual(['insecure: must be true or false, without quotes']);
  });

  test('is not what TLS is', () => {
    expect(complaints({ url: 'rediss://redis.example.com', insecure: true })).toEqual([
      'insecure: would make nothing insecure: remove it',
    ]);
  });
});
