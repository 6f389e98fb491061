import { testRefusals } from '@sallyport/test-servers/written-options';
import { describe, expect, test } from 'vitest';
import { complaints, settled } from '../testing/written-options.ts';

const secureFix = 'write rediss://, or insecure: true if anyone on the network may say who is who';
const clear = `uses clear text: ${secureFix}`;
const idle = 'has no effect without sentinels: remove it';
const secret = 'not-a-real-one';

describe('servers', () => {
  test('are one server, or a master that sentinels name, or a cluster', () => {
    expect(settled({ url: 'rediss://redis' }).servers.kind).toBe('server');
    expect(settled({ cluster: ['rediss://redis'] }).servers).toEqual({
      kind: 'cluster',
      secure: true,
      nodes: [{ host: 'redis', port: 6379 }],
    });
    const sentinel = { sentinels: ['rediss://a', 'rediss://b:1'], name: 'mymaster', database: 3 };
    expect(
      settled({ ...sentinel, sentinelUsername: 'sallyport', sentinelPassword: secret }),
    ).toEqual({
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
    expect(settled({ ...sentinel, sentinelPassword: secret }).servers).not.toHaveProperty(
      'sentinelUsername',
    );
  });

  const keep = "can't be combined with the others: keep one of url, sentinels and cluster";
  const three = (kind: string) =>
    `write [${['a', 'b', 'c'].map((node) => `${kind}-${node}.example.com`).join(', ')}]`;
  const [cluster, sentinels] = [['rediss://a'], ['rediss://a']];
  testRefusals(complaints, [
    [
      {},
      'url: is missing: write url: rediss://redis.example.com:6379, or set sentinels or cluster',
    ],
    [{ url: 'rediss://a', cluster }, `url: ${keep}`],
    [{ url: 'rediss://a', sentinels, name: 'm' }, `url: ${keep}`],
    [{ cluster, sentinels, name: 'm' }, `cluster: ${keep}`],
    [
      { sentinels },
      'name: is required with sentinels: write name: mymaster, or as the sentinels call the master',
    ],
    [{ sentinels, name: '' }, 'name: must not be empty: write mymaster'],
    [{ sentinels: [], name: 'm' }, `sentinels: must have 1 to 64 entries: ${three('sentinel')}`],
    [{ cluster: 'rediss://a' }, `cluster: must be a list: ${three('redis')}`],
    [
      { cluster: Array.from({ length: 65 }, (_, index) => `rediss://a${index}`) },
      `cluster: must have 1 to 64 entries: ${three('redis')}`,
    ],
    [
      { url: 'rediss://a', name: 'm', sentinelUsername: 'u', sentinelPassword: secret },
      [`name: ${idle}`, `sentinelUsername: ${idle}`, `sentinelPassword: ${idle}`],
    ],
    [{ cluster, name: 'm' }, `name: ${idle}`],
    [
      { sentinels, name: 'm', sentinelUsername: 'u' },
      'sentinelPassword: is required with sentinelUsername: write { file: secrets/sentinel }',
    ],
    [{ url: 'rediss://a/1', database: 1 }, 'database: is in the url too: keep one'],
    [{ url: 'unix:/a?db=0', database: 0 }, 'database: is in the url too: keep one'],
    [
      { cluster, database: 1 },
      'database: must be 0 in a cluster, which has no other database: remove it',
    ],
    [
      { sentinels: ['rediss://a', 'b'], name: 'm' },
      [
        'sentinels.1: must begin like the first: all with rediss://, or none',
        `sentinels.1: ${clear}`,
      ],
    ],
    [
      { cluster: ['localhost', 'rediss://b'] },
      'cluster.1: must begin like the first: all with rediss://, or none',
    ],
  ]);

  test('a database of 0 is accepted in a cluster', () => {
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
  ])('is allowed within this machine, where insecure has no effect: %j', (written) => {
    expect(complaints(written)).toEqual([]);
    expect(complaints({ ...written, insecure: true })).toEqual([
      'insecure: has no effect, since no server uses clear text: remove it',
    ]);
    expect(complaints({ ...written, insecure: false })).toEqual([]);
  });

  test.each<{ written: Record<string, unknown>; place: string }>([
    { written: { url: 'redis://redis.example.com' }, place: 'url' },
    { written: { url: 'redis://localhost.example.com' }, place: 'url' },
    { written: { url: 'redis://128.0.0.1' }, place: 'url' },
    { written: { url: 'redis://0.0.0.0' }, place: 'url' },
    { written: { url: 'redis://[::2]' }, place: 'url' },
    { written: { url: 'redis://[::ffff:192.0.2.1]' }, place: 'url' },
    { written: { url: `redis://gateway:${secret}@redis.example.com` }, place: 'url' },
    { written: { cluster: ['localhost', 'redis-a'] }, place: 'cluster.1' },
    { written: { cluster: ['192.0.2.1', '192.0.2.2'] }, place: 'cluster.0' },
    {
      written: { sentinels: ['127.0.0.1', 'localhost', 'sentinel-c'], name: 'm' },
      place: 'sentinels.2',
    },
  ])(
    'to another machine is refused unless it is allowed explicitly: $written',
    ({ written, place }) => {
      expect(complaints(written)).toEqual([`${place}: ${clear}`]);
      expect(complaints({ ...written, insecure: false })).toEqual([`${place}: ${clear}`]);
      expect(complaints({ ...written, insecure: true })).toEqual([]);
      expect(complaints({ ...written, insecure: 'yes' })).toEqual([
        'insecure: must be true or false: write true or false, without quotes',
      ]);
    },
  );

  test('is not what TLS is', () => {
    expect(complaints({ url: 'rediss://redis.example.com', insecure: true })).toEqual([
      'insecure: has no effect, since no server uses clear text: remove it',
    ]);
  });
});
